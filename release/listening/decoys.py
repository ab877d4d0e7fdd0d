"""Sentences the recogniser may hear besides the gate's own.

With the gate's texts alone it would hear them in any noise. These give wrong speech something else to be:
plain English, most of the common words, and no two alike.
"""

from __future__ import annotations

DECOYS = (
    "I would like a cup of coffee with a little milk.",
    "The meeting has been moved to Thursday afternoon.",
    "My brother works in a hospital on the other side of town.",
    "Turn left at the traffic lights and then go straight on.",
    "We are going to visit our grandparents next weekend.",
    "The quick brown fox jumps over the lazy dog.",
    "Could you tell me where the nearest bank is?",
    "He forgot his keys and had to wait outside for an hour.",
    "The price of bread has gone up again this month.",
    "Children were playing football behind the school.",
    "Your parcel will be delivered between nine and eleven.",
    "I have never seen such a beautiful garden before.",
    "The doctor told her to drink more water and sleep longer.",
    "There is nothing on television tonight.",
    "Put the plates in the kitchen and bring some glasses.",
    "They bought a small house near the river last spring.",
    "The computer must be started again after the update.",
    "Everybody laughed when the dog stole the sausage.",
    "It gets dark very early in December.",
    "Do not forget to call your mother on her birthday.",
    "Our flight was cancelled because of heavy snow.",
    "A new bridge is being built across the valley.",
    "What kind of music do you usually listen to?",
    "The soup needs salt, pepper and perhaps some garlic.",
    "Scientists have found water under the surface of the planet.",
    "Please write your name and address on this form.",
    "The library opens at ten and closes at half past six.",
    "Nobody knew who had left the money on the table.",
    "If you are tired, we can stop and rest for a while.",
    "The old man told them a long story about the war.",
    "She speaks three languages and plays the piano well.",
    "Most people think that the film was far too long.",
)

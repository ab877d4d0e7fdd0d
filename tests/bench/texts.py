"""What the benches of the speech server have spoken."""

SENTENCES = (
    "The harbour was quiet before the first ferry left. She counted seven white birds on the old stone wall, "
    "and walked home. How long does the train to the northern coast take? Yesterday it rained for 12 hours, "
    "and nobody minded at all. "
)
SENTENCE = "The harbour was quiet before the first ferry left."
LONG = (SENTENCES * 5)[:1000]
UNPUNCTUATED = ("".join(sign for sign in SENTENCES.lower() if sign not in ",.?") * 5)[:1000]

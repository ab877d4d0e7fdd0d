"""Stands for WeTextProcessing, which is installed in the image of glm_tts alone."""

made = []


class Normalizer:
    def __init__(
        self, overwrite_cache=False, remove_interjections=True, remove_erhua=True, full_to_half=True
    ):
        made.append((overwrite_cache, remove_interjections, remove_erhua, full_to_half))

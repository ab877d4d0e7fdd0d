"""What ends a word of the pipeline: sentences for whoever reads its log."""


class PipelineError(Exception):
    """`sentences` say what is wrong and what to do."""

    def __init__(self, *sentences: str) -> None:
        super().__init__("\n".join(sentences))
        self.sentences = sentences

"""PaddleNLP's tokenizer interface over the reference's rules."""

from paddlenlp.transformers import ElectraTokenizer


class ReferenceTokenizer(ElectraTokenizer):
    """ElectraTokenizer that splits text exactly as the networks' training data was split.

    Args:
        vocab_file: vocab.txt.
        reference: the Tokenizer with that vocabulary.
    """

    def __init__(self, vocab_file, reference, **kwargs):
        super().__init__(vocab_file, do_lower_case=reference.do_lower_case, **kwargs)
        self.reference = reference

    def _tokenize(self, text):
        return [self.reference.vocabulary.tokens[token] for token in self.reference.encode(text)]

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

    def tokenize(self, text, is_split_into_words=False, **kwargs):
        """Tokens of a text.

        PaddleHub's data sets hand in word pieces, one by one, as split into words: such a piece stays whole, so that
        the labels that follow belong to the tokens they were given to.
        """
        if is_split_into_words and text in self.reference.vocabulary.ids:
            return [text]
        return super().tokenize(text, **kwargs)

    def _tokenize(self, text):
        return [self.reference.vocabulary.tokens[token] for token in self.reference.encode(text)]

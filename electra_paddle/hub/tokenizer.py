"""PaddleNLP's tokenizer interface over the reference's rules."""

from paddlenlp.transformers import ElectraTokenizer

from electra_paddle.text import Tokenizer, Vocabulary


class ReferenceTokenizer(ElectraTokenizer):
    """ElectraTokenizer that splits text exactly as the networks' training data was split."""

    def __init__(self, vocab_file, do_lower_case=True, **kwargs):
        super().__init__(vocab_file, do_lower_case=do_lower_case, **kwargs)
        self.reference = Tokenizer(Vocabulary.load(vocab_file), do_lower_case)

    def _tokenize(self, text):
        return [self.reference.vocabulary.tokens[token] for token in self.reference.encode(text)]

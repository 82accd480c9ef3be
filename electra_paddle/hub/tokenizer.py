"""PaddleNLP's tokenizer interface over the reference's rules."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from paddlenlp.transformers import ElectraTokenizer

if TYPE_CHECKING:
    from electra_paddle.text import Tokenizer


class ReferenceTokenizer(ElectraTokenizer):
    """ElectraTokenizer that splits text exactly as the networks' training data was split.

    Args:
        vocab_file: vocab.txt.
        reference: the Tokenizer with that vocabulary.
    """

    def __init__(self, vocab_file: str, reference: Tokenizer, **kwargs: Any) -> None:
        super().__init__(vocab_file, do_lower_case=reference.do_lower_case, **kwargs)
        self.reference = reference

    def tokenize(self, text: str, is_split_into_words: bool = False, **kwargs: Any) -> list[str]:
        """Tokens of a text.

        PaddleHub's data sets hand in word pieces, one by one, as split into words: such a piece stays whole, so that
        the labels that follow belong to the tokens they were given to.
        """
        if is_split_into_words and text in self.reference.vocabulary.ids:
            return [text]
        return super().tokenize(text, **kwargs)

    def _tokenize(self, text: str) -> list[str]:
        return [self.reference.vocabulary.tokens[token] for token in self.reference.encode(text)]

"""Vocabulary and tokenizer with the rules of Chinese BERT."""

from electra_paddle.text.encoding import encode_pair, encode_windows, pad
from electra_paddle.text.tokenizer import Tokenizer
from electra_paddle.text.vocabulary import SPECIAL_TOKENS, Vocabulary, build_vocabulary

__all__ = ["SPECIAL_TOKENS", "Tokenizer", "Vocabulary", "build_vocabulary", "encode_pair", "encode_windows", "pad"]

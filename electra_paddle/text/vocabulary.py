"""The vocabulary: one token a line, its id the number of its line."""

from __future__ import annotations

import collections
import hashlib
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from electra_paddle.errors import DataError, reason
from electra_paddle.published_models import fetch_file, repository

SPECIAL_TOKENS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
CHINESE_BERT_IDS = {"[PAD]": 0, "[UNK]": 100, "[CLS]": 101, "[SEP]": 102, "[MASK]": 103}
SHARE_OF_CHARACTERS = 0.8  # at most, of the entries of a vocabulary made from text that are not special


class Vocabulary:
    """Tokens and ids, both ways.

    Attributes:
        tokens: list of tokens in the order of their ids, stripped of white space as in the reference.
        ids: token -> id.
        pad, unk, cls, sep, mask: the special tokens' ids.
        sha256: fingerprint of the tokens, kept with everything that depends on them.
    """

    def __init__(self, tokens: Iterable[str], name: str = "vocabulary") -> None:
        self._lines = list(tokens)
        self.tokens = [token.strip() for token in self._lines]
        self.ids = {token: index for index, token in enumerate(self.tokens)}
        missing = [token for token in SPECIAL_TOKENS if token not in self.ids]
        if missing:
            raise DataError(
                name,
                f"no {' '.join(missing)} in {len(self.tokens)} lines",
                f"one token a line, {' '.join(SPECIAL_TOKENS)} among them",
            )
        if self.ids["[PAD]"] != 0:
            raise DataError(f"{name}:{self.ids['[PAD]'] + 1}", "[PAD]", "[PAD] in the first line")
        self.pad, self.unk, self.cls, self.sep, self.mask = (self.ids[token] for token in SPECIAL_TOKENS)
        self.sha256 = hashlib.sha256("\n".join(self.tokens).encode()).hexdigest()

    def __len__(self) -> int:
        return len(self.tokens)

    @classmethod
    def load(cls, path_or_name: str | Path) -> Vocabulary:
        """Read vocab.txt.

        Args:
            path_or_name: the file; or, where no such file exists, the name of a published model, whose vocab.txt is
                fetched and kept in huggingface_hub's cache.

        Raises:
            DataError: no such file, not UTF-8, a special token is missing, or the download failed.
        """
        path = Path(path_or_name)
        repository_name = None if path.is_file() else repository(path.as_posix())
        if repository_name:
            path = fetch_file(repository_name, "vocab.txt", asked=path_or_name)
        try:
            text = path.read_bytes().decode("utf-8")
        except OSError as error:
            raise DataError(
                path_or_name,
                reason(error),
                "a vocabulary, one token a line, or the name of a published model such as chinese-electra-180g-base",
            ) from error
        except UnicodeDecodeError as error:
            raise DataError(path_or_name, f"invalid UTF-8 at byte {error.start}", "a vocabulary in UTF-8") from error
        return cls(text.removesuffix("\n").split("\n"), str(path_or_name))

    def extended(self, tokens: Iterable[str], name: str = "vocabulary") -> Vocabulary:
        """A vocabulary with tokens after these ones, whose lines stay as they were read."""
        return Vocabulary([*self._lines, *tokens], name)

    def save(self, path: str | Path) -> None:
        """Write vocab.txt as it was read; one of Chinese BERT's tokens is white space, which others may not strip."""
        Path(path).write_text("".join(line + "\n" for line in self._lines), encoding="utf-8", newline="")


def build_vocabulary(
    lines: Iterable[str], size: int, do_lower_case: bool = True, strip_accents: bool | None = None
) -> Vocabulary:
    """A vocabulary of `size` tokens from text: frequent characters and word pieces, laid out as Chinese BERT's.

    Characters take at most four fifths of the entries: without pieces ("##a") every Latin word would be unknown.

    Special tokens stand where Chinese BERT has them ([PAD] 0, [UNK] 100 ... [MASK] 103), unused entries
    between them.

    Args:
        lines: of str; what can be gone through twice, such as a list.
        size: number of tokens; fewer come back when the text has no more.
    """
    from tokenizers import BertWordPieceTokenizer

    placed = {index: token for token, index in CHINESE_BERT_IDS.items()}
    head = [placed.get(index) or f"[unused{index}]" for index in range(max(placed) + 1)]
    if size <= len(head):
        raise DataError("--build-vocab", size, f"more than the {len(head)} special and unused tokens")
    counts, inner = count_characters(
        lines, BertWordPieceTokenizer(lowercase=do_lower_case, strip_accents=strip_accents)
    )
    by_frequency = sorted(counts, key=lambda character: (-counts[character], character))

    def train(num_characters: int) -> list[str]:
        """Tokens of a trainer that is told which characters and one-letter pieces to take, and in which order.

        Left to itself it breaks ties by the order of a hash map, which is another one in every process.
        """
        alphabet = sorted(by_frequency[:num_characters])
        pieces = [f"##{character}" for character in alphabet if character in inner]
        trainer = BertWordPieceTokenizer(lowercase=do_lower_case, strip_accents=strip_accents)
        trainer.train_from_iterator(
            lines,
            vocab_size=size,
            initial_alphabet=alphabet,
            limit_alphabet=len(alphabet),
            min_frequency=1,
            special_tokens=head + alphabet + pieces,
            show_progress=False,
        )
        return sorted(trainer.get_vocab(), key=trainer.token_to_id)

    num_characters = round(SHARE_OF_CHARACTERS * (size - len(head)))
    tokens = train(num_characters)
    if len(tokens) < size:  # the text has not so many pieces
        tokens = train(num_characters + size - len(tokens))
    return Vocabulary(tokens[:size])


def count_characters(lines: Iterable[str], tokenizer: Any) -> tuple[dict[str, int], set[str]]:
    """(character -> how often it occurs in normalized lines, the characters that occur inside of a word)."""
    counts: collections.Counter[str] = collections.Counter()
    inner: set[str] = set()
    for line in lines:
        text = tokenizer.normalizer.normalize_str(line)  # Chinese characters come out with spaces around them
        counts.update(text)
        for run in re.findall(r"\S\S+", text):
            for word, _ in tokenizer.pre_tokenizer.pre_tokenize_str(run):
                inner.update(word[1:])
    return {character: count for character, count in counts.items() if not character.isspace()}, inner

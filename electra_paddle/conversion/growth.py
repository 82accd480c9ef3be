"""A vocabulary that grows: new words get rows that begin as the mean of the rows of their pieces."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from electra_paddle.conversion.directories import Network
from electra_paddle.conversion.tokenizer_files import INNER
from electra_paddle.errors import DataError, reason, some_of
from electra_paddle.text import Tokenizer, Vocabulary

TABLES = ("electra.embeddings.word_embeddings.weight", "generator_lm_head_bias")  # parameters with a row for each token


def read_words(path: str | Path) -> list[str]:
    """The words of a file, one a line; blank lines are passed over.

    Raises:
        DataError: no such file, not UTF-8, or no words.
    """
    try:
        words = [line.strip() for line in Path(path).read_text(encoding="utf-8-sig").splitlines()]
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(path, f"no readable words ({reason(error)})", "a file in UTF-8, one word a line") from error
    words = list(dict.fromkeys(filter(None, words)))
    if not words:
        raise DataError(path, "no words", "one a line")
    return words


class Growth:
    """What is added to a vocabulary.

    Args:
        words: as `read_words` returns them.
        vocabulary: that they are added to, at its end.
        settings: entries of tokenizer_config.json.
        source: the words' file, for messages.

    Attributes:
        vocabulary: the one that has grown.
        pieces: for each new word the ids of the pieces that it was cut into before.
        report: lines that tell the user what was done.

    Raises:
        DataError: a word that text is never cut into, such as one of several Chinese characters; or none that is new.
    """

    def __init__(
        self, words: Sequence[str], vocabulary: Vocabulary, settings: Mapping[str, Any], source: str | Path
    ) -> None:
        case = settings.get("do_lower_case", True), settings.get("strip_accents")
        before = Tokenizer(vocabulary, *case)
        new = [word for word in words if word not in vocabulary.ids]
        if not new:
            raise DataError(source, f"{len(words):,} words, all of them in the vocabulary", "at least one new word")
        self.vocabulary = vocabulary.extended(new, str(source))
        after = Tokenizer(self.vocabulary, *case)
        self.pieces = []
        for word in new:
            is_inner = word.startswith(INNER)
            self.pieces.append(inner_pieces(word, vocabulary) if is_inner else before.encode(word))
            found = [word] if is_inner else [self.vocabulary.tokens[token] for token in after.encode(word)]
            if found != [word]:
                told = f"{word!r}, which text is cut into {' '.join(found) or 'nothing'} before words are looked up"
                advice = "Chinese is split at every character, so that longer words are of no use"
                raise DataError(source, told, "words that the tokenizer keeps whole", advice)
        unknown = [word for word, own in zip(new, self.pieces, strict=True) if {*own} <= {vocabulary.unk}]
        self.report = [f"{source}: {len(new):,} words added, {len(words) - len(new):,} there already"]
        if unknown:
            self.report.append(f"NOTE: {len(unknown):,} of them were unknown ({some_of(unknown)}) and begin as [UNK]")

    def apply(self, network: Network) -> Network:
        """The network with a row for each new word."""
        arrays = dict(network.arrays)
        for name in TABLES:
            if name in arrays:
                rows = [arrays[name][own].mean(axis=0) for own in self.pieces]
                arrays[name] = np.concatenate([arrays[name], np.stack(rows)]).astype("float32")
        geometry = dataclasses.replace(network.geometry, vocab_size=len(self.vocabulary))
        return network._replace(arrays=arrays, geometry=geometry)


def inner_pieces(word: str, vocabulary: Vocabulary) -> list[int]:
    """The ids of the longest pieces within a word that make up `##...`; [UNK]'s where they do not."""
    rest, ids = word.removeprefix(INNER), list[int]()
    while rest:
        size = next((size for size in range(len(rest), 0, -1) if INNER + rest[:size] in vocabulary.ids), 0)
        if not size:
            return [vocabulary.unk]
        ids.append(vocabulary.ids[INNER + rest[:size]])
        rest = rest[size:]
    return ids or [vocabulary.unk]

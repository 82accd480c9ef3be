"""Estimate what a build would make and take, from a few megabytes of the corpus."""

from __future__ import annotations

import dataclasses
import random
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from electra_paddle.config.shards import SEGMENT_RULES
from electra_paddle.data.build import describe, no_text
from electra_paddle.data.compression import measured_expansion
from electra_paddle.data.corpus import corpus_files
from electra_paddle.data.packing import Packer
from electra_paddle.data.parts import Encoder
from electra_paddle.data.text_blocks import sample_text
from electra_paddle.text import Vocabulary

if TYPE_CHECKING:
    from electra_paddle.config.shards import ShardSettings
    from electra_paddle.data.corpus import CorpusFile


SAMPLE_BYTES = 10_000_000


def estimate(
    corpus: Sequence[Path] | Path, vocab_file: Path | str, settings: ShardSettings, num_workers: int = 1
) -> dict[str, Any]:
    """Read a sample and reckon from it.

    Returns:
        dict with num_bytes (of text), num_examples, num_tokens, disk_bytes, seconds, is_guess (the corpus is
        compressed, so its size is reckoned from some of it) and share_of_tokens_kept, a dict by segment rule.

    Raises:
        DataError, ConfigError: as the build itself, for what the sample shows.
    """
    files = corpus_files(corpus, settings)
    vocabulary = Vocabulary.load(vocab_file)
    describe(settings, vocabulary)
    encoder = Encoder(settings, vocabulary)
    packers = {
        rule: Packer(vocabulary, dataclasses.replace(settings, segment_rule=rule), random.Random(settings.seed).random)
        for rule in SEGMENT_RULES
    }
    num_bytes = num_examples = num_tokens = 0
    seconds = 0.0
    start = time.perf_counter()
    for block, count in sample_text(files, settings, SAMPLE_BYTES):
        num_bytes += count
        encoded = encoder.encode(block)
        packed = packers[settings.segment_rule].add(*encoded)
        seconds += time.perf_counter() - start
        num_examples += len(packed.lengths)
        num_tokens += len(packed.ids)
        for rule, packer in packers.items():
            if rule != settings.segment_rule:
                packer.add(*encoded)
        start = time.perf_counter()
    if not num_examples:
        raise no_text()
    total = text_size(files)
    factor = total / num_bytes
    token_bytes = (2 if len(vocabulary) <= 1 << 16 else 4) + settings.word_starts / 8
    return {
        "num_bytes": total,
        "num_examples": round(num_examples * factor),
        "num_tokens": round(num_tokens * factor),
        "disk_bytes": round((num_tokens * token_bytes + num_examples * 16) * factor),
        "seconds": seconds * factor / num_workers,
        "is_guess": any(file.compression for file in files),
        "share_of_tokens_kept": {rule: packer.num_kept / packer.num_tokens for rule, packer in packers.items()},
    }


def text_size(files: Sequence[CorpusFile], num_measured: int = 5) -> int:
    """Bytes of text of a corpus; how much its compressed files hold is measured on a few of them."""
    plain = sum(file.size for file in files if not file.compression)
    compressed = [file for file in files if file.compression]
    if not compressed:
        return plain
    some = compressed[:: -(-len(compressed) // num_measured)]
    expansion = sum(measured_expansion(file) * file.size for file in some) / max(1, sum(file.size for file in some))
    return plain + round(expansion * sum(file.size for file in compressed))

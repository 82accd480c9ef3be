"""A small random corpus and shards of it."""

import random

from electra_paddle.config import ShardSettings
from electra_paddle.data.build import build_pretraining_data

WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *(chr(0x4E00 + number) for number in range(60))]


def random_text(seed, num_documents=40):
    """Documents of six lines each."""
    rng = random.Random(seed)
    lines = []
    for _ in range(num_documents):
        lines += ["".join(rng.choices(WORDS[5:], k=rng.randint(3, 40))) for _ in range(6)] + [""]
    return "\n".join(lines) + "\n"


def build(folder, out="shards", source="corpus.txt", num_workers=1, overwrite=False, size=None, **settings):
    """Build shards of `folder/source` in `folder/out`."""
    sources = [folder / name for name in ([source] if isinstance(source, str) else source)]
    settings = ShardSettings(**{"max_seq_length": 32, **settings})
    return build_pretraining_data(
        sources, folder / "vocab.txt", folder / out, settings, num_workers, overwrite, size=size
    )


def contents(folder):
    """Name and bytes of every file."""
    return {path.name: path.read_bytes() for path in folder.iterdir()}

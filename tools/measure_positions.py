"""How well a generator fills masks at positions near and far: its loss in short sequences and in longer ones.

The same texts are read in sequences of each length, with the same share of their tokens masked at random. A network
that was trained on shorter sequences than it has positions shows there what those positions are worth.
"""

import argparse
import itertools
import json
import sys
from pathlib import Path

LENGTHS = (128, 256, 512)
BATCH = 16
MASKED = 0.15


def main():
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    parser.add_argument("corpus", type=Path, help="file or folder of texts that the network has not seen")
    parser.add_argument("--model", default="chinese-electra-nano-generator", help="directory or name of a generator")
    parser.add_argument("--tokens", type=int, default=60_000, help="tokens that are read [60000]")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    arguments = parser.parse_args()
    result = measure(arguments.model, arguments.corpus, arguments.tokens, arguments.seed)
    print(json.dumps(result) if arguments.json else "\n".join(f"{name}: loss {loss}" for name, loss in result.items()))


def measure(model, corpus, num_tokens, seed):
    """Length and positions -> mean loss of the masked tokens there.

    Raises:
        ElectraPaddleError: there is no such model, or the texts are too few.
    """
    import numpy as np

    import electra_paddle
    from electra_paddle.conversion.published import pretrained_directory
    from electra_paddle.errors import DataError
    from electra_paddle.models.pretrained_directory import load_tokenizer

    tokenizer, network = load_tokenizer(pretrained_directory(model)), electra_paddle.from_pretrained(model)
    vocabulary = tokenizer.vocabulary
    ids = np.array([*itertools.islice(tokens(corpus, tokenizer), num_tokens)])
    if len(ids) < LENGTHS[-1]:
        raise DataError(corpus, f"{len(ids)} tokens", f"at least {LENGTHS[-1]}")
    result = {}
    for length in LENGTHS:
        rows = np.resize(ids, (len(ids) // (length - 2), length - 2))
        rows = np.pad(rows, ((0, 0), (1, 1)), constant_values=((0, 0), (vocabulary.cls, vocabulary.sep)))
        is_masked = np.random.default_rng(seed).random(rows.shape) < MASKED
        is_masked[:, [0, -1]] = False
        losses = losses_of(network, np.where(is_masked, vocabulary.mask, rows), rows)
        for first, last in itertools.pairwise([0, *(each for each in LENGTHS if each <= length)]):
            part = slice(None), slice(first, last)
            name = f"length {length}, positions {first} to {last - 1}"
            result[name] = round(float(losses[part][is_masked[part]].mean()), 3)
    return result


def tokens(corpus, tokenizer):
    """The ids of all texts of a file or folder, one after the other."""
    from electra_paddle.data.mixture import documents_below

    for document in documents_below(corpus):
        yield from tokenizer.encode(document)


def losses_of(network, shown, right):
    """Cross entropy [N, L] of the right tokens [N, L] by a generator that is shown other ones [N, L]."""
    import numpy as np
    import paddle
    import paddle.nn.functional as F

    from electra_paddle.models.heads import vocabulary_logits

    parts = []
    with paddle.no_grad():
        for start in range(0, len(shown), BATCH):
            part = slice(start, start + BATCH)
            logits = vocabulary_logits(network, network.electra(paddle.to_tensor(shown[part])))
            losses = F.cross_entropy(logits, paddle.to_tensor(right[part]), reduction="none")
            parts.append(losses.numpy().reshape(right[part].shape))
    return np.concatenate(parts)


if __name__ == "__main__":
    from electra_paddle.cli import status_of

    sys.exit(status_of(main))

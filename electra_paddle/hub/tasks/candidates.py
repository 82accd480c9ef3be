"""What the generator finds more probable where the discriminator suspects a character.

Shapes: B batch, L sequence, V vocabulary.
"""

from __future__ import annotations

import functools
import threading
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import paddle
import paddle.nn.functional as F
from paddlenlp.transformers import ElectraGenerator

from electra_paddle.batch import TokenBatch
from electra_paddle.errors import CheckpointError
from electra_paddle.hub.tasks.base import encode
from electra_paddle.hub.weights import check_generator, find_weights
from electra_paddle.models import pretrained_directory as pretrained
from electra_paddle.models.encoder import speed_up
from electra_paddle.models.heads import vocabulary_logits
from electra_paddle.tensors import assign
from electra_paddle.text.characters import is_ideograph

if TYPE_CHECKING:
    from paddle import Tensor
    from paddle.nn import Layer

    from electra_paddle.arrays import Array
    from electra_paddle.hub.module import ElectraModule
    from electra_paddle.hub.tasks.base import Options
    from electra_paddle.text import Vocabulary

    Candidates = dict[int, list[tuple[int, float]]]  # place in a row -> (id, probability) pairs, the best first

THRESHOLD = 0.5  # where the discriminator itself would decide
APART = 16  # which leaves 15 in 16 tokens as they are; in pre-training 15% are masked
_BUILDING = threading.Lock()  # several threads may ask for a generator that is not there yet


def generator_of(module: ElectraModule) -> Layer:
    """The generator that was pre-trained with a module's discriminator; a layer of the module from then on.

    Raises:
        CheckpointError, DataError: there is none, or one that does not belong to it.
    """
    with _BUILDING:
        if "generator" not in module._sub_layers:
            module.generator = load_generator(module)
        return module.generator


def load_generator(module: ElectraModule) -> Layer:
    folder = find_weights(module, module.pretrained, "generator")
    check_generator(folder)
    config = pretrained.load_config(folder)
    if pretrained.load_tokenizer(folder).vocabulary.tokens != module.text_tokenizer.vocabulary.tokens:
        raise CheckpointError(folder, "another vocabulary", f"that of {module.assets}, of the same pre-training")
    if config.max_position_embeddings < module.config.max_position_embeddings:
        found, expected = config.max_position_embeddings, module.config.max_position_embeddings
        raise CheckpointError(folder, f"{found} positions", f"{expected}, as in {module.assets}")
    generator = ElectraGenerator(config)
    assign(generator, *pretrained.read_weights(folder))
    speed_up(generator)
    generator.eval()
    return generator


def find_candidates(
    module: ElectraModule, options: Options, suspicion: Array, batch: TokenBatch, count: int
) -> list[Candidates]:
    """The generator's best Chinese characters, of each row of a batch at each suspected place.

    A place is suspected where a Chinese character's suspicion reaches `options.threshold`. In a copy of a row such
    places are masked that are APART tokens apart at least: the generator so sees the characters beside each, most of
    which are right even where they are suspected; and a row has APART copies at most, however many are suspected.

    Args:
        suspicion: [B, L], probabilities.
        batch: arrays [B, L].
        count: candidates of a place.
    """
    threshold = THRESHOLD if options.threshold is None else options.threshold
    is_candidate = chinese_characters(module.text_tokenizer.vocabulary)  # [V]
    suspected = (suspicion >= threshold) & is_candidate[batch.input_ids]  # [B, L]
    copies = [
        (row, group) for row, is_wrong in enumerate(suspected) for group in apart(np.flatnonzero(is_wrong).tolist())
    ]
    found: list[Candidates] = [{} for _ in batch.input_ids]
    for start in range(0, len(copies), options.batch_size):
        some = copies[start : start + options.batch_size]
        places = [(row, place) for row, group in some for place in group]
        probabilities = probabilities_of_copies(module, batch, some)  # [places, V]
        probabilities[:, ~is_candidate] = -1
        best = np.argsort(-probabilities, axis=-1, kind="stable")[:, : min(count, int(is_candidate.sum()))]
        for (row, place), ids, scores in zip(places, best, probabilities, strict=True):
            found[row][place] = list(zip(ids.tolist(), scores[ids].tolist(), strict=True))
    return found


def apart(places: Sequence[int]) -> list[list[int]]:
    """Ascending places in groups, in each of which they are APART tokens apart at least; as few groups as possible."""
    groups: list[list[int]] = []
    for place in places:
        group = next((group for group in groups if place - group[-1] >= APART), None)
        if group is None:
            groups.append([place])
        else:
            group.append(place)
    return groups


def probabilities_of_copies(module: ElectraModule, batch: TokenBatch, copies: Sequence[tuple[int, list[int]]]) -> Array:
    """The generator's probabilities of all tokens [places, V], for each place of each copy.

    Args:
        batch: arrays [B, L].
        copies: (row, ascending places that are masked in a copy of it) pairs.
    """
    vocabulary = module.text_tokenizer.vocabulary
    masked = TokenBatch(*(array[[row for row, _ in copies]] for array in batch))  # [copies, L]
    for ids, (_, places) in zip(masked.input_ids, copies, strict=True):
        ids[places] = vocabulary.mask
    with paddle.no_grad():
        tensors = TokenBatch(*map(paddle.to_tensor, masked))
        return probabilities_at_masks(generator_of(module), tensors, vocabulary).numpy()


def probabilities_at_masks(generator: Layer, batch: TokenBatch, vocabulary: Vocabulary) -> Tensor:
    """Those of all tokens [masks, V] at the masks of a TokenBatch of tensors, in the order of rows and places."""
    hidden = encode(generator.electra, batch)  # [B, L, H]
    masks = paddle.nonzero(batch.input_ids == vocabulary.mask)  # [masks, 2]
    return F.softmax(vocabulary_logits(generator, paddle.gather_nd(hidden, masks)), axis=-1)


@functools.lru_cache(maxsize=8)
def chinese_characters(vocabulary: Vocabulary) -> Array:
    """[V], whether a token is a single Chinese character."""
    return np.array([len(token) == 1 and is_ideograph(token) for token in vocabulary.tokens])

"""An informed initialisation: weights with which a network sees its neighbours from the first update on.

With the original's initial weights both networks spend their first ten thousand updates finding out that the tokens
beside a token matter. Three things put them there at once; each alone changes nothing.

1. *Positions and first heads.* nf frequencies w_m = pi sqrt((m + 1/2) / nf) fill the last 2 nf dimensions of the
   position embeddings with 0.04 sin(i w_m) and 0.04 cos(i w_m), the rest of them is 0. (The square root spreads the
   frequencies unevenly: of evenly spaced ones all waves meet again after 2 nf positions, and a head would look there
   too.) Head h of the first two layers looks at offset d: in its first 2 nf columns the key is s times the position
   dimensions, the query s times those of position i + d, which is a rotation of those of i:
   sin((i + d) w) = sin(i w) cos(d w) + cos(i w) sin(d w), cos((i + d) w) = cos(i w) cos(d w) - sin(i w) sin(d w).
   A query at i and a key at j then have the product s^2 rho^2 sum_m cos((i + d - j) w_m), at most s^2 rho^2 nf, and
   that only at j = i + d. rho is the amplitude behind the layer norm. s makes this score, divided by sqrt(D), 8.
2. *Values that matter.* The value and output weights of these layers have the variance 0.49 / H: what a head has
   seen arrives in about the size of what stands there already. The original's 0.02 is several times smaller.
3. *Word vectors from counts.* Of C[u, w], how often u stands right before w, M = max(0, log(C[u, w] / (c_u P(w))))
   with P(w) ~ c_w^0.75; M ~ U S V^T of rank k; the row of a word is [U S^(1/4), V S^(1/4)], scaled to the norm of a
   random row, in the dimensions that positions do not use.

Source: 3 is positive pointwise mutual information with context smoothing, Levy, Goldberg and Dagan 2015; 1 applies
the rotation property of sinusoidal positions, Vaswani et al. 2017.

Shapes: V vocabulary, E embedding, H hidden, D width of a head, nf frequencies.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np

from electra_paddle.arrays import Array
from electra_paddle.errors import ConfigError
from electra_paddle.models.initialization import generator_of

if TYPE_CHECKING:
    from scipy.sparse import csr_array

    from electra_paddle.config.geometry import Geometry
    from electra_paddle.models.pretraining import ElectraForJointPretraining


AMPLITUDE = 0.04  # of positions, before the layer norm of the embeddings
DAMPING = 0.1  # of word and type embeddings in the dimensions of positions
EXPLAINED = 0.5  # share of the variance of trained positions that waves have to explain to be continued
NUM_LAYERS = 2  # that look at their neighbours
MOST_FREQUENCIES, LEAST_FREQUENCIES = 16, 4
SCORE = 8.0  # of the offset that a head looks at
VALUE_SCALE = 0.7  # times 1 / sqrt(H): standard deviation of value and output weights
RAREST = 5  # words seen less often keep random vectors


def num_frequencies(geometries: Iterable[Geometry | None]) -> int:
    """The number of frequencies that fit into all networks.

    Raises:
        ConfigError: a network too narrow for this initialisation.
    """
    shapes = [shape for shape in geometries if shape]
    room = min(
        min(shape.embedding_size // 8, shape.hidden_size // 8, shape.hidden_size // shape.num_attention_heads // 2)
        for shape in shapes
    )
    if room < LEAST_FREQUENCIES:
        narrow = min(shapes, key=lambda shape: shape.hidden_size // shape.num_attention_heads)
        raise ConfigError(
            "initialization",
            f"informed with embedding_size {narrow.embedding_size}, hidden_size {narrow.hidden_size} and "
            f"{narrow.num_attention_heads} heads",
            f"embeddings and hidden states of at least {8 * LEAST_FREQUENCIES}, heads of at least "
            f"{2 * LEAST_FREQUENCIES}",
            "make the network wider, take fewer heads, or initialization original",
        )
    return min(MOST_FREQUENCIES, room)


def frequencies(count: int) -> Array:
    """[nf] radians a position."""
    return np.pi * np.sqrt((np.arange(count) + 0.5) / count)


def position_table(num_positions: int, size: int, count: int) -> Array:
    """Position embeddings [positions, E]: sines, then cosines, in the last 2 nf dimensions."""
    angles = np.arange(num_positions)[:, None] * frequencies(count)  # [positions, nf]
    table = np.zeros((num_positions, size), np.float32)
    table[:, size - 2 * count :] = AMPLITUDE * np.concatenate([np.sin(angles), np.cos(angles)], axis=1)
    return table


def continue_positions(table: Array, num_trained: int, count: int) -> tuple[Array | None, float]:
    """Position embeddings that go on beyond the sequences of a training as they were within them.

    The rows of trained positions are fitted by the waves of `position_table` and a constant, by least squares; the
    waves go on. The first rows, where sequences begin, stand for no others and are left out.

    Args:
        table: [positions, E].
        num_trained: rows that were trained.
        count: nf.

    Returns:
        (a table whose other rows are continued, or None; the share of the trained rows' variance that waves explain).
        None where that is less than EXPLAINED, or where there are too few rows to tell.
    """
    angles = np.arange(len(table))[:, None] * frequencies(count)  # [positions, nf]
    waves = np.concatenate([np.sin(angles), np.cos(angles), np.ones((len(table), 1))], axis=1)
    used = slice(num_trained // 16, num_trained)
    if len(table[used]) < 2 * waves.shape[1]:
        return None, 0.0
    weights, *_ = np.linalg.lstsq(waves[used], table[used].astype(np.float64), rcond=None)
    fitted = waves @ weights
    left = np.square(table - fitted)[used].sum() / np.square(table - table[used].mean(axis=0))[used].sum()
    if 1 - left < EXPLAINED:
        return None, float(1 - left)
    return np.concatenate([table[:num_trained], fitted[num_trained:].astype(table.dtype)]), float(1 - left)


def offset_of(head: int) -> int:
    """The neighbour that a head looks at, heads counted on through the layers: -1, 1, -2, 2, ..."""
    distance = head // 2 + 1
    return distance if head % 2 else -distance


def rotation(offset: int, count: int) -> Array:
    """[2 nf, 2 nf]: times it from the right, the sines and cosines of position i become those of i + offset."""
    turns = frequencies(count) * offset
    cos, sin = np.diag(np.cos(turns)), np.diag(np.sin(turns))
    return np.block([[cos, -sin], [sin, cos]])


def word_vectors(counts: csr_array, size: int, norm: float, seed: int = 0) -> tuple[Array, Array]:
    """(rows [V, size], whether a token has such a row [V]) of counts [V, V], a scipy sparse array.

    Args:
        size: even; half of it tells what follows a token, half what comes before.
        norm: of each row.
    """
    from scipy import sparse
    from sklearn.utils.extmath import randomized_svd

    counts = sparse.csr_array(counts, dtype=np.float64)
    before, after = counts.sum(axis=1), counts.sum(axis=0)  # [V] as first, as second of a pair
    is_known = (before >= RAREST) & (after >= RAREST)
    smoothed = after**0.75
    smoothed = smoothed / smoothed.sum()
    pairs = counts.tocoo()
    used = is_known[pairs.row] & is_known[pairs.col]
    rows, columns = pairs.row[used], pairs.col[used]
    information = np.log(pairs.data[used] / (before[rows] * smoothed[columns]))
    matrix = sparse.csr_array((np.maximum(information, 0).astype(np.float64), (rows, columns)), shape=counts.shape)
    rank = min(size // 2, min(counts.shape) - 1)
    left, values, right = randomized_svd(matrix, rank, n_iter=4, random_state=seed)
    vectors = np.zeros((counts.shape[0], size), np.float64)
    vectors[:, :rank] = left * values**0.25
    vectors[:, size // 2 : size // 2 + rank] = right.T * values**0.25
    norms = np.linalg.norm(vectors, axis=1)
    is_known &= norms > 0
    vectors[is_known] *= norm / norms[is_known, None]
    return vectors.astype(np.float32), is_known


def inform(model: ElectraForJointPretraining, counts: csr_array, seed: int, std: float = 0.02) -> None:
    """Replace what the informed initialisation says of the networks of a joint model that `initialize` has filled.

    Args:
        model: ElectraForJointPretraining.
        counts: [V, V] scipy sparse array, how often a token stands right before another one.
        seed: of the random values.

    Raises:
        ConfigError: counts of another vocabulary, or networks too narrow.
    """
    networks = {name: net for name in ("generator", "discriminator") if (net := getattr(model, name)) is not None}
    if counts.shape[0] != model.vocab_size:
        raise ConfigError(
            "initialization",
            f"counts of {counts.shape[0]:,} tokens",
            f"those of this vocabulary ({model.vocab_size:,} tokens)",
            "count the pairs of this run's shards",
        )
    count = num_frequencies([shape_of(net) for net in networks.values()])
    done = set()
    for name, net in networks.items():
        electra = net.electra
        if id(electra.embeddings) not in done:
            done.add(id(electra.embeddings))
            scale = inform_embeddings(electra.embeddings, counts, count, std)
        if id(electra) in done:
            continue
        done.add(id(electra))
        if hasattr(electra, "embeddings_project"):
            weight = electra.embeddings_project.weight.numpy()  # [E, H]
            weight[-2 * count :, :] = 0
            weight[:, -2 * count :] = 0
            weight[-2 * count :, -2 * count :] = np.eye(2 * count)
            electra.embeddings_project.weight.set_value(weight)
        for number, layer in enumerate(list(electra.encoder.layers)[:NUM_LAYERS]):
            inform_layer(layer, f"{name}.{number}", number, count, scale, seed)


def shape_of(net: Any) -> Any:
    return net.electra.config if hasattr(net.electra, "config") else net.config


def inform_embeddings(embeddings: Any, counts: csr_array, count: int, std: float) -> float:
    """Fill an embedding block; returns what its layer norm multiplies the amplitude of positions with."""
    words = embeddings.word_embeddings.weight.numpy()  # [V, E]
    kinds = embeddings.token_type_embeddings.weight.numpy()
    size = words.shape[1]
    width = (size - 2 * count) // 2 * 2
    rows, is_known = word_vectors(counts, width, std * math.sqrt(width))
    words[is_known, :width] = rows[is_known]
    words[:, size - 2 * count :] *= DAMPING
    kinds[:, size - 2 * count :] *= DAMPING
    table = embeddings.position_embeddings.weight
    positions = position_table(table.shape[0], size, count)
    embeddings.word_embeddings.weight.set_value(words)
    embeddings.token_type_embeddings.weight.set_value(kinds)
    table.set_value(positions)
    frequent = np.argsort(-np.asarray(counts.sum(axis=1)))[:1000]
    sums = words[frequent] + positions[: len(frequent)][np.arange(len(frequent)) % len(positions)] + kinds[0]
    return 1 / float(np.sqrt(sums.var(axis=1)).mean())


def inform_layer(layer: Any, name: str, number: int, count: int, scale: float, seed: int) -> None:
    """Heads that look at their neighbours, and values that matter."""
    attention = layer.self_attn
    heads, width = attention.num_heads, attention.head_dim
    strength = math.sqrt(SCORE * math.sqrt(width) / (count * (AMPLITUDE * scale) ** 2))
    query, key = attention.q_proj.weight.numpy(), attention.k_proj.weight.numpy()  # [H, H]
    for head in range(heads):
        columns = slice(head * width, head * width + 2 * count)
        for weight in (query, key):
            weight[:, columns] = 0
        key[-2 * count :, columns] = strength * np.eye(2 * count)
        query[-2 * count :, columns] = strength * rotation(offset_of(number * heads + head), count)
    attention.q_proj.weight.set_value(query)
    attention.k_proj.weight.set_value(key)
    for projection in (attention.v_proj, attention.out_proj):
        shape = projection.weight.shape
        rng = generator_of(f"{name}.{'value' if projection is attention.v_proj else 'output'}", seed)
        projection.weight.set_value((rng.standard_normal(shape) * VALUE_SCALE / math.sqrt(shape[0])).astype("float32"))

"""Estimate the memory that pre-training takes on a GPU, from the networks' shapes. Nothing here was measured on a GPU.

What a layer keeps for the backward pass follows from what Paddle's operators save; a test compares it, in float32, with
what they save on a CPU. The rest are sums of shapes and the constants below.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from electra_paddle.config import PretrainingConfig
from electra_paddle.config.loading import build, read_hparams
from electra_paddle.pretraining.cost import FLOAT, num_parameters
from electra_paddle.runtime import DTYPES, MASTER_WEIGHTS

if TYPE_CHECKING:
    from electra_paddle.config.geometry import Geometry

HALF, ID, MASK = 2, 8, 1  # bytes of a number in half precision, of an int64, and of what dropout notes of a number
# Read from the libraries of paddlepaddle-gpu 2.6.2: 0.69 GB of machine code for compute capability 8.0, all of which
# CUDA 11.8 loads. The driver's context and cuBLAS's workspace are assumed to take 0.5 GB more.
CONTEXT = 1.2e9
SLACK = 1.1  # assumed: what the allocator holds over what is in use, as measured on a CPU
# While tokens are drawn: logits, their copy in float32, the loss's softmax and the one of what is drawn from. The
# backward pass takes less.
LOGIT_BYTES = 4 * FLOAT
NUM_GRADIENTS = 3  # of the largest values of a layer, at once in its backward pass: assumed
CARDS = (16, 24, 40, 80)  # GB
GB, MB = 1e9, 1e6
RECIPES = ("small", "small_ex", "base", "large")  # of configs/model/ and configs/pretraining/
VOCAB_SIZE = 21128  # of Chinese BERT, with which they were published


@dataclasses.dataclass(frozen=True)
class GpuMemory:
    """Bytes on the GPU of one process at its highest.

    Attributes:
        context: of CUDA and of Paddle's kernels.
        weights: in float32, also in half precision: Paddle's level O1 keeps no other master weights, and with bf16_o2
            these are them.
        joined: the weights of queries, keys and values next to each other, twice, for one product of all three.
        half_copies: of the weights for products in half precision, until the backward pass has used them: at most.
            With bf16_o2 the network's own weights.
        gradients: in float32, with bf16_o2 in bfloat16.
        moments: in float32.
        messages: gradients once more, which fleet sends while the backward pass goes on.
        activations: kept for the backward pass, with the largest gradients in it.
        logits: [sequences, masked positions, vocabulary], in all forms that exist at once.
        evaluation: takes the place of the two before where it is larger.
    """

    context: float
    weights: float
    joined: float
    half_copies: float
    gradients: float
    moments: float
    messages: float
    activations: float
    logits: float
    evaluation: float

    @property
    def fixed(self) -> float:
        """What does not depend on the number of sequences."""
        of_weights = self.weights + self.joined + self.half_copies
        return self.context + of_weights + self.gradients + self.moments + self.messages

    @property
    def total(self) -> float:
        return self.fixed + max(self.activations + self.logits, self.evaluation)


def gpu_memory(
    config: PretrainingConfig, generator: Geometry | None, discriminator: Geometry | None, num_processes: int = 1
) -> GpuMemory:
    """The GpuMemory of each process."""
    sequences = config.train_batch_size // (num_processes * config.gradient_accumulation_steps)
    tokens = sequences * config.max_seq_length
    slots = sequences * config.max_predictions_per_seq
    has_masters = config.precision in MASTER_WEIGHTS
    is_half = DTYPES[config.precision] != "float32"
    number = HALF if has_masters else FLOAT  # bytes of a gradient
    numbers = num_parameters(config, generator, discriminator)[2]
    networks = [net for net in (generator, discriminator) if net]
    kept = sum(activation_bytes(net, config.max_seq_length, is_half, config.recompute) for net in networks)
    passing = max(gradient_bytes(net, config.max_seq_length) for net in networks)
    vocab_size = networks[0].vocab_size
    is_overlapped = num_processes > 1 and not config.recompute
    return GpuMemory(
        context=CONTEXT,
        weights=FLOAT * numbers,
        joined=sum(joined_bytes(net) for net in networks) * number / FLOAT,
        half_copies=HALF * numbers if is_half else 0,
        gradients=number * numbers,
        moments=2 * FLOAT * numbers / (num_processes if config.sharding_stage else 1),
        messages=number * numbers if is_overlapped else 0,
        activations=SLACK * tokens * (kept + passing),
        logits=SLACK * LOGIT_BYTES * slots * vocab_size,
        evaluation=SLACK * LOGIT_BYTES * config.eval_rows_at_once * config.max_predictions_per_seq * vocab_size,
    )


def activation_bytes(net: Geometry, length: int, is_half: bool = False, recompute: bool = False) -> int:
    """Bytes that one network keeps of a token until the backward pass; with `recompute` one layer, and the others'
    input."""
    layer = layer_bytes(net, length, is_half)
    inputs = net.num_hidden_layers * FLOAT * net.hidden_size
    layers = layer + inputs if recompute else net.num_hidden_layers * layer
    return layers + embedding_bytes(net)


def joined_bytes(net: Geometry) -> int:
    """Bytes of the weights and biases of queries, keys and values as one product of each layer takes them.

    They are stacked for all layers at once, and the weights are then brought into the product's order.
    """
    weight, bias = 3 * net.hidden_size**2, 3 * net.hidden_size
    return FLOAT * net.num_hidden_layers * (2 * weight + bias)


def layer_bytes(net: Geometry, length: int, is_half: bool = False) -> int:
    """Bytes that Paddle's operators keep of a token in one layer, attention not fused.

    In half precision (level O1) that are the inputs of products, each cast by itself; softmax and norms stay in
    float32, and so does what a bias was added to; at level O2 it is no more than that. Fused attention, which Paddle 3
    has, keeps less.
    """
    hidden, inner, scores = net.hidden_size, net.intermediate_size, net.num_attention_heads * length
    factors = 3 * hidden + scores + hidden + hidden + inner  # q, k, v; probabilities; inputs of three more products
    inputs = hidden  # of the product that makes q, k and v
    in_float32 = 2 * hidden + 4 + inner + scores  # two norms with their two statistics, GELU, softmax
    dropped = 2 * hidden + scores
    return (HALF if is_half else FLOAT) * (factors + inputs) + FLOAT * in_float32 + MASK * dropped


def embedding_bytes(net: Geometry) -> int:
    """Bytes that are kept of a token before the first layer: three ids, and a norm with its statistics, dropout and
    output."""
    return 3 * ID + FLOAT * (2 * net.embedding_size + 2) + MASK * net.embedding_size


def gradient_bytes(net: Geometry, length: int) -> int:
    """Bytes of a token's gradients within a layer, at once in the backward pass."""
    return NUM_GRADIENTS * FLOAT * max(net.num_attention_heads * length, net.intermediate_size)


def cards_that_fit(num_bytes: float) -> list[int]:
    """The sizes of CARDS, in GB, that have room for it."""
    return [card for card in CARDS if num_bytes <= card * GB]


def published_recipe(size: str, **changes: Any) -> PretrainingConfig:
    """The configuration of configs/model/SIZE.yaml and configs/pretraining/SIZE.yaml."""
    values: dict[str, Any] = {}
    for folder in ("model", "pretraining"):
        values |= read_hparams(f"configs/{folder}/{size}.yaml")[0]
    values |= changes
    return build(PretrainingConfig, values, dict.fromkeys(values, size))


def most_sequences(config: PretrainingConfig, card: int) -> int:
    """The largest divisor of a recipe's batch whose sequences fit into one card at once; 0 if not even one does."""
    batch = config.train_batch_size
    for parts in (number for number in range(1, batch + 1) if not batch % number):
        part = dataclasses.replace(config, gradient_accumulation_steps=parts)
        if gpu_memory(part, *config.geometries(VOCAB_SIZE)).total <= card * GB:
            return batch // parts
    return 0


def recipes_table() -> str:
    """A table in Markdown: published recipes, and how many sequences x `gradient_accumulation_steps` fit into a card.

    Its columns are names of hyper-parameters and sizes, so that it is the same in every language.
    """
    columns = ["model", "train_batch_size", "precision", "recompute", "GB + MB x N", *(f"{card} GB" for card in CARDS)]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (columns, ["-"] * len(columns), *table_rows()))


def table_rows() -> Iterator[list[str]]:
    for size in RECIPES:
        for precision, recompute in (("fp32", False), ("bf16", False), ("bf16", True), ("bf16_o2", True)):
            config = published_recipe(size, precision=precision, recompute=recompute)
            batch = config.train_batch_size
            memory = gpu_memory(config, *config.geometries(VOCAB_SIZE))
            counts = [most_sequences(config, card) for card in CARDS]
            yield [
                size,
                f"{batch:,}",
                precision,
                str(recompute).lower(),
                f"{memory.fixed / GB:.1f} + {(memory.activations + memory.logits) / batch / MB:,.0f} N",
                *(f"{count:,} x {batch // count}" if count else "none" for count in counts),
            ]

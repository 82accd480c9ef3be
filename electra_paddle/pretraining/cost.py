"""Estimate memory, disk and operations of a pre-training run from the networks' shapes."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from electra_paddle.config.geometry import Geometry
    from electra_paddle.config.pretraining import PretrainingConfig


FLOAT = 4  # bytes
RUNTIME = 490e6  # measured: the interpreter, Paddle 3.3 and parts of PaddleNLP 413 MB, the rest in the first updates
SLACK = 1.1  # measured: what the allocator holds after a few updates over what is in use at a time
LOGIT_COPIES = 4  # the logits, their softmax, gradient, and one more in between
EVALUATION_COPIES = 3.5  # measured


@dataclasses.dataclass(frozen=True)
class Memory:
    """Bytes of one process at its highest, in an update, in an evaluation or while it writes a checkpoint."""

    runtime: float
    parameters: float
    moments: float
    gradients: float
    activations: float
    logits: float
    evaluation: float  # this and what follows take the place of the three before where they are larger
    checkpoint: float

    @property
    def update(self) -> float:
        return self.gradients + self.activations + self.logits

    @property
    def total(self) -> float:
        return self.runtime + self.parameters + self.moments + max(self.update, self.evaluation, self.checkpoint)


def num_parameters(
    config: PretrainingConfig, generator: Geometry | None, discriminator: Geometry | None
) -> tuple[int, int, int]:
    """(of the generator, of the discriminator, in all); what the networks share counts once in all."""
    of_generator = of_discriminator = shared = 0
    if generator:
        of_generator = generator.num_body_parameters + generator.num_mlm_head_parameters
    if discriminator:
        of_discriminator = discriminator.num_body_parameters + discriminator.num_rtd_head_parameters
    if generator and discriminator and not config.untied_generator:
        shared = discriminator.num_body_parameters
    elif generator and discriminator and not config.untied_generator_embeddings:
        shared = discriminator.num_embedding_parameters
    return of_generator, of_discriminator, of_generator + of_discriminator - shared


def checkpoint_bytes(num_parameters: int) -> int:
    """Bytes of a checkpoint on disk: every parameter and its two moments."""
    return 3 * FLOAT * num_parameters


def memory(
    config: PretrainingConfig, generator: Geometry | None, discriminator: Geometry | None, num_processes: int = 1
) -> Memory:
    """The Memory of each process."""
    sequences = config.train_batch_size // (num_processes * config.gradient_accumulation_steps)
    tokens = sequences * config.max_seq_length
    slots = sequences * config.max_predictions_per_seq
    eval_slots = config.eval_rows_at_once * config.max_predictions_per_seq
    parameters = FLOAT * num_parameters(config, generator, discriminator)[2]
    networks = [net for net in (generator, discriminator) if net]
    activations = sum(activation_bytes(net, config.max_seq_length, config.recompute) for net in networks)
    moments = 2 * parameters / (num_processes if config.sharding_stage else 1)
    return Memory(
        runtime=RUNTIME,
        parameters=parameters,
        moments=moments,
        gradients=parameters,
        activations=SLACK * tokens * activations,
        logits=SLACK * LOGIT_COPIES * FLOAT * slots * networks[0].vocab_size,
        evaluation=EVALUATION_COPIES * FLOAT * eval_slots * networks[0].vocab_size,
        checkpoint=2 * max(parameters, moments),  # as arrays, and once more as the bytes of the file
    )


def activation_bytes(net: Geometry, length: int, recompute: bool = False) -> int:
    """Bytes that one network keeps of a token until the backward pass; with `recompute` one layer, and the others'
    input.

    Of a layer on a CPU (`models/cpu_ops.py`): query, key, value, context, the normal numbers and the outputs of two
    norms, the input of the activation, the attention's probabilities, and a byte for each number that dropout sees.
    """
    numbers = 8 * net.hidden_size + net.intermediate_size
    attention = net.num_attention_heads * length
    dropped = 2 * net.hidden_size + attention
    layer = FLOAT * (numbers + attention) + dropped
    if recompute:
        return layer + net.num_hidden_layers * FLOAT * net.hidden_size
    return net.num_hidden_layers * layer

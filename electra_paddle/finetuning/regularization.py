"""Training passes that make a network steadier: R-Drop and FGM. Shapes: B batch, L sequence, E embedding."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import paddle
import paddle.nn.functional as F

from electra_paddle.models import cpu_ops

if TYPE_CHECKING:
    from paddle import Tensor
    from paddle.nn import Layer

    from electra_paddle.finetuning.kinds.base import AnyKind


def training_output(kind: AnyKind, network: Layer, batch: Any) -> Any:
    """The kind's output for a training batch, whose loss has the terms that the configuration asks for.

    R-Drop (Liang et al. 2021): the mean of two passes with different dropout, and `r_drop_alpha` times their
    divergence. FGM (Miyato et al. 2017): the loss of one more pass is added, in which each row's word embeddings are
    moved by `fgm_epsilon` along their gradient. Both are taken row by row, so that they do not depend on how a batch is
    cut into processes and accumulated parts.
    """
    config = kind.config
    if not (config.fgm_epsilon or config.r_drop_alpha):
        return kind.forward(network, batch)
    with watched_embeddings(network) as embeddings:
        output = kind.forward(network, batch)
    loss = output.loss
    if config.r_drop_alpha:
        other = kind.forward(network, batch)
        loss = (loss + other.loss) / 2 + config.r_drop_alpha * kind.divergence(batch, output, other)
    if config.fgm_epsilon:
        with cpu_ops.passing_by_parameters():
            gradients = paddle.grad([output.loss], embeddings, retain_graph=True)
        steps = [config.fgm_epsilon * unit_rows(gradient) for gradient in gradients]
        with moved_embeddings(network, steps):
            loss = loss + kind.forward(network, batch).loss
    return output._replace(loss=loss)


def unit_rows(gradient: Tensor) -> Tensor:
    """Each row of [B, L, E] divided by its length; rows of zeros stay."""
    flat = gradient.astype("float32").flatten(1)  # [B, L * E]
    return F.normalize(flat, axis=1, epsilon=1e-30).reshape(gradient.shape).detach()


@contextlib.contextmanager
def watched_embeddings(network: Layer) -> Iterator[list[Tensor]]:
    """Context in which the word embeddings [B, L, E] of forward passes are collected."""
    found: list[Tensor] = []
    with hooked(network, lambda _, __, output: found.append(output)):
        yield found


@contextlib.contextmanager
def moved_embeddings(network: Layer, steps: list[Tensor]) -> Iterator[None]:
    """Context in which the word embeddings of the next forward passes are moved by the steps, in their order."""
    left = iter(steps)
    with hooked(network, lambda _, __, output: output + next(left).astype(output.dtype)):
        yield


@contextlib.contextmanager
def hooked(network: Layer, hook: Any) -> Iterator[None]:
    handle = network.electra.embeddings.word_embeddings.register_forward_post_hook(hook)
    try:
        yield
    finally:
        handle.remove()

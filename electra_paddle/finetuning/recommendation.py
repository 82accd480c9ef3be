"""Hyper-parameters that a stranger should begin with: those of his task and of his model's size."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from electra_paddle import runtime
from electra_paddle.config.geometry import SIZES
from electra_paddle.finetuning.job import DROPOUT, find_source, most_positions

if TYPE_CHECKING:
    from electra_paddle.config import FinetuningConfig
    from electra_paddle.finetuning.description import TaskDescription

NANO_SHAPE = (256, 4)  # hidden_size, num_hidden_layers

# For tasks that recommend nothing themselves. Source: appendix B of ELECTRA (Clark et al., 2020); of nano: measured.
OF_SIZE: dict[str, dict[str, Any]] = {
    "nano": {"learning_rate": 2e-4, "layerwise_lr_decay": 0.0, "model_hparam_overrides": dict.fromkeys(DROPOUT, 0.1)},
    "small": {"learning_rate": 3e-4},
    "base": {"learning_rate": 1e-4},
    "large": {"learning_rate": 5e-5, "layerwise_lr_decay": 0.9},
}

OF_KIND: dict[str, dict[str, Any]] = {"reading_comprehension": {"max_seq_length": 512}}  # as the original reads texts


def recommended_for(description: TaskDescription, size: str) -> dict[str, Any]:
    """The hyper-parameters that are recommended for a task and a size of model."""
    of_kind, of_task = OF_KIND.get(description.kind, {}), description.recommended
    return {**OF_SIZE[size], **of_kind, **of_task.get("all", {}), **of_task.get(size, {})}


def size_of(network: Mapping[str, Any]) -> str:
    """nano, small, base or large: the size whose recommendations fit a network best."""
    hidden_size = network.get("hidden_size", 256)
    if (hidden_size, network.get("num_hidden_layers")) == NANO_SHAPE:
        return "nano"
    return min(SIZES, key=lambda size: abs(SIZES[size][0] - hidden_size))


def with_recommended(
    description: TaskDescription, build: Callable[[Mapping[str, Any]], FinetuningConfig]
) -> tuple[FinetuningConfig, str]:
    """(the configuration of a run on a task, a line that says what was chosen for it, or "").

    Args:
        build: makes it from values that take the place of defaults; what the user says wins over them.
    """
    config = build({})
    if not config.recommended or config.debug:
        return config, ""
    network = find_source(config)[1]
    size = size_of(network)
    values = recommended_for(description, size)
    if "max_seq_length" in values:
        values["max_seq_length"] = min(values["max_seq_length"], most_positions(network))
    chosen = build(values)
    taken = [f"{name} {getattr(chosen, name)}" for name in values if getattr(chosen, name) != getattr(config, name)]
    note = f"{description.name}: recommended for a {size} model: {', '.join(taken)} (--recommended false: none)"
    return chosen, note if taken else ""


def say(note: str) -> None:
    """Print a note that there may be, where one process of the job does it for all."""
    if note and runtime.is_main():
        print(note)

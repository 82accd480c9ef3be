"""The published models that are known by name."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace


DESCRIPTION = "List the published models: sizes, training data, licence, and whether they are on this computer."

COLUMNS = ("name", "component", "layers", "hidden", "parameters", "training data", "licence", "on this computer")


def add_arguments(parser: ArgumentParser) -> None:
    pass


def run(arguments: Namespace) -> None:
    rows = [COLUMNS, *map(row_of, networks())]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
    print(
        "\nA name alone stands for the discriminator, in pre-training for both networks; `hfl/NAME-COMPONENT` for one."
    )


def networks() -> list[Any]:
    """(model, component) of all."""
    from electra_paddle.published_models import COMPONENTS, MODELS

    return [(model, component) for model in MODELS for component in COMPONENTS]


def row_of(network: Any) -> tuple[str, ...]:
    """The cells of a line."""
    from electra_paddle.conversion.published import geometry, state_of

    model, component = network
    shape = geometry(model, component)
    head = shape.num_rtd_head_parameters if component == "discriminator" else shape.num_mlm_head_parameters
    sizes = (shape.num_hidden_layers, shape.hidden_size, f"{shape.num_body_parameters + head:,}")
    state = state_of(model.repository(component))
    return (model.name, component, *map(str, sizes), model.training_data, model.licence, state)

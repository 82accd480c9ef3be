"""The last part of a pre-training run whose end was not known."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from electra_paddle.errors import CheckpointError, ConfigError

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace


DESCRIPTION = "Ask a pre-training run, going on or stopped, to let its learning rate fall to 0 and to end."


def add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("model_dir", type=Path, help="folder of the run; its lr_schedule is warmup_stable_decay")


def run(arguments: Namespace) -> None:
    from electra_paddle.files import replace_text
    from electra_paddle.models.pretrained_directory import read_json
    from electra_paddle.pretraining.run import DECAY_REQUEST

    path = arguments.model_dir / "pretraining_config.json"
    if not path.is_file():
        raise CheckpointError(path, "no such file", "the folder of a pre-training run")
    config = read_json(path)
    if not config.get("num_decay_steps"):
        raise ConfigError(
            f"{path}: lr_schedule",
            config.get("lr_schedule", "linear"),
            "warmup_stable_decay",
            "the learning rate of other schedules falls, or does not, as they began",
        )
    replace_text(arguments.model_dir / DECAY_REQUEST, "")
    print(
        f"{arguments.model_dir}: at its next line of metrics the run begins its last {config['num_decay_steps']:,} "
        "updates; a stopped one goes on with the same command"
    )

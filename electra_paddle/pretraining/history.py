"""What a run was made with, from its first update on: kept in checkpoints, compared when it goes on."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from electra_paddle import runtime
from electra_paddle.config import PretrainingConfig
from electra_paddle.config.changes import changes_between, plain_settings, shown
from electra_paddle.data.shards import MANIFEST
from electra_paddle.errors import ConfigError
from electra_paddle.files import sha256
from electra_paddle.models.pretrained_directory import WEIGHTS
from electra_paddle.training.checkpoint import Checkpoint

UNTOLD = {  # changes of these are no news: what is done now, and where things lie
    "do_train", "do_eval", "allow_changes", "debug", "data_dir", "model_name", "model_dir", "pretrain_shards",
    "vocab_file",
}  # fmt: skip
ANEW = "choose another model_name to begin anew; --allow-changes true goes on all the same, and records it"


class History(NamedTuple):
    """The settings of a run, and how they changed."""

    settings: dict[str, Any]  # the entries of the configuration, and fingerprints of what else decides
    changes: list[dict[str, Any]]  # each {"after_update": int, "name": str, "before": ..., "now": ...}

    def progress(self) -> dict[str, Any]:
        """What a checkpoint keeps of it."""
        return {"settings": self.settings, "changes": self.changes}

    def lines(self) -> list[str]:
        """A line of text for each change."""
        return [
            f"after update {change['after_update']:,}: {change['name']} {shown(change['before'])} -> "
            f"{shown(change['now'])}"
            for change in self.changes
        ]


def continue_history(config: PretrainingConfig, do_lower_case: bool, checkpoint: Checkpoint | None) -> History:
    """The history of a run that begins, or goes on from a checkpoint with the settings of now.

    Raises:
        ConfigError: fewer updates are wanted than were made, or the settings make another experiment.
    """
    settings = {
        **plain_settings(config),
        "do_lower_case": do_lower_case,
        "processes": runtime.num_processes(),
        "shards": sha256(config.pretrain_shards / MANIFEST),
        "init_weights": weights_digest(config.init_from),
    }
    if checkpoint is None:
        return History(settings, [])
    if config.do_train and config.num_train_steps < checkpoint.step:
        raise ConfigError(
            "num_train_steps",
            f"{config.num_train_steps:,} for a run that has made {checkpoint.step:,} updates",
            "at least as many",
            "choose another model_name to begin anew",
        )
    before = checkpoint.progress.get("settings")
    if before is None:  # of an earlier version, which kept one entry
        before = {name: checkpoint.progress[name] for name in ("initialization",) if name in checkpoint.progress}
        if runtime.is_main():
            print(f"{checkpoint.path}: does not say which settings it was made with, so few can be compared")
    else:
        settings |= first_weights_entries(config, before)
    changes = changes_between(before, settings)
    others = [change for change in changes if change.name not in config.MAY_CHANGE]
    if others and not config.allow_changes and config.do_train:
        raise ConfigError(
            config.model_dir,
            f"other settings than {checkpoint.step:,} updates were made with ({', '.join(map(str, others))})",
            "the same experiment",
            ANEW,
        )
    told = [change for change in changes if change.name not in UNTOLD]
    if told and runtime.is_main() and config.do_train:
        print(f"changed after update {checkpoint.step:,}: {', '.join(map(str, told))}")
    entries = [{"after_update": checkpoint.step, **change._asdict()} for change in told]
    return History(settings, [*checkpoint.progress.get("changes", []), *entries])


def first_weights_entries(config: PretrainingConfig, before: Mapping[str, Any]) -> dict[str, Any]:
    """The entries about init_from of a run that goes on, whose weights come from the checkpoint.

    Left out, gone, or elsewhere with the same bytes, they are what they were.
    """
    kept = {name: before.get(name) for name in ("init_from", "init_weights")}
    given = config.init_from
    if given is None or (not given.exists() and str(given) == kept["init_from"]):
        return kept
    digest = weights_digest(given)
    return kept if digest and digest == kept["init_weights"] else {"init_weights": digest}


def weights_digest(folder: Path | None) -> str | None:
    """SHA-256 of the weights in a local folder, of one network or of both; None where there are none."""
    if folder is None:
        return None
    files = [folder / WEIGHTS, *(folder / name / WEIGHTS for name in ("generator", "discriminator"))]
    digests = [sha256(file) for file in files if file.is_file()]
    return " ".join(digests) or None

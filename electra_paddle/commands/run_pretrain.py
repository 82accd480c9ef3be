"""Joint pre-training of generator and discriminator, from shards to pretrained directories."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from electra_paddle.config import PretrainingConfig, add_entries, resolve

if TYPE_CHECKING:
    from electra_paddle.pretraining.run import PretrainingResult


DESCRIPTION = "Pre-train a generator and a discriminator; the same command again resumes."


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_entries(parser, PretrainingConfig)
    parser.add_argument("--dry-run", action="store_true", help="print sizes, memory and lengths of the run, then exit")
    parser.add_argument("--measure", action="store_true", help="with --dry-run: make some updates, and tell the hours")
    parser.add_argument("--device", choices=("cpu", "gpu"), help="with --dry-run: whose memory is estimated [cpu]")


def run(arguments: argparse.Namespace) -> None:
    from electra_paddle import runtime
    from electra_paddle.errors import ConfigError
    from electra_paddle.pretraining import dry_run
    from electra_paddle.pretraining.job import prepare
    from electra_paddle.pretraining.measurement import seconds_per_update
    from electra_paddle.pretraining.run import pretrain

    config = resolve(PretrainingConfig, arguments)
    if arguments.measure and not arguments.dry_run:
        raise ConfigError("--measure", "without --dry-run", "both", "a run itself shows its rate")
    if arguments.device and not arguments.dry_run:
        raise ConfigError("--device", "without --dry-run", "both", "a run takes the GPU where Paddle finds one")
    if arguments.dry_run:
        job = prepare(config)
        seconds = seconds_per_update(job) if arguments.measure else None
        if runtime.is_main():
            dry_run.show(job, runtime.num_processes(), seconds, arguments.device or "cpu")
        return
    result = pretrain(config)
    if runtime.is_main():
        say_what_now(result, config)
    runtime.leave()


def say_what_now(result: PretrainingResult, config: PretrainingConfig) -> None:
    """Print where the networks lie, how good they are, and what one does with them."""
    for name, folder in (("generator", result.generator), ("discriminator", result.discriminator)):
        if folder:
            print(f"{folder}: {name} written")
    scores = {name: result.scores[name] for name in ("masked_lm_accuracy", "disc_auc") if name in result.scores}
    if scores:
        print("evaluation: " + ", ".join(f"{name} {value:.4f}" for name, value in scores.items()))
    if result.discriminator:
        print(
            "next: python tasks/run_finetuning.py "
            f"--data-dir {config.data_dir} --model-name {config.model_name} --task-names chnsenticorp"
        )
    if result.generator or result.discriminator:
        print(f'in Python: electra_paddle.from_pretrained("{result.discriminator or result.generator}")')

"""Pre-training: one call from a configuration to pretrained directories."""

from __future__ import annotations

import contextlib
import dataclasses
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from electra_paddle import runtime
from electra_paddle.config import PretrainingConfig, save_config
from electra_paddle.config.geometry import training_flops
from electra_paddle.config.loading import build_config
from electra_paddle.locks import only_writer, wait_for_writer
from electra_paddle.pretraining.history import History
from electra_paddle.pretraining.job import SETTINGS, Job, clear_debug_run, prepare
from electra_paddle.training.callbacks import Callback

if TYPE_CHECKING:
    from paddlenlp.transformers.electra.modeling import ElectraPretrainedModel

    from electra_paddle.models.pretraining import ElectraForJointPretraining
    from electra_paddle.training.session import SessionSettings

PAIR_COUNTS = "pair_counts.npz"  # in the folder of the model, for the informed initialisation
WAITING_SECONDS = 20  # that other processes wait for a message at most
DECAY_REQUEST = "decay_request"  # a file in the folder of the model, which `begin_decay` writes


@dataclasses.dataclass(frozen=True)
class PretrainingResult:
    """The result of a pre-training.

    Attributes:
        generator, discriminator: pretrained directories; None where there is no such network, or nothing was trained.
        model_dir: folder of the run, with checkpoints and logs.
        num_steps: updates done.
        scores: the last evaluation; {} where there was none.
    """

    generator: Path | None
    discriminator: Path | None
    model_dir: Path
    num_steps: int
    scores: dict[str, float]


def pretrain(
    config: PretrainingConfig | None = None, *, callbacks: Sequence[Callback] = (), **settings: Any
) -> PretrainingResult:
    """Pre-train, or with `do_eval` only evaluate; a run that was interrupted goes on from its newest checkpoint.

    Args:
        config: all settings; or give them as keyword arguments, under the names of PretrainingConfig's fields.
        callbacks: called at the run's events, after its own.

    Raises:
        ElectraPaddleError: something does not fit; nothing is overwritten.
        Interrupted: by SIGTERM or Ctrl-C; a checkpoint is written.

    Examples:
        >>> result = pretrain(data_dir="runs/wiki", model_name="mine", num_train_steps=1000)
        >>> from_pretrained(result.discriminator)
    """
    whole = build_config(PretrainingConfig, config, settings)
    with writing_to_run(whole):
        if whole.debug:
            clear_debug_run(whole.model_dir)
        job = prepare(whole)
        runtime.start(whole.deterministic)
        with runtime.last_to_fail():
            return run(job, callbacks)


@contextlib.contextmanager
def writing_to_run(config: PretrainingConfig) -> Iterator[None]:
    """Context in which only this job writes the run's folder; its main process holds the lock for all of them."""
    if not config.do_train:
        yield
    elif runtime.is_main():
        with only_writer(config.model_dir, runtime.job_name()):
            yield
    else:
        if config.debug:  # before it empties the folder
            wait_for_writer(config.model_dir, runtime.job_name())
        yield


def run(job: Job, callbacks: Sequence[Callback] = ()) -> PretrainingResult:
    """Train, or only evaluate, and write the pretrained directories."""
    from electra_paddle.models.encoder import fuse_attention
    from electra_paddle.models.warm_start import fill_networks
    from electra_paddle.pretraining.reports import Reports
    from electra_paddle.pretraining.verification import ShardVerification
    from electra_paddle.training.callbacks import DecayOnRequest
    from electra_paddle.training.loggers import Run
    from electra_paddle.training.monitor import Monitor
    from electra_paddle.training.session import Session, load_callbacks

    config = job.config
    model = job.objective.build(job.generator, job.discriminator)
    reports = Reports(job, model)
    lines = fill_networks(model, job.first_weights, config.shared_prefix) if job.first_weights else []
    if config.initialization == "informed" and not job.checkpoint:
        lines += inform_networks(job, model)
    session = Session(
        model,
        session_settings(config),
        job.checkpoints,
        job.checkpoint,
        job.start,
        config.rate_factors([name for name, _ in model.named_parameters()]),
        [
            *([DecayOnRequest(config.model_dir / DECAY_REQUEST, config.log_steps)] if config.num_decay_steps else []),
            *([ShardVerification(job.shard_folders, config.verify_shards)] if config.do_train else []),
            reports,
            *load_callbacks(config.callbacks, callbacks),
        ],
    )
    session.progress |= job.history.progress()
    notes = [*session.notes, fuse_attention(model, session.precision)]
    if runtime.is_main():
        print("".join(line + "\n" for line in lines), end="")
        announce(job, model)
        print("".join(note + "\n" for note in notes if note), end="")
        if config.do_train:
            config.model_dir.mkdir(parents=True, exist_ok=True)
            save_config(config, config.model_dir / SETTINGS, history=job.history.changes)
    if config.recompute:
        runtime.recompute(model.encoder_layers())
    moments = session.optimizer.moment_bytes if config.sharding_stage else []
    if moments and runtime.is_main():
        sizes = " + ".join(f"{size:,}" for size in moments)
        print(f"Adam's moments: {sizes} bytes, a part in each process")
    monitor = Monitor(
        Run(config.model_dir, config.model_name, job.start, session.ending.step, "pre-train"),
        config.loggers if config.do_train else ["progress"],
        config.log_steps,
        config.train_batch_size,
        "pretrain",
        training_flops(job.generator, job.discriminator, config.max_seq_length, config.max_predictions_per_seq),
        runtime.DTYPES[session.precision],
    )
    if config.do_eval:
        session.monitor = monitor
        scores = reports.evaluate(session)
        monitor.close()
        return PretrainingResult(None, None, config.model_dir, session.step, scores)
    session.run(
        job.batches.iterate(job.start, config.num_train_steps),
        monitor,
        job.objective.training_metrics,
        config.recompute,
    )
    folders = {name: config.model_dir / name for name, _ in job.objective.networks(model)}
    if runtime.is_main():
        save_networks(job, model, session.step)
    return PretrainingResult(
        folders.get("generator"), folders.get("discriminator"), config.model_dir, session.step, reports.scores
    )


def session_settings(config: PretrainingConfig) -> SessionSettings:
    """The settings of a Session, from a configuration."""
    from electra_paddle.training.session import SessionSettings

    names = [field.name for field in dataclasses.fields(SessionSettings)]
    return SessionSettings(**{name: getattr(config, name) for name in names if hasattr(config, name)})


def inform_networks(job: Job, model: ElectraForJointPretraining) -> list[str]:
    """Apply the informed initialisation to new networks; returns a line that says so.

    One process counts and computes, the others get its weights. Now and then it tells them that it is still there:
    counting a large corpus takes longer than a message may wait.
    """
    from tqdm import tqdm

    from electra_paddle.data.pairs import count_pairs
    from electra_paddle.models.informed import inform

    lines: list[str] = []
    if runtime.is_main():
        told = time.monotonic()

        def on_tokens(count: int) -> None:
            nonlocal told
            progress.update(count)
            if time.monotonic() - told > WAITING_SECONDS:
                told = time.monotonic()
                runtime.is_any(False)

        with tqdm(desc="count neighbours", unit="token", unit_scale=True, delay=5) as progress:
            counts = count_pairs(job.batches.shards, job.vocabulary, job.config.model_dir / PAIR_COUNTS, on_tokens)
        inform(model, counts, job.config.seed)
        lines = [f"informed initialisation: {counts.sum():,} pairs of neighbours, {counts.nnz:,} different ones"]
        runtime.is_any(True)
    else:
        while not runtime.is_any(False):
            pass
    if runtime.num_processes() > 1:
        runtime.send_from(0, list(model.parameters()))
    return lines


def announce(job: Job, model: ElectraForJointPretraining) -> None:
    """Print what is trained, and on how much."""
    from electra_paddle.models.initialization import num_parameters

    counts = [f"{name} {num_parameters(network):,}" for name, network in job.objective.networks(model)]
    evaluated = f", {len(job.eval_batches.shards):,} more for evaluation" if job.eval_batches else ""
    begins = f"resuming after {job.start:,}" if job.start else "from the start"
    print(
        f"{' and '.join(counts)} parameters, {num_parameters(model):,} in all; "
        f"{len(job.batches.shards):,} examples{evaluated}; {begins} of {job.config.num_train_steps:,} updates"
    )


def save_networks(job: Job, model: ElectraForJointPretraining, num_steps: int) -> None:
    """Write the pretrained directories."""
    from electra_paddle.models.pretrained_directory import save_pretrained

    config = job.config
    for name, network in job.objective.networks(model):
        card = model_card(config, name, len(job.vocabulary), num_steps) + history_section(job.history)
        note = settle_untrained_positions(job, name, network)
        if note:
            print(f"{name}: {note}")
            card += f"\n{note[0].upper()}{note[1:]}.\n"
        folder, vocabulary = config.model_dir / name, job.vocabulary
        save_pretrained(network, folder, vocabulary, job.do_lower_case, card, strip_accents=job.strip_accents)


def settle_untrained_positions(job: Job, name: str, network: ElectraPretrainedModel) -> str:
    """Continue the position embeddings that no sequence was long enough for, or have config.json tell of them.

    Returns:
        a few words on it; "" where all positions were trained.
    """
    from electra_paddle.models.informed import continue_positions, num_frequencies
    from electra_paddle.models.pretrained_directory import TRAINED_POSITIONS

    config = job.config
    weight = network.electra.embeddings.position_embeddings.weight
    num_trained = trained_positions(config, name, len(weight))
    if num_trained == len(weight):
        return ""
    untrained = f"positions {num_trained} to {len(weight) - 1}, longer than the sequences of this training,"
    if config.initialization == "informed":
        count = num_frequencies((job.generator, job.discriminator))
        table, share = continue_positions(weight.numpy(), num_trained, count)
        if table is not None:
            weight.set_value(table)
            return f"{untrained} continue the waves of those before, of whose variance waves explain {share:.0%}"
    setattr(network.config, TRAINED_POSITIONS, num_trained)
    return f"{untrained} have their first values: longer texts are read badly"


def trained_positions(config: PretrainingConfig, name: str, most: int) -> int:
    """Positions of a network that were trained, here or before: of weights that say nothing of them, all."""
    from electra_paddle.models.pretrained_directory import CONFIG, TRAINED_POSITIONS, read_json

    if not config.init_from:
        return min(config.max_seq_length, most)
    files = [folder / CONFIG for folder in (config.init_from, config.init_from / name)]
    before = [read_json(file).get(TRAINED_POSITIONS, most) for file in files if file.is_file()]
    return max(config.max_seq_length, min(before, default=most))


def history_section(history: History) -> str:
    """The part of a model's card that says what changed during its training; "" if nothing did."""
    if not history.changes:
        return ""
    return "\nChanged while it was trained:\n\n" + "".join(f"- {line}\n" for line in history.lines())


def model_card(config: PretrainingConfig, name: str, vocab_size: int, num_steps: int) -> str:
    purpose = {
        "generator": "fills masked tokens (masked language model)",
        "discriminator": "tells which tokens were replaced; the network to fine-tune",
    }.get(name, f"is the {name} of a pre-training")
    return (
        f"# {config.model_name}: ELECTRA {name}\n\n"
        f"This network {purpose}. Pre-trained for {num_steps:,} updates of "
        f"{config.train_batch_size} sequences of "
        f"{config.max_seq_length} tokens; vocabulary of {vocab_size:,} entries.\n\n"
        "```python\nfrom paddlenlp.transformers import ElectraModel, ElectraTokenizer\n\n"
        'encoder = ElectraModel.from_pretrained("PATH_OF_THIS_FOLDER")\n'
        'tokenizer = ElectraTokenizer.from_pretrained("PATH_OF_THIS_FOLDER")\n```\n'
    )

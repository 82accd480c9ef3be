"""One trial: a model trained with one seed, resumable, and evaluated."""

import contextlib
import os
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

from electra_paddle import runtime
from electra_paddle.batch import ProcessShare
from electra_paddle.config import FinetuningConfig
from electra_paddle.errors import ConfigError
from electra_paddle.finetuning.batches import TrainingBatches, num_batches
from electra_paddle.finetuning.ensemble import choices_of
from electra_paddle.finetuning.evaluation import Evaluation, choose_on_dev, evaluate_split
from electra_paddle.finetuning.features import Features
from electra_paddle.finetuning.job import Job
from electra_paddle.finetuning.model import build_model, save_finetuned
from electra_paddle.finetuning.suspects import RowLosses, write_suspects
from electra_paddle.models.encoder import fuse_attention
from electra_paddle.models.pretrained_directory import load_model
from electra_paddle.tensors import assign, read_tensors, save_tensors
from electra_paddle.training.callbacks import Callback
from electra_paddle.training.checkpoint import Checkpoint, Checkpoints, weights_of
from electra_paddle.training.loggers import Run
from electra_paddle.training.monitor import Monitor
from electra_paddle.training.optimizer import layerwise_factors
from electra_paddle.training.session import Session, SessionSettings, load_callbacks

NUM_CHECKPOINTS = 2  # kept while a trial lasts


class Trial:
    """A trial of a Job.

    Args:
        features: split -> Features.
        number: from 1.
        seed: of initialisation, order and dropout.
        identity: a hash of everything that decides about the weights.
        callbacks: called at the events of its training.
    """

    def __init__(
        self,
        job: Job,
        features: Mapping[str, Features],
        number: int,
        seed: int,
        identity: str,
        callbacks: Sequence[Callback] = (),
    ) -> None:
        if job.config.do_train:
            job = job._replace(kind=job.kind.for_training(job.examples["train"]))
        self.job, self.features, self.number, self.seed, self.identity = job, features, number, seed, identity
        self.config, self.kind, self.callbacks = job.config, job.kind, callbacks
        self.model = build_model(job, seed)
        self.checkpoint_dir = job.config.output_dir / "finetuning_checkpoints" / f"{job.name}_{number}_{identity[:8]}"

    @property
    def title(self) -> str:
        return f"{self.job.name}, {self.config.unit} {self.number}"

    def load(self) -> None:
        """Take the weights that a trial of this number has written."""
        folder = self.job.model_dir(self.number)
        load_model(self.model.network, folder)
        self.model.kind = self.kind.with_settings(choices_of([folder], self.kind.chosen))

    def evaluate(self, split: str) -> Evaluation:
        """The Evaluation of a split."""
        return evaluate_split(self.model, self.job, self.features, split)

    def choose(self) -> None:
        """Let the kind choose on dev what the configuration leaves open, such as the threshold of labels."""
        names = self.kind.open_choices
        if names and "dev" in self.features:
            choose_on_dev(self.model, self.job, self.features)
        chosen = [(name, getattr(self.model.kind.config, name)) for name in names]
        if runtime.is_main():
            for name, value in chosen:
                found = f"{value:.4g}, chosen on dev" if value is not None else "not chosen, as dev has no labels"
                print(f"{self.title}: {name} {found}")

    def train(self) -> None:
        """Fine-tune, from the last checkpoint if there is one, and write the model.

        The optimizer is the original's: layer-wise rates, warm-up, decay, the loss summed over the batch.

        Raises:
            Interrupted: asked to end; a checkpoint is written.
        """
        config = self.config
        settings = session_settings(config, len(self.features["train"]), self.seed, self.number)
        checkpoints = Checkpoints(self.checkpoint_dir, {"identity": self.identity}, keep=NUM_CHECKPOINTS)
        checkpoint = self._checkpoint(checkpoints, settings.num_train_steps)
        batches = self._batches()
        best = BestWeights(self)
        losses = RowLosses(self.kind, batches, len(self.job.examples["train"]), checkpoint)
        session = Session(
            self.model,
            settings,
            checkpoints,
            checkpoint,
            rate_factors=self._layer_factors(),
            callbacks=[losses, best, *load_callbacks(config.callbacks, self.callbacks)],
        )
        notes = [*session.notes, fuse_attention(self.model.network, session.precision, may_unpad=True)]
        if runtime.is_main():
            print("".join(note + "\n" for note in notes if note), end="")
        folder = config.output_dir / "finetuning_logs" / f"{self.job.name}_{self.number}"
        monitor = Monitor(
            Run(folder, self.title, session.step, settings.num_train_steps, self.title),
            config.loggers,
            config.log_steps,
            config.train_batch_size,
            self.job.name,
        )
        session.run(batches.iterate(session.step, settings.num_train_steps), monitor, losses.metrics)
        if session.average:
            session.average.apply()
        best.take(session)
        self.choose()
        means = losses.means()
        if runtime.is_main():
            if self.number <= config.n_writes_test:
                examples = self.job.examples["train"]
                write_suspects(self.job.result_path("train", self.number, "suspects.jsonl"), self.kind, examples, means)
            save_finetuned(self.job, self.model, self.number, self.seed, self.identity)
        runtime.barrier()
        if runtime.is_main():
            shutil.rmtree(self.checkpoint_dir, ignore_errors=True)

    def _batches(self) -> TrainingBatches:
        config = self.config
        return TrainingBatches(
            self.features["train"],
            self.kind,
            config.train_batch_size,
            self.seed,
            ProcessShare(runtime.rank(), runtime.num_processes(), config.gradient_accumulation_steps),
            config.length_batching,
            config.max_seq_length if config.pad_to_max_length else None,
        )

    def _layer_factors(self) -> dict[str, float] | None:
        if self.config.layerwise_lr_decay <= 0:
            return None
        names = [name for name, _ in self.model.named_parameters()]
        return layerwise_factors(names, self.job.network["num_hidden_layers"], self.config.layerwise_lr_decay)

    def _checkpoint(self, checkpoints: Checkpoints, num_steps: int) -> Checkpoint | None:
        """The checkpoint to go on from."""
        checkpoint = checkpoints.latest()
        if checkpoint and runtime.is_main():
            print(f"{self.title}: resuming after {checkpoint.step:,} of {num_steps:,}")
        return checkpoint


class BestWeights(Callback):
    """Evaluates every `eval_steps`, keeps the best weights, and ends the trial if there were none for long.

    `session.progress["best"]` holds step, value and `num_worse`, how many evaluations were worse since.
    """

    def __init__(self, trial: Trial) -> None:
        self.trial, self.config = trial, trial.config
        self.file: Path = trial.checkpoint_dir / "best.safetensors"

    def on_step(self, session: Session) -> None:
        interval = self.config.eval_steps
        if not interval or "dev" not in self.trial.features or session.monitor is None:
            return
        if session.is_last or session.step % interval == 0:
            averaged = session.average.applied() if session.average else contextlib.nullcontext()
            with averaged:
                with session.monitor.paused(), session.evaluating():
                    scores = choose_on_dev(self.trial.model, self.trial.job, self.trial.features).scores
                self.trial.model.train()
                session.evaluated(scores)
                self._compare(session, scores[self.trial.kind.main_metric])

    def _compare(self, session: Session, value: float) -> None:
        best = session.progress.get("best") or {}
        if not best or value > best["value"]:
            session.progress["best"] = {"step": session.step, "value": value, "num_worse": 0}
            if runtime.is_main():
                self.file.parent.mkdir(parents=True, exist_ok=True)
                partial = self.file.with_suffix(".partial")
                save_tensors(weights_of(self.trial.model, session.optimizer), partial)
                os.replace(partial, self.file)
        else:
            session.progress["best"] = {**best, "num_worse": best["num_worse"] + 1}
            session.should_stop = 0 < self.config.early_stopping <= best["num_worse"] + 1

    def take(self, session: Session) -> None:
        """Put the best weights into the model, if there were evaluations."""
        runtime.barrier()
        if best := session.progress.get("best"):
            assign(self.trial.model, read_tensors(self.file), self.file)
            if runtime.is_main():
                print(f"{self.trial.title}: weights of update {best['step']:,} are kept")


def session_settings(config: FinetuningConfig, num_features: int, seed: int, number: int) -> SessionSettings:
    """The settings of a trial's training."""
    num_steps = num_train_steps(num_features, config)
    return SessionSettings(
        num_train_steps=num_steps,
        learning_rate=config.learning_rate,
        num_warmup_steps=num_steps * config.warmup_proportion,
        lr_schedule=config.lr_schedule,
        lr_decay_power=config.lr_decay_power,
        weight_decay_rate=config.weight_decay_rate,
        precision=config.precision,
        gradient_accumulation_steps=config.gradient_accumulation_steps,
        ema_decay=config.ema_decay,
        max_bad_steps=config.max_bad_steps,
        save_checkpoints_steps=config.save_checkpoints_steps,
        saves_last=False,
        seed=seed,
        what=f" of {config.unit} {number}",
    )


def num_train_steps(num_features: int, config: FinetuningConfig) -> int:
    """Updates of a run, rounded as the original does.

    Raises:
        ConfigError: not one.
    """
    batches = num_batches(num_features, config.train_batch_size)
    if batches * config.num_train_epochs < 1:
        at_least = f"at least {1 / batches:.3g}, which makes one update of {batches} a pass"
        raise ConfigError("num_train_epochs", config.num_train_epochs, at_least)
    return int(batches * config.num_train_epochs)

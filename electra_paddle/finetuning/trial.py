"""One trial: a model trained with one seed, resumable, and evaluated."""

import contextlib
import itertools
import math
import os
import shutil
import signal

from electra_paddle import runtime
from electra_paddle.errors import ConfigError, Interrupted
from electra_paddle.finetuning.batches import TrainingBatches, num_batches
from electra_paddle.finetuning.evaluation import evaluate
from electra_paddle.finetuning.model import build_model, save_finetuned
from electra_paddle.models.encoder import fuse_attention
from electra_paddle.models.pretrained_directory import load_model
from electra_paddle.tensors import assign, read_tensors, save_tensors
from electra_paddle.training.checkpoint import Checkpoints
from electra_paddle.training.interruption import Interruption
from electra_paddle.training.loop import train
from electra_paddle.training.loss_scale import LossScale
from electra_paddle.training.monitor import Monitor
from electra_paddle.training.optimizer import build_optimizer, layerwise_factors
from electra_paddle.training.schedule import build_schedule


class Trial:
    """A trial of a Job.

    Args:
        features: split -> Features.
        number: from 1.
        seed: of initialisation, order and dropout.
        identity: a hash of everything that decides about the weights.
    """

    def __init__(self, job, features, number, seed, identity):
        self.job, self.features, self.number, self.seed, self.identity = job, features, number, seed, identity
        self.config, self.kind = job.config, job.kind
        self.model = build_model(job, seed)
        self.checkpoint_dir = job.config.output_dir / "finetuning_checkpoints" / f"{job.name}_{number}_{identity[:8]}"
        self.best, self.is_over = {}, False

    def load(self):
        """Take the weights that a trial of this number has written."""
        load_model(self.model.network, self.job.model_dir(self.number))

    def evaluate(self, split):
        """The Evaluation of a split."""
        examples, config = self.job.examples[split], self.config
        size = config.eval_batch_size if self.kind.is_labelled(examples) else config.predict_batch_size
        length = config.max_seq_length if config.pad_to_max_length else None
        return evaluate(self.model, self.kind, examples, self.features[split], size, config.length_batching, length)

    def train(self):
        """Fine-tune, from the last checkpoint if there is one, and write the model.

        The optimizer is the original's: layer-wise rates, warm-up, decay, the loss summed over the batch.

        Raises:
            Interrupted: asked to end; a checkpoint is written.
        """
        config, features = self.config, self.features["train"]
        self.num_steps = num_train_steps(len(features), config)
        schedule = build_schedule(
            config.learning_rate, self.num_steps, self.num_steps * config.warmup_proportion, config.lr_decay_power
        )
        self.optimizer = build_optimizer(self.model, schedule, config.weight_decay_rate, self._layer_factors())
        precision, reason = runtime.usable_precision(config.precision)
        fuse_attention(self.model.network, precision)
        if reason and runtime.is_main():
            print(f"precision fp32: {reason}")
        self.loss_scale = LossScale(is_active=precision == "fp16")
        self.checkpoints = Checkpoints(self.checkpoint_dir, {"identity": self.identity}, keep=2)
        start = self._restore()
        schedule.step(start)
        self.monitor = Monitor(
            config.output_dir / "finetuning_logs" / f"{self.job.name}_{self.number}",
            self.num_steps,
            start,
            config.log_steps,
            config.train_batch_size,
            self.job.name,
            f"{self.job.name}, trial {self.number}",
        )
        batches = TrainingBatches(
            features,
            self.kind,
            config.train_batch_size,
            self.seed,
            runtime.rank(),
            runtime.num_processes(),
            config.gradient_accumulation_steps,
            config.length_batching,
            config.max_seq_length if config.pad_to_max_length else None,
        )
        stream = itertools.takewhile(lambda batch: not self.is_over, batches.iterate(start, self.num_steps))
        with contextlib.closing(self.monitor), Interruption() as self.interruption:
            train(
                runtime.distribute(self.model),
                stream,
                self.optimizer,
                schedule,
                self.monitor,
                self.kind.training_metrics,
                start=start,
                seed=self.seed,
                after_step=self._after_step,
                num_accumulated=config.gradient_accumulation_steps,
                precision=precision,
                loss_scale=self.loss_scale,
                max_bad_steps=config.max_bad_steps,
            )
        self._finish()

    def _layer_factors(self):
        if self.config.layerwise_lr_decay <= 0:
            return None
        names = [name for name, _ in self.model.named_parameters()]
        return layerwise_factors(names, self.job.network["num_hidden_layers"], self.config.layerwise_lr_decay)

    def _restore(self):
        """Go on from the newest checkpoint; returns the updates done. Those of other settings are removed."""
        if runtime.is_main():
            for folder in self.checkpoint_dir.parent.glob(f"{self.job.name}_{self.number}_{'[0-9a-f]' * 8}"):
                if folder != self.checkpoint_dir:
                    shutil.rmtree(folder, ignore_errors=True)
        checkpoint = self.checkpoints.latest()
        if checkpoint is None:
            return 0
        self.checkpoints.restore(checkpoint, self.model, self.optimizer)
        self.loss_scale.restore(checkpoint.progress["loss_scale"])
        self.best = checkpoint.progress["best"]
        if runtime.is_main():
            print(f"{self.job.name}, trial {self.number}: resuming after {checkpoint.step:,} of {self.num_steps:,}")
        return checkpoint.step

    def _after_step(self, step):
        """Evaluate and write a checkpoint now and then; also a checkpoint when the job is asked to end."""
        config, is_last = self.config, step == self.num_steps
        if config.eval_steps and "dev" in self.features and (step % config.eval_steps == 0 or is_last):
            self._evaluate(step)
        is_asked = runtime.is_any(self.interruption.signal)
        is_due = step % config.save_checkpoints_steps == 0 and math.isfinite(self.optimizer.global_norm)
        if (is_due or is_asked) and not is_last and not self.is_over:
            progress = {"loss_scale": self.loss_scale.state(), "best": self.best}
            self.checkpoints.save(step, self.model, self.optimizer, progress)
        if is_asked and not is_last:
            message = f"interrupted; update {step:,} of {self.num_steps:,} of trial {self.number} is saved, "
            raise Interrupted(self.interruption.signal or signal.SIGTERM, message + "the same command goes on")

    def _evaluate(self, step):
        """Keep the weights if they are the best so far; end the trial if there were none for long."""
        with self.monitor.paused():
            scores = self.evaluate("dev").scores
        self.model.train()
        self.monitor.add_evaluation(step, scores)
        value = scores[self.kind.main_metric]
        if not self.best or value > self.best["value"]:
            self.best = {"step": step, "value": value, "num_worse": 0}
            if runtime.is_main():
                self.checkpoint_dir.mkdir(parents=True, exist_ok=True)
                partial = self._best_file.with_suffix(".partial")
                save_tensors(dict(self.model.named_parameters()), partial)
                os.replace(partial, self._best_file)
        else:
            self.best = {**self.best, "num_worse": self.best["num_worse"] + 1}
            self.is_over = 0 < self.config.early_stopping <= self.best["num_worse"]

    @property
    def _best_file(self):
        return self.checkpoint_dir / "best.safetensors"

    def _finish(self):
        """Take the best weights, if there were evaluations, and write the fine-tuned directory."""
        runtime.barrier()
        if self.best:
            assign(self.model, read_tensors(self._best_file), self._best_file)
            if runtime.is_main():
                print(f"{self.job.name}, trial {self.number}: weights of update {self.best['step']:,} are kept")
        if runtime.is_main():
            save_finetuned(self.job, self.model.network, self.number, self.seed, self.identity)
        runtime.barrier()
        if runtime.is_main():
            shutil.rmtree(self.checkpoint_dir, ignore_errors=True)


def num_train_steps(num_features, config):
    """Updates of a run, rounded as the original does.

    Raises:
        ConfigError: not one.
    """
    batches = num_batches(num_features, config.train_batch_size)
    if batches * config.num_train_epochs < 1:
        at_least = f"at least {1 / batches:.3g}, which makes one update of {batches} a pass"
        raise ConfigError("num_train_epochs", config.num_train_epochs, at_least)
    return int(batches * config.num_train_epochs)

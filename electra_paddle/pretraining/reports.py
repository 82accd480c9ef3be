"""Reports of a pre-training run at intervals, beside its training metrics: evaluation, samples, pictures."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

import numpy as np

from electra_paddle import runtime
from electra_paddle.arrays import Array
from electra_paddle.pretraining.job import Job
from electra_paddle.pretraining.metrics import cloze_scores, precision_and_recall
from electra_paddle.pretraining.samples import describe_samples
from electra_paddle.training.callbacks import Callback
from electra_paddle.training.evaluation import answer, evaluate, write_results
from electra_paddle.training.session import Session
from electra_paddle.training.transfer import cut

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from electra_paddle.models.pretraining import ElectraForJointPretraining
    from electra_paddle.training.loggers import Logger

NUM_SAMPLES = 4  # sequences shown as text
NUM_WORDS = 300  # word embeddings in the projector
COMPARED_BY = ["eval/loss", "eval/masked_lm_accuracy", "eval/disc_auc"]  # in the table of hyper-parameters


class Reports(Callback):
    """Evaluates every `eval_steps`, shows texts every `samples_steps` and parameters every `histogram_steps`.

    Step and value of the best evaluation so far are `session.progress["best"]`.

    Args:
        model: the networks, not wrapped by fleet.
    """

    def __init__(self, job: Job, model: ElectraForJointPretraining) -> None:
        self.job, self.config, self.model = job, job.config, model
        self.scores: dict[str, float] = {}  # of the last evaluation

    def on_start(self, session: Session) -> None:
        for logger in media(session):
            logger.add_hparams(dataclasses.asdict(self.config), COMPARED_BY)

    def on_step(self, session: Session) -> None:
        monitor, config = session.monitor, self.config
        if monitor is None:
            return
        with monitor.paused():
            if self.job.eval_batches and is_due(session, config.eval_steps):
                self.evaluate(session)
            if monitor.media and is_due(session, config.samples_steps):
                self.show_samples(session)
            if monitor.media and is_due(session, config.histogram_steps):
                self.show_parameters(session)

    def evaluate(self, session: Session) -> dict[str, float]:
        """Evaluate, write and tell the results; every process must call it."""
        batches, objective = self.job.eval_batches, self.job.objective
        if batches is None:
            return {}

        def measure(batch: Any, output: Any, num_rows: int) -> dict[str, Any]:
            return objective.evaluation_sums(self.model, batch, output, num_rows)

        with session.evaluating():
            sums = evaluate(self.model, batches, measure, self.config.eval_rows_at_once)
            figures = objective.scores(sums)
            if self.job.cloze and self.model.generator:
                figures |= cloze_scores(self.model, self.job.cloze)
        self.scores = figures
        session.evaluated(figures)
        if "tokens" in sums:
            for logger in media(session):
                figure = precision_recall_figure(*precision_and_recall(sums))
                logger.add_figure("eval/precision_and_recall", figure, session.step)
        if runtime.is_main():
            data = f"{len(batches.shards)} examples of {batches.shards.folder}"
            results = write_results(self.config.model_dir, session.step, figures, data)
            session.progress["best"] = {name: results[name] for name in ("best_step", "best_value")}
        return figures

    def show_samples(self, session: Session) -> None:
        """Texts of both networks' answers, to the same questions every time."""
        arrays = (self.job.eval_batches or self.job.batches)[0]
        with session.evaluating():
            batch, output = answer(self.model, cut(arrays, slice(NUM_SAMPLES)))
        for number, texts in enumerate(describe_samples(batch, output, self.job.vocabulary), 1):
            lines = "\n".join(f"■ {name}: {text}" for name, text in texts.items())  # VisualDL's page joins lines
            for logger in media(session):
                logger.add_text(f"samples/{number}", lines, session.step)

    def show_parameters(self, session: Session) -> None:
        """Histograms of all parameters, and the embeddings of words frequent in the first batch."""
        ids, counts = np.unique(self.job.batches[0].input_ids, return_counts=True)
        ids = ids[np.argsort(-counts, kind="stable")][:NUM_WORDS]
        network: Any = self.model.discriminator or self.model.generator
        vectors = network.electra.embeddings.word_embeddings.weight.astype("float32").numpy()[ids]  # [N, E]
        words = [self.job.vocabulary.tokens[number] for number in ids]
        for logger in media(session):
            logger.add_histograms("parameters", self.model, session.step)
            logger.add_embeddings("word_embeddings", vectors, words, session.step)


def media(session: Session) -> list[Logger]:
    """The loggers that show more than figures."""
    return session.monitor.media if session.monitor else []


def is_due(session: Session, interval: int) -> bool:
    return session.is_last or session.step % interval == 0


def precision_recall_figure(precision: Array, recall: Array) -> Figure:
    """A matplotlib Figure; VisualDL's own curves do not work with numpy 1.26."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(5, 4), dpi=80)
    axes = figure.add_subplot()
    axes.plot(recall, precision)
    axes.set(xlabel="recall", ylabel="precision", xlim=(0, 1), ylim=(0, 1), title="replaced tokens")
    return figure

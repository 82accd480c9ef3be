"""What a pre-training run tells at intervals beside its training metrics: evaluation, samples, pictures."""

import dataclasses

import numpy as np

NUM_SAMPLES = 4  # sequences shown as text
NUM_WORDS = 300  # word embeddings in the projector
COMPARED_BY = ["eval/loss", "eval/masked_lm_accuracy", "eval/disc_auc"]  # in the table of hyper-parameters


class Reports:
    """Reports of one run.

    Args:
        config: PretrainingConfig.
        model: ElectraForJointPretraining, not wrapped by fleet.
        monitor: Monitor.
        vocabulary: Vocabulary.
        batches: for training; some are read for samples.
        eval_batches: EvaluationBatches, or None.
        best: step and value of the best evaluation before this start.
        cloze: sentences to fill in at every evaluation, a Cloze; or None.
    """

    def __init__(self, config, model, monitor, vocabulary, batches, eval_batches, best, cloze=None):
        self.config, self.model, self.monitor, self.vocabulary = config, model, monitor, vocabulary
        self.batches, self.eval_batches, self.cloze = batches, eval_batches, cloze
        self.best = best  # so far; known to the main process
        if monitor.visual:
            monitor.visual.add_hparams(dataclasses.asdict(config), COMPARED_BY)

    def after_step(self, step, is_last):
        """Report what is due after `step` updates; every process must call it."""
        with self.monitor.paused():
            if self.eval_batches and is_due(step, self.config.eval_steps, is_last):
                self.evaluate(step)
            if self.monitor.visual and is_due(step, self.config.samples_steps, is_last):
                self.show_samples(step)
            if self.monitor.visual and is_due(step, self.config.histogram_steps, is_last):
                self.show_parameters(step)

    def evaluate(self, step):
        """Evaluate and write the results; every process must call it."""
        from electra_paddle import runtime
        from electra_paddle.models.metrics import (
            cloze_scores,
            evaluation_sums,
            planted_sums,
            precision_and_recall,
            scores,
        )
        from electra_paddle.training.evaluation import evaluate, write_results
        from electra_paddle.training.loop import to_tensors
        from electra_paddle.training.visual import precision_recall_figure

        def measure(batch, output, num_rows):
            sums = evaluation_sums(batch, output, num_rows)
            return sums | planted_sums(self.model, batch) if self.model.discriminator else sums

        sums = evaluate(self.model, self.eval_batches, measure, self.config.eval_rows_at_once)
        figures = scores(sums)
        if self.cloze and self.model.generator:
            figures |= cloze_scores(self.model, to_tensors(self.cloze))
        self.monitor.add_evaluation(step, figures)
        if self.monitor.visual and "tokens" in sums:
            figure = precision_recall_figure(*precision_and_recall(sums))
            self.monitor.visual.add_figure("eval/precision_and_recall", figure, step)
        data = f"{len(self.eval_batches.shards)} examples of {self.eval_batches.shards.folder}"
        if runtime.is_main():
            results = write_results(self.config.model_dir, step, figures, data)
            self.best = {name: results[name] for name in ("best_step", "best_value")}

    def show_samples(self, step):
        """Texts of both networks' answers, to the same questions every time."""
        from electra_paddle.models.samples import describe_samples
        from electra_paddle.training.evaluation import answer
        from electra_paddle.training.loop import cut

        batch, output = answer(self.model, cut((self.eval_batches or self.batches)[0], slice(NUM_SAMPLES)))
        for number, texts in enumerate(describe_samples(batch, output, self.vocabulary), 1):
            lines = "\n".join(f"■ {name}: {text}" for name, text in texts.items())  # VisualDL's page joins lines
            self.monitor.visual.add_text(f"samples/{number}", lines, step)

    def show_parameters(self, step):
        """Histograms of all parameters, and the embeddings of words frequent in the first batch."""
        self.monitor.visual.add_histograms("parameters", self.model, step)
        ids, counts = np.unique(self.batches[0].input_ids, return_counts=True)
        ids = ids[np.argsort(-counts, kind="stable")][:NUM_WORDS]
        network = self.model.discriminator or self.model.generator
        vectors = network.electra.embeddings.word_embeddings.weight.numpy()[ids]  # [N, E]
        self.monitor.visual.add_embeddings("word_embeddings", vectors, [self.vocabulary.tokens[i] for i in ids], step)


def is_due(step, interval, is_last):
    return is_last or step % interval == 0

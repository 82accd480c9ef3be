"""Parts of a user's own, which runs take by "own_parts:NAME" without any edit of the package."""

import json

from electra_paddle.pretraining.objectives import Objective
from electra_paddle.training.callbacks import Callback
from electra_paddle.training.loggers import Logger


def halves(step, course):
    """A schedule."""
    return 0.5**step


class Notebook(Logger):
    """A logger: one file with everything that it was told."""

    takes_media = True

    def add_scalars(self, prefix, figures, step):
        self._note("scalars", prefix, step, sorted(figures))

    def add_text(self, tag, text, step):
        self._note("text", tag, step, text)

    def close(self):
        self._note("closed", self.run.name, self.run.num_steps, None)

    def _note(self, *row):
        with open(self.run.folder / "notebook.jsonl", "a", encoding="utf-8") as stream:
            stream.write(json.dumps(row, ensure_ascii=False) + "\n")


class Diary(Callback):
    """A callback that writes down what happens, and ends a run after three updates."""

    events: list = []

    def on_start(self, session):
        self.events.append(("start", session.step))

    def on_step(self, session):
        self.events.append(("step", session.step))
        session.should_stop = session.step == 3

    def on_evaluation(self, session, scores):
        self.events.append(("evaluation", session.step, "masked_lm_loss" in scores))

    def on_checkpoint(self, session, folder):
        self.events.append(("checkpoint", folder.name))

    def on_end(self, session):
        self.events.append(("end", session.step))


class SmallStates(Objective):
    """An objective: ELECTRA's, and the mean square of the discriminator's states beside it."""

    def build(self, generator, discriminator):
        model = super().build(generator, discriminator)
        forward = model.forward

        def with_penalty(batch):
            output = forward(batch)
            return output._replace(loss=output.loss + 1000 * (output.rtd_states**2).mean())

        model.forward = with_penalty
        return model

    def training_metrics(self, batch, output):
        return {**super().training_metrics(batch, output), "square": (output.rtd_states**2).mean()}

"""The curves of a pre-training run over tokens and hours, as a picture: loss, accuracy, areas under the curve, gaps."""

import argparse
import itertools
import sys
from pathlib import Path

PANELS = {  # title -> (name in training, name in evaluations)
    "masked language model: loss": ("mlm_loss", "masked_lm_loss"),
    "masked language model: accuracy": ("mlm_accuracy", "masked_lm_accuracy"),
    "replaced tokens: area under the curve": ("rtd_auc", "disc_auc"),
    "gaps filled: right one among the first five": (None, "cloze_top5"),
}


def main():
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    parser.add_argument("run", type=Path, help="folder of the run, with metrics.jsonl and pretraining_config.json")
    parser.add_argument("picture", type=Path, help="PNG to write")
    parser.add_argument("--steps-before", type=int, default=0, help="updates of the weights that it began with [0]")
    arguments = parser.parse_args()
    draw(*read(arguments.run, arguments.steps_before), arguments.picture)
    print(f"{arguments.picture} written")


def read(run, steps_before):
    """(figures of training, figures of evaluations), each a list of dicts with `tokens` in millions and `hours`."""
    from electra_paddle.models.pretrained_directory import read_json
    from electra_paddle.training.loggers.jsonl import read_metrics

    config = read_json(run / "pretraining_config.json")
    size, length = config["train_batch_size"], config["max_seq_length"]
    training, evaluations = (read_metrics(run / "metrics.jsonl", kind) for kind in ("train", "eval"))
    hours, last = {0: 0.0}, 0
    for row in training:
        hours[row["step"]] = hours[last] + (row["step"] - last) * size / row["sequences_per_second"] / 3600
        last = row["step"]
    for row in itertools.chain(training, evaluations):
        row["tokens"] = (row["step"] + steps_before) * size * length / 1e6
        row["hours"] = hours[max(step for step in hours if step <= row["step"])]
    return training, evaluations


def draw(training, evaluations, path):
    import matplotlib

    matplotlib.use("Agg")
    import numpy as np
    from matplotlib import pyplot

    tokens, hours = ([row[name] for row in training] for name in ("tokens", "hours"))
    figure, axes = pyplot.subplots(2, 2, figsize=(11, 7), layout="constrained")
    for axis, (title, (name, held_out)) in zip(axes.flat, PANELS.items(), strict=True):
        if name:
            axis.plot(tokens, [row[name] for row in training], color="tab:gray", linewidth=1, label="training")
        points = [(row["tokens"], row[held_out]) for row in evaluations if held_out in row]
        axis.plot(*zip(*points, strict=True), color="tab:red", marker="o", label="held out")
        axis.set(title=title, xlabel="million tokens", xlim=(tokens[0], tokens[-1] + 1))
        of_hours = (lambda value: np.interp(value, tokens, hours), lambda value: np.interp(value, hours, tokens))
        axis.secondary_xaxis(-0.22, functions=of_hours).set_xlabel("hours of this run")
    axes.flat[0].legend()
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110)


if __name__ == "__main__":
    from electra_paddle.cli import status_of

    sys.exit(status_of(main))

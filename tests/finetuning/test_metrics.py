"""Metrics of labels, against numbers computed by hand; and what a task's file may ask for."""

import dataclasses

import pytest
from finetuning.conftest import CHARACTERS

import electra_paddle
from electra_paddle.config import FinetuningConfig
from electra_paddle.errors import ConfigError
from electra_paddle.finetuning.description import TaskDescription
from electra_paddle.finetuning.kinds.base import make_kind
from electra_paddle.finetuning.metrics import METRICS, class_scores

GOLD, PREDICTED = [0, 0, 0, 1, 1, 2], [0, 0, 1, 1, 2, 2]
# precision, recall and F1 of the classes: 1, 2/3, 4/5; 1/2, 1/2, 1/2; 1/2, 1, 2/3
EXPECTED = {
    "macro_f1": 100 * (4 / 5 + 1 / 2 + 2 / 3) / 3,
    "weighted_f1": 100 * (3 * 4 / 5 + 2 * 1 / 2 + 2 / 3) / 6,
    "macro_precision": 100 * 2 / 3,
    "macro_recall": 100 * (2 / 3 + 1 / 2 + 1) / 3,
    "mcc": 100 * (4 * 6 - 12) / ((36 - 12) * (36 - 14)) ** 0.5,
    "f1": 50,
    "precision": 50,
    "recall": 50,
}
MOODS = TaskDescription("moods", labels=("bad", "good"))


def test_metrics_are_those_computed_by_hand():
    assert class_scores(METRICS, GOLD, PREDICTED, positive=1) == pytest.approx(EXPECTED)
    assert class_scores(["precision", "recall"], GOLD, PREDICTED, positive=2) == pytest.approx(
        {"precision": 50, "recall": 100}
    )


def test_classes_that_nowhere_occur_count_nothing_and_a_class_never_predicted_counts_0():
    assert class_scores(["macro_f1", "mcc"], [5, 5, 7], [5, 5, 5]) == pytest.approx({"macro_f1": 40, "mcc": 0})
    assert class_scores(["f1"], [0, 0], [0, 0], positive=1) == {"f1": 0}


@pytest.mark.parametrize(
    ("entries", "message"),
    [
        ({"metric": "f2"}, "metric: found 'f2', expected accuracy or macro_f1 or weighted_f1"),
        ({"report_metrics": ("mcc", "auc")}, "report_metrics: found 'auc', expected accuracy or macro_f1"),
        ({"metric": "f1"}, "metric: found 'f1', expected a positive_label beside it; f1 is that of one class"),
        ({"report_metrics": ("recall",)}, "found 'recall', expected a positive_label"),
        ({"metric": "f1", "positive_label": "great"}, "positive_label: found 'great', expected bad or good"),
    ],
)
def test_metric_that_cannot_be_had_is_refused(entries, message):
    with pytest.raises(ConfigError, match=message):
        make_kind(dataclasses.replace(MOODS, **entries), FinetuningConfig())


def test_metric_of_the_task_decides_and_is_shown_beside_accuracy(model_dir, tmp_path, capsys):
    folder = tmp_path / "finetuning_data/moods"
    folder.mkdir(parents=True)
    rows = [f"{label}\t{CHARACTERS[n]}{CHARACTERS[-n]}" for n, label in enumerate(["bad", "good", "good"] * 4)]
    for split in ("train", "dev"):
        (folder / f"{split}.tsv").write_text("\n".join(rows) + "\n", encoding="utf-8")
    settings = {"data_dir": tmp_path, "init_checkpoint": model_dir, "train_batch_size": 4, "loggers": []}
    settings |= {"num_train_epochs": 1.0, "max_seq_length": 8, "eval_steps": 1}

    def run(name, **entries):
        description = dataclasses.replace(MOODS, **entries)
        return electra_paddle.finetune(description, output_dir=tmp_path / name, **settings)

    results = run("f1", metric="f1", positive_label="good", report_metrics=("mcc",))
    assert list(results.trials[0]["dev"]) == ["accuracy", "f1", "mcc", "loss"]
    assert results.summary["dev"]["max"] == results.trials[0]["dev"]["f1"]
    table = (tmp_path / "f1/results/moods_results.md").read_text()
    assert table.startswith("moods, f1 / mcc: one trial") and " / " in table.splitlines()[-1]
    output = capsys.readouterr().out
    scores = results.trials[0]["dev"]
    figures = " - ".join(f"{name}: {value:.2f}" for name, value in scores.items())
    assert f"moods dev: {figures}\n" in output

    assert list(run("plain").trials[0]["dev"]) == ["accuracy", "loss"]
    assert (tmp_path / "plain/results/moods_results.md").read_text().startswith("moods, accuracy: one trial")

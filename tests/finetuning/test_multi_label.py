"""Texts with several labels or none, from their files to a model in use."""

import dataclasses
import json
import shutil

import numpy as np
import pytest
from finetuning.conftest import CHARACTERS, write_splits

import electra_paddle
from electra_paddle.config import FinetuningConfig
from electra_paddle.errors import CheckpointError, ConfigError, DataError
from electra_paddle.finetuning.description import TaskDescription, load_description
from electra_paddle.finetuning.kinds.base import make_kind
from electra_paddle.finetuning.kinds.multi_label import MultiLabelPrediction
from electra_paddle.finetuning.metrics import label_set_scores
from electra_paddle.finetuning.problems import Problems
from electra_paddle.training.callbacks import Callback

LABELS = ("fire", "theft", "fraud")
CASES = TaskDescription("cases", "multi_label", labels=LABELS)
SETTINGS = {
    "max_seq_length": 16,
    "train_batch_size": 16,
    "num_train_epochs": 3.0,
    "learning_rate": 1e-3,
    "layerwise_lr_decay": 0.0,
    "loggers": [],
}


def read(path, content, split="train", description=CASES, on_error="stop"):
    """(labels of the examples, Problems) of a file with this content."""
    path.write_text(content, encoding="utf-8")
    problems = Problems(on_error)
    examples = make_kind(description, FinetuningConfig()).read(path, split, problems)
    return [example.label for example in examples], problems


def test_labels_of_a_cell_stand_between_separators_and_none_is_an_answer_that_is_counted(tmp_path):
    labels, problems = read(tmp_path / "t.tsv", "label\ttext_a\ntheft,fire\t一\n\t丁\nfraud , fraud\t七\n")
    assert labels == [(0, 1), (), (2,)]
    assert problems.notes == [f"NOTE: {tmp_path}/t.tsv: 1 of 3 examples have no label, which is an answer too"]
    other = dataclasses.replace(CASES, label_separator="、", format="csv", aliases={"arson": "fire"})
    assert read(tmp_path / "t.csv", "label,text_a\narson、theft,一\n", description=other)[0] == [(0, 1)]


def test_json_has_a_list_or_a_text_and_labels_may_be_read_from_it(tmp_path):
    description = TaskDescription("t", "multi_label", "jsonl", columns={"label": "y", "text_a": "x"})
    rows = [["b", "a"], [], "a,b", ["c"], "c"]
    content = "".join(json.dumps({"x": "一", "y": row}) + "\n" for row in rows)
    (tmp_path / "t.jsonl").write_text(content)
    kind = make_kind(description, FinetuningConfig())
    assert kind.find_labels(tmp_path / "t.jsonl", Problems()) == ("a", "b", "c")
    labelled = description.with_labels(("a", "b", "c"))
    assert read(tmp_path / "t.jsonl", content, description=labelled)[0] == [(0, 1), (), (0, 1), (2,), (2,)]
    with pytest.raises(DataError, match=r"t.jsonl:1: found no 'y'"):
        read(tmp_path / "t.jsonl", '{"x": "一", "y": null}\n', description=labelled)
    (tmp_path / "t.jsonl").write_text('{"x": "一", "y": []}\n' * 2)
    with pytest.raises(DataError, match=r"found no label in any row, expected labels, with ',' between them"):
        kind.find_labels(tmp_path / "t.jsonl", Problems())


def test_test_split_may_lack_labels_and_one_without_any_is_not_scored(tmp_path):
    kind = make_kind(CASES, FinetuningConfig())
    for content, labels in (("text_a\n一\n丁\n", [None, None]), ("label\ttext_a\n\t一\n\t丁\n", [(), ()])):
        assert read(tmp_path / "t.tsv", content, "test")[0] == labels
        assert not kind.is_labelled(kind.read(tmp_path / "t.tsv", "test", Problems()))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("fire,murder\t一\n", r"t.tsv:1: found label 'murder', expected fire or theft or fraud"),
        ("fire，theft\t一\n", r"t.tsv:1: found label 'fire，theft'"),
    ],
)
def test_unknown_label_names_its_line_or_is_skipped(tmp_path, content, message):
    with pytest.raises(DataError, match=message):
        read(tmp_path / "t.tsv", content)
    labels, problems = read(tmp_path / "t.tsv", content + "fire\t七\n", on_error="skip")
    assert labels == [(0,)] and len(problems.errors) == 1


def test_rows_of_ignored_labels_are_left_out(tmp_path):
    description = dataclasses.replace(CASES, ignore_labels=("-",))
    labels, problems = read(tmp_path / "t.tsv", "-\t一\nfire\t丁\nfire,-\t七\n", description=description)
    assert labels == [(0,)] and problems.left_out == {"of label '-' left out": 2}


def test_separators_that_cannot_be_are_refused(tmp_path):
    for kind, separator, message in (
        ("classification", ";", "label_separator: found ';', expected none but for `kind: multi_label`"),
        ("multi_label", "", "label_separator: found an empty text"),
    ):
        path = tmp_path / f"{kind}.yaml"
        path.write_text(f"kind: {kind}\nlabel_separator: '{separator}'\n")
        with pytest.raises(ConfigError, match=message):
            load_description(str(path))
    description = dataclasses.replace(CASES, labels=("a,b", "c"))
    with pytest.raises(ConfigError, match="label_separator: found ',', which stands in 'a,b', expected none"):
        read(tmp_path / "t.tsv", "c\t一\n", description=description)
    with pytest.raises(DataError, match=r"found 2 labels, expected one label; `kind: multi_label` takes several"):
        description = TaskDescription("t", format="json", columns={"label": "y", "text_a": "x"}, labels=("a", "b"))
        read(tmp_path / "t.json", '[{"x": "一", "y": ["a", "b"]}]', description=description)


def test_loss_is_the_sum_over_labels_and_weighted_rows():
    import paddle

    from electra_paddle.models.task_losses import multi_label_loss

    logits = paddle.to_tensor([[0.0, np.log(3)], [5.0, 5.0], [0.0, 0.0]], "float32")
    labels = paddle.to_tensor([[1.0, 0.0], [-1.0, -1.0], [0.0, 0.0]])  # the second row says nothing
    weights = paddle.to_tensor([2.0, 1.0, 0.0])
    assert float(multi_label_loss(logits, labels, weights)) == pytest.approx(2 * (np.log(2) + np.log(4)), rel=1e-6)


def test_metrics_of_label_sets_are_those_computed_by_hand():
    gold = np.array([[1, 1, 0, 0], [0, 1, 0, 0], [0, 0, 0, 0]], bool)
    predicted = np.array([[1, 0, 0, 0], [0, 1, 1, 0], [0, 0, 0, 0]], bool)
    expected = {  # 2 right of 3 predicted and of 3; by label F1 1, 2/3, 0, and none of the last
        "micro_f1": 200 / 3,
        "micro_precision": 200 / 3,
        "micro_recall": 200 / 3,
        "macro_f1": 100 * (1 + 2 / 3) / 3,
        "macro_precision": 100 * 2 / 3,
        "macro_recall": 100 * (1 + 1 / 2) / 3,
        "weighted_f1": 100 * (1 + 2 * 2 / 3) / 3,
        "subset_accuracy": 100 / 3,
        "hamming_loss": 100 * 2 / 12,
    }
    assert label_set_scores(expected, gold, predicted) == pytest.approx(expected)


def test_error_may_be_reported_but_nothing_is_compared_by_it():
    make_kind(dataclasses.replace(CASES, report_metrics=("hamming_loss",)), FinetuningConfig())
    with pytest.raises(ConfigError, match="metric: found 'hamming_loss', expected micro_f1 .*; it is an error: less"):
        make_kind(dataclasses.replace(CASES, metric="hamming_loss"), FinetuningConfig())


def test_probability_of_the_threshold_itself_is_enough():
    kind = make_kind(CASES, FinetuningConfig(threshold=0.4))
    prediction = kind.decide(MultiLabelPrediction((), np.array([0.4, 0.39, 0.9])))
    assert kind.plain(prediction) == ["fire", "fraud"]
    assert kind.plain(prediction, True) == (["fire", "fraud"], {"fire": 0.4, "theft": 0.39, "fraud": 0.9})
    with pytest.raises(ConfigError, match="threshold: found 1.5, expected between 0 and 1"):
        FinetuningConfig(threshold=1.5)


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory):
    """Each of the first three characters brings a label; some texts have none of them."""
    data_dir = tmp_path_factory.mktemp("multi_label")
    rng, splits = np.random.default_rng(0), {}
    for split, count in (("train", 320), ("dev", 32), ("test", 32)):
        rows = splits[split] = []
        for has in rng.random((count, 3)) < 0.4:
            text = [CHARACTERS[number] * 3 for number in np.flatnonzero(has)] + [rng.choice(CHARACTERS[3:])]
            rows.append(",".join(np.array(LABELS)[has]) + "\t" + "".join(text))
    write_splits(data_dir, "cases", splits)
    return data_dir


@pytest.fixture(scope="module")
def finetune(data_dir, model_dir):
    def run(name="out", **settings):
        options = {"data_dir": data_dir, "init_checkpoint": model_dir, "output_dir": data_dir / name, **SETTINGS}
        return electra_paddle.finetune(CASES, **{**options, **settings})

    return run


@pytest.fixture(scope="module")
def results(finetune):
    return finetune(num_trials=2, write_test_outputs=True, write_probabilities=True, ensemble=True)


def task_of(folder):
    return json.loads((folder / "task.json").read_text())


def test_threshold_is_chosen_on_dev_kept_and_used(results, data_dir, finetune):
    folder = results.models[0]
    threshold = task_of(folder)["chosen"]["threshold"]
    assert 0 < threshold < 1 and threshold != 0.5 and "threshold" not in task_of(folder)["settings"]
    assert results.metric == "micro_f1" and results.trials[0]["dev"]["micro_f1"] > 80
    path = data_dir / "out/test_predictions/cases_dev_1_predictions.tsv"
    header, *rows = [line.split("\t") for line in path.read_text(encoding="utf-8").splitlines()]
    assert header == ["id", "label", *(f"probability_{label}" for label in LABELS)]
    for _, given, *probabilities in rows:
        expected = [label for label, value in zip(LABELS, probabilities, strict=True) if float(value) >= threshold]
        assert given == ",".join(expected)
    for name in ("dev", "test"):
        evaluation = electra_paddle.evaluate(folder, data_dir / f"finetuning_data/cases/{name}.tsv", CASES)
        assert evaluation.scores == pytest.approx(results.trials[0][name])
    best = [electra_paddle.from_finetuned(folder).kind.with_settings({"threshold": value}) for value in (0.3, 0.7)]
    predictions = evaluation.predictions
    assert {len(kind.decide(prediction).labels) for kind in best for prediction in predictions} <= {0, 1, 2, 3}
    again = finetune(num_trials=2, do_train=False, ensemble=True)
    assert again.trials == results.trials
    for split in ("dev", "test"):
        assert again.combined["ensemble"][split] == results.combined["ensemble"][split]


def test_own_threshold_stays(finetune):
    results = finetune("own", threshold=0.25, num_train_epochs=0.5)
    assert task_of(results.models[0])["chosen"] == {"threshold": 0.25}


def test_without_dev_the_threshold_is_a_half_and_that_is_said(finetune, capsys):
    results = finetune("no_dev", do_eval=False, num_train_epochs=0.5)
    assert "cases, trial 1: threshold not chosen, as dev has no labels" in capsys.readouterr().out
    assert task_of(results.models[0])["chosen"] == {"threshold": None}
    assert electra_paddle.from_finetuned(results.models[0]).kind.threshold == 0.5


def test_several_models_have_the_mean_of_their_thresholds(results, tmp_path):
    thresholds = [task_of(folder)["chosen"]["threshold"] for folder in results.models]
    finetuned = electra_paddle.from_finetuned(results.ensemble_model)
    assert finetuned.kind.threshold == pytest.approx(sum(thresholds) / 2)
    alone = [electra_paddle.from_finetuned(folder) for folder in results.models]
    text = CHARACTERS[0] + CHARACTERS[5]
    together, *each = (model.predict([text], with_probabilities=True)[0][1] for model in (finetuned, *alone))
    for label in LABELS:
        assert together[label] == pytest.approx(sum(row[label] for row in each) / 2, abs=1e-6)


def test_predicted_rows_have_the_labels_and_their_probabilities(results):
    model = electra_paddle.from_finetuned(results.models[0])
    texts = [CHARACTERS[0] * 3, CHARACTERS[7]]
    rows = list(model.predict_rows([{"text_a": text} for text in texts], with_probabilities=True, top_k=1))
    for row, (labels, probabilities) in zip(rows, model.predict(texts, with_probabilities=True), strict=True):
        assert row["labels"] == labels and row["scores"] == [probabilities[label] for label in labels]
        assert row["top_k"] == [
            {"label": max(probabilities, key=probabilities.get), "score": max(probabilities.values())}
        ]
        assert [row[f"probability_{label}"] for label in LABELS] == list(probabilities.values())


def test_choices_that_are_no_numbers_are_refused(results, tmp_path):
    damaged = shutil.copytree(results.models[0], tmp_path / "damaged")
    task = task_of(damaged)
    for value, message in (("high", "chosen.threshold 'high', expected a number"), (7, "between 0 and 1")):
        (damaged / "task.json").write_text(json.dumps({**task, "chosen": {"threshold": value}}))
        with pytest.raises((CheckpointError, ConfigError), match=message):
            electra_paddle.from_finetuned(damaged)


def test_hub_module_gives_the_same_labels_and_probabilities(results):
    from electra_paddle.hub.module import ElectraModule

    folder = results.models[0]
    module = type("Cases", (ElectraModule,), {"name": "cases", "summary": "", "directory": ""})(pretrained=folder)
    assert module.task == "multi-label-cls" and module.is_trained
    texts = [CHARACTERS[0] * 3 + CHARACTERS[1] * 3, CHARACTERS[2] * 3, CHARACTERS[7]]
    expected = electra_paddle.from_finetuned(folder).predict(texts, with_probabilities=True)
    labels, probabilities = module.predict([[text] for text in texts], return_prob=True)
    assert labels == [row[0] for row in expected] and {"fire", "theft"} <= set(labels[0])
    found = [dict(zip(LABELS, row, strict=True)) for row in probabilities]
    for row, (_, right) in zip(found, expected, strict=True):
        assert row == pytest.approx(right, abs=1e-6)
    assert module.handler.show(None, [], (["fire", "theft"], [0.9, 0.6, 0.1])) == {
        "labels": ["fire", "theft"],
        "probabilities": [0.9, 0.6],
    }


class StopsAt(Callback):
    """Ends a run as a crash does."""

    def __init__(self, step):
        self.step = step

    def on_step(self, session):
        if session.step == self.step:
            raise KeyboardInterrupt


def test_interrupted_trial_goes_on_to_the_same_model(finetune, results):
    with pytest.raises(KeyboardInterrupt):
        finetune("again", save_checkpoints_steps=20, callbacks=[StopsAt(45)])
    again = finetune("again", save_checkpoints_steps=20)
    assert again.trials[0] == results.trials[0]
    for name in ("model.safetensors", "task.json"):
        assert (again.models[0] / name).read_bytes() == (results.models[0] / name).read_bytes()


def test_thresholds_of_other_kinds_are_refused():
    classes = TaskDescription(name="moods", kind="classification", labels=["0", "1"])
    for name in ("threshold", "qa_na_threshold"):
        with pytest.raises(ConfigError, match=f"{name}: found 0.3, expected none for moods"):
            make_kind(classes, FinetuningConfig(**{name: 0.3}))

"""What a run tells of its mistakes: analysis, training rows that look mislabelled, and the page."""

import json
import re

import numpy as np
import pytest
from finetuning.conftest import CHARACTERS, write_splits

import electra_paddle
from electra_paddle.config import FinetuningConfig
from electra_paddle.finetuning.analysis import NOTHING, analyse, calibration
from electra_paddle.finetuning.comprehension.question_types import question_type
from electra_paddle.finetuning.comprehension.squad import Question
from electra_paddle.finetuning.description import TaskDescription
from electra_paddle.finetuning.kinds.base import make_kind
from electra_paddle.finetuning.kinds.classification import ClassificationPrediction
from electra_paddle.finetuning.kinds.multi_label import MultiLabelPrediction
from electra_paddle.finetuning.kinds.reading_comprehension import ReadingPrediction
from electra_paddle.finetuning.kinds.tagging import TaggingExample, TaggingPrediction, entity_confusions
from electra_paddle.finetuning.kinds.texts import TextExample
from electra_paddle.finetuning.page import as_text
from electra_paddle.models.answers import Answer


def kind_of(name, *labels, **entries):
    return make_kind(TaskDescription("task", name, labels=labels or None, **entries), FinetuningConfig())


def texts(*labels):
    return [
        TextExample(str(number), f"f:{number}", f"text {number}", None, label) for number, label in enumerate(labels)
    ]


def test_mistakes_of_classes_come_with_confidence_most_confident_first():
    kind = kind_of("classification", "bad", "good", "odd")
    rows = [[0.9, 0.1, 0.0], [0.6, 0.4, 0.0], [0.1, 0.8, 0.1], [0.7, 0.2, 0.1]]
    predictions = [ClassificationPrediction(int(np.argmax(row)), np.array(row)) for row in rows]
    found = analyse(kind, texts(0, 1, 1, 1), predictions)
    assert (found["examples"], found["wrong"]) == (4, 2)
    assert [
        (row["where"], row["text_a"], row["gold"], row["predicted"], row["severity"]) for row in found["mistakes"]
    ] == [
        ("f:3", "text 3", "good", "bad", 0.7),
        ("f:1", "text 1", "good", "bad", 0.6),
    ]
    assert found["confusions"] == [{"right": "good", "said": "bad", "count": 2}]
    assert found["groups"] == [{"name": "bad", "count": 1, "found": 1}, {"name": "good", "count": 3, "found": 1}]


def test_calibration_compares_confidence_with_the_share_that_is_right():
    found = calibration([(0.95, True), (0.91, True), (1.0, False), (0.55, True)])
    assert found["bins"] == [
        {"count": 1, "confidence": 0.55, "right": 1.0},
        {"count": 3, "confidence": pytest.approx(2.86 / 3), "right": pytest.approx(2 / 3)},
    ]
    assert found["error"] == pytest.approx(100 * (0.45 + 0.86) / 4)
    assert calibration([]) is None


def test_sets_of_labels_are_confused_label_by_label():
    kind = kind_of("multi_label", "a", "b", "c")
    predictions = [
        MultiLabelPrediction((1,), np.array([0.2, 0.9, 0.1])),
        MultiLabelPrediction((0, 2), np.array([0.8, 0.1, 0.7])),
        MultiLabelPrediction((), np.array([0.3, 0.1, 0.1])),
    ]
    found = analyse(kind, texts((0,), (0,), (0, 1)), predictions)
    assert found["wrong"] == 3 and [row["severity"] for row in found["mistakes"]] == [0.9, 0.9, 0.7]
    assert {(pair["right"], pair["said"], pair["count"]) for pair in found["confusions"]} == {
        ("a", "b", 1),
        (NOTHING, "c", 1),
        ("a", NOTHING, 1),
        ("b", NOTHING, 1),
    }


def test_numbers_have_errors_instead_of_mistakes():
    found = analyse(kind_of("regression"), texts(1.0, 2.0), [1.5, 0.0])
    assert found["wrong"] is None and found["calibration"] is None
    assert [(row["id"], row["severity"]) for row in found["mistakes"]] == [("1", 2.0), ("0", 0.5)]


def test_entities_are_counted_by_class_and_what_they_were_taken_for():
    kind = kind_of("tagging", "O", "B-PER", "I-PER", "B-LOC", "I-LOC")
    example = TaggingExample("0", "f:1", tuple("abcdef"), (1, 2, 0, 3, 0, 0))
    prediction = TaggingPrediction([1, 2, 0, 1, 0, 3], [0.9, 0.9, 0.9, 0.8, 0.9, 0.6])
    found = analyse(kind, [example], [prediction])
    assert found["groups"] == [{"name": "LOC", "count": 1, "found": 0}, {"name": "PER", "count": 1, "found": 1}]
    assert [(pair["right"], pair["said"]) for pair in found["confusions"]] == [("LOC", "PER"), (NOTHING, "LOC")]
    assert found["mistakes"][0]["severity"] == 0.8 and found["mistakes"][0]["text"] == "abcdef"
    right, said = {("PER", 0, 2), ("LOC", 5, 5)}, {("PER", 0, 1)}
    assert entity_confusions(right, said) == [("LOC", NOTHING), ("PER", "PER, another extent")]


@pytest.mark.parametrize(
    ("question", "name"),
    [
        ("谁写了这本书？", "who"),
        ("他是什么时候出生的？", "when"),
        ("范廷颂是何时被任为主教的？", "when"),
        ("总部位于哪里？", "where"),
        ("战役持续了多少天？", "how many"),
        ("为什么会下雨？", "why"),
        ("如何安装？", "how"),
        ("他是否到过北京？", "yes or no"),
        ("哪种颜色最多？", "which"),
        ("这种鸟叫什么？", "what"),
        ("简述其经过。", "other"),
    ],
)
def test_question_is_of_the_type_that_its_words_say(question, name):
    assert question_type(question) == name


def test_questions_are_grouped_by_type():
    kind = kind_of("reading_comprehension", format="squad")
    questions = [
        Question(str(n), "f", text, "一二三", ("一",), (0,)) for n, text in enumerate(("谁来了？", "谁走了？"))
    ]
    predictions = [ReadingPrediction(text, [Answer(text, 0.0, 0.0, 0, 1)], text) for text in ("一", "二")]
    found = analyse(kind, questions, predictions)
    assert found["groups"] == [{"name": "who", "count": 2, "found": 1}]
    assert found["mistakes"][0]["question"] == "谁走了？" and found["mistakes"][0]["context"] == "一二三"


WRONG = 17  # row of the training data whose label is wrong


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory):
    data_dir = tmp_path_factory.mktemp("moods")
    rows = []
    for number in range(40):
        label = number % 2
        shown = ("bad", "good")[label if number != WRONG else 1 - label]
        rows.append(f"{shown}\t{CHARACTERS[label] * 3}{CHARACTERS[2 + number % 30]}<b>{number}</b>")
    write_splits(
        data_dir, "moods", {"train": rows, "dev": rows[:12], "test": [*rows[20:31], f"bad\t{CHARACTERS[1] * 4}"]}
    )
    return data_dir


def finetune(data_dir, model_dir, out, **settings):
    options = {
        "output_dir": data_dir / out,
        "learning_rate": 5e-3,
        "layerwise_lr_decay": 0.0,
        "num_train_epochs": 8,
        "train_batch_size": 4,
        "max_seq_length": 16,
        "loggers": (),
        **settings,
    }
    task = TaskDescription("moods", labels=("bad", "good"))
    return electra_paddle.finetune(task, data_dir=data_dir, init_checkpoint=model_dir, **options)


def suspects(data_dir, out, number=1):
    path = data_dir / out / f"results/moods_train_{number}_suspects.jsonl"
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


@pytest.fixture(scope="module")
def run(data_dir, model_dir):
    return finetune(data_dir, model_dir, "out", num_trials=2)


def test_row_with_a_wrong_label_has_the_highest_loss(run, data_dir):
    for number in (1, 2):
        rows = suspects(data_dir, "out", number)
        assert rows[0]["where"].endswith(f"train.tsv:{WRONG + 2}") and rows[0]["gold"] == "bad"
        assert len(rows) == 40 and rows[0]["loss"] > 2 * rows[1]["loss"] > 0
        assert rows == sorted(rows, key=lambda row: -row["loss"])


def test_losses_do_not_depend_on_accumulation(run, data_dir, model_dir):
    off = {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
    options = {"num_train_epochs": 1, "model_hparam_overrides": off, "train_batch_size": 8}
    for parts in (1, 3):
        finetune(data_dir, model_dir, f"parts{parts}", gradient_accumulation_steps=parts, **options)
    one, three = ({row["where"]: row["loss"] for row in suspects(data_dir, f"parts{parts}")} for parts in (1, 3))
    assert one.keys() == three.keys() and all(three[key] == pytest.approx(one[key], abs=1e-4) for key in one)


def test_interrupted_run_keeps_its_losses(run, data_dir, model_dir):
    from electra_paddle.training.callbacks import Callback

    class Stop(Callback):
        def on_step(self, session):
            if session.step == 33:
                raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        finetune(data_dir, model_dir, "stopped", num_trials=2, save_checkpoints_steps=15, callbacks=[Stop()])
    finetune(data_dir, model_dir, "stopped", num_trials=2, save_checkpoints_steps=15)
    assert suspects(data_dir, "stopped") == suspects(data_dir, "out")


def test_predictions_carry_text_and_gold(run, data_dir):
    path = data_dir / "out/results/moods_dev_2_predictions.jsonl"
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    assert len(rows) == 12 and rows[0]["text_a"].endswith("<b>0</b>")
    assert {"id", "where", "text_a", "gold", "predicted"} == rows[0].keys()
    assert sum(row["gold"] == row["predicted"] for row in rows) / 12 == pytest.approx(
        run.trials[1]["dev"]["accuracy"] / 100
    )


def test_page_shows_scores_mistakes_settings_and_opens_without_a_network(run, data_dir):
    page = (data_dir / "out/results/moods_report.html").read_text(encoding="utf-8")
    assert run.heading in page and f"{run.trials[0]['dev']['accuracy']:.2f}" in page
    for heading in ("Development", "Test", "Most confused", "Worst mistakes", "Training rows that look mislabelled"):
        assert f">{heading}</h" in page, heading
    assert "&lt;b&gt;17&lt;/b&gt;" in page and "<b>" not in page  # of the training row with the wrong label
    assert "<td><code>learning_rate</code></td><td>0.005</td>" in page and "paddlenlp" in page
    sources = re.findall(r'(?:src|href)="([^"]*)"', page)
    assert any(source.startswith("data:image/png;base64,") for source in sources)
    assert not [source for source in sources if "://" in source]
    for source in sources:
        assert source.startswith("data:") or (data_dir / "out/results" / source).exists(), source
    for name in ("../finetuning_models/moods_model_2", "moods_results.json", "moods_dev_1_predictions.jsonl"):
        assert name in sources


def test_rows_that_the_other_folds_answer_otherwise_are_the_suspects(data_dir, model_dir):
    finetune(data_dir, model_dir, "folds", folds=2)
    found = json.loads((data_dir / "folds/results/moods_out_of_fold_analysis.json").read_text())
    assert any(row["where"].endswith(f"train.tsv:{WRONG + 2}") for row in found["mistakes"])
    page = (data_dir / "folds/results/moods_report.html").read_text(encoding="utf-8")
    assert "Training data, out of fold" in page and "a model that was not trained on them" in page


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("好", "好"),
        ({"text": "北京", "score": 0.5, "start": 0, "end": 2}, "北京"),
        ({"text": "", "score": 0.5, "start": 0, "end": 0}, "(no answer)"),
        (["YES"], "YES"),
        (["北京", "首都"], "北京 | 首都"),
        ([""], "(no answer)"),
        ([], "[]"),
        (0.5, "0.5"),
        ([["LOC", 0, 2]], '[["LOC", 0, 2]]'),
    ],
)
def test_answers_are_shown_as_text(value, shown):
    assert as_text(value) == shown

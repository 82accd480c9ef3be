"""The Chinese metric against the original script's own results."""

import hashlib
import json

import pytest
from conftest import ROOT, shared_file

from electra_paddle.cli import main
from electra_paddle.commands import evaluate_cmrc
from electra_paddle.finetuning.comprehension.chinese_metric import exact_match, f1, score, segment, strip_punctuation
from electra_paddle.finetuning.comprehension.english_words import english_words
from electra_paddle.finetuning.comprehension.squad import read_json

DATASETS = {"cmrc2018_trial": "data/cmrc2018/cmrc2018_trial.json", "DRCD_dev": "data/drcd/DRCD_dev.json"}


def golden():
    return json.loads(shared_file("golden/metric.json").read_text(encoding="utf-8"))


def test_pairs_agree_with_the_original():
    for pair in golden()["pairs"]:
        prediction, answers = pair["prediction"], pair["answers"]
        assert segment(prediction) == pair["prediction_segments"]
        assert [segment(answer) for answer in answers] == pair["answer_segments"]
        assert strip_punctuation(prediction) == pair["prediction_stripped"]
        assert exact_match(prediction, answers) == pair["em"]
        assert f1(prediction, answers) == pytest.approx(pair["f1"], abs=1e-12)


@pytest.mark.parametrize("name", DATASETS)
def test_files_are_printed_as_by_the_original(name, tmp_path, capsys):
    expected = next(file for file in golden()["files"] if file["dataset"] == name)
    dataset, predictions = shared_file(DATASETS[name]), tmp_path / "preds.json"
    assert hashlib.sha256(dataset.read_bytes()).hexdigest() == expected["dataset_sha256"]
    predictions.write_text(json.dumps(expected["predictions"]))
    assert main(["evaluate_cmrc", str(dataset), str(predictions)]) == 0
    printed, told = capsys.readouterr()
    result = {key: expected["result"][key] for key in ("AVERAGE", "F1", "EM", "TOTAL", "SKIP")}
    assert printed == json.dumps({**result, "FILE": str(predictions)}) + "\n"
    unanswered = [line for line in told.splitlines() if line.startswith("Unanswered")]
    assert unanswered[0] == expected["unanswered_message_first"] and len(unanswered) == result["SKIP"]
    assert "1 rows skipped" in told and "an id that the questions lack" in told
    questions = [
        (question["id"], [answer["text"] for answer in question["answers"]])
        for article in read_json(dataset)["data"]
        for paragraph in article["paragraphs"]
        for question in paragraph["qas"]
    ]
    scores = score(questions, expected["predictions"])
    assert (scores.f1, scores.em) == pytest.approx((expected["f1_exact"], expected["em_exact"]), abs=1e-9)


@pytest.mark.parametrize(
    ("prediction", "answers", "expected"),
    [
        ("北京", ["北京"], (1, 1.0)),
        ("《北京》。", ["北京", "上海"], (1, 1.0)),
        ("北京市", ["北京"], (0, 2 * 2 / (3 + 2))),
        ("人民银行中国", ["中国人民银行"], (0, 2 * 4 / (6 + 6))),  # the longest shared run is 人民银行
        ("a-b", ["AB"], (1, 1.0)),
        ("北 京", ["北京"], (0, 1.0)),
        ("", [""], (1, 0)),
        ("北京", [], (0, 0)),
    ],
)
def test_hand_computed_pairs(prediction, answers, expected):
    assert (exact_match(prediction, answers), f1(prediction, answers)) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("don't, they'll", "do n't , they 'll"),
        ("1,000 yen, 3.5%", "1,000 yen , 3.5 %"),
        ('"loose talk" (p. 5)', "`` loose talk '' ( p . 5 )"),
        ("mr. smith left. he cannot.", "mr. smith left . he can not ."),
        ("john h. mcarthur", "john h. mcarthur"),
        ("the u.s. army. the end...", "the u.s. army . the end ..."),
        ("first (no.) and", "first ( no . ) and"),
    ],
)
def test_english_words(text, words):
    assert english_words(text) == words.split()


def test_question_without_prediction_counts_as_wrong():
    scores = score([("1", ["北京"]), ("2", ["上海"])], {"1": "北京"})
    assert (scores.em, scores.f1, scores.average, scores.total, scores.unanswered) == (50, 50, 50, 2, ["2"])


@pytest.fixture
def dataset(tmp_path):
    path = tmp_path / "dev.json"
    entry = {"id": "Q1", "question": "哪里？", "answers": [{"text": "北京", "answer_start": 0}]}
    content = {"data": [{"paragraphs": [{"context": "北京是首都。", "qas": [entry]}]}]}
    path.write_text(json.dumps(content), encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("predictions", "message"),
    [
        ("{", "preds.json:1: found broken JSON"),
        ('["北京"]', "preds.json: found a list, expected an object from question id to answer"),
        ('{"Q1": 3}', "preds.json: question Q1: found a int, expected the answer, a text"),
        ('{"Q2": "北京"}', "preds.json: question Q2: found an id that the questions lack"),
    ],
)
def test_wrong_predictions_are_one_line(predictions, message, dataset, tmp_path, capsys):
    path = tmp_path / "preds.json"
    path.write_text(predictions, encoding="utf-8")
    assert main(["evaluate_cmrc", str(dataset), str(path), "--on-error", "stop"]) == 2
    told = capsys.readouterr().err
    assert message in told and told.count("\n") == 1


def test_script_of_tasks_is_the_command():
    assert (ROOT / "tasks" / f"{evaluate_cmrc.__name__.rpartition('.')[2]}.py").is_file()


def test_of_no_answers_only_an_empty_prediction_is_right():
    assert exact_match("", []) == 1 and f1(" ", ()) == 1.0
    assert exact_match("某", []) == 0 and f1("某", ()) == 0.0
    scores = score([("a", []), ("b", []), ("c", ["对"])], {"a": "", "b": "某", "c": "对"})
    assert (scores.em, scores.f1, scores.total) == (pytest.approx(200 / 3), pytest.approx(200 / 3), 3)

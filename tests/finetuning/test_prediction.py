"""Files through a fine-tuned model: columns kept, answers appended, order and memory as they were."""

import csv
import io
import json
import shutil
import subprocess
import sys
import tracemalloc

import numpy as np
import pytest
from finetuning.conftest import CHARACTERS
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from electra_paddle import from_finetuned
from electra_paddle.cli import main
from electra_paddle.config import FinetuningConfig
from electra_paddle.errors import ConfigError
from electra_paddle.finetuning.description import TaskDescription
from electra_paddle.finetuning.kinds.base import TASK, make_kind, task_text
from electra_paddle.finetuning.prediction import find_inputs

READING = {"joint_prediction": False, "answerable_classifier": False}


def save(folder, description, architecture, **entries):
    """A fine-tuned directory with weights from a seed."""
    from paddlenlp.transformers import ElectraConfig

    from electra_paddle.models.initialization import initialize
    from electra_paddle.models.pretrained_directory import save_pretrained
    from electra_paddle.text import SPECIAL_TOKENS, Vocabulary

    vocabulary = Vocabulary([*SPECIAL_TOKENS, *CHARACTERS])
    shape = {"embedding_size": 8, "hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2}
    config = ElectraConfig(vocab_size=len(vocabulary), intermediate_size=64, **shape, **entries)
    if description.labels:
        config.id2label, config.num_labels = dict(enumerate(description.labels)), len(description.labels)
    network = architecture(config)
    initialize(network, 0)
    reading = {} if description.answer_types or "reading" not in entries else READING
    kind = make_kind(description, FinetuningConfig(max_seq_length=32, **reading))
    save_pretrained(network, folder, vocabulary, True, "# tiny", {TASK: task_text(kind)})
    return folder


@pytest.fixture(scope="module")
def classifier(tmp_path_factory):
    from electra_paddle.models.heads import ElectraClassifier

    description = TaskDescription("mood", labels=("bad", "good"))
    return save(tmp_path_factory.mktemp("models") / "classifier", description, ElectraClassifier)


@pytest.fixture(scope="module")
def tagger(tmp_path_factory):
    from electra_paddle.models.heads import ElectraTagger

    description = TaskDescription("names", "tagging", "bio", labels=("O", "B-P", "I-P"))
    return save(tmp_path_factory.mktemp("models") / "tagger", description, ElectraTagger)


@pytest.fixture(scope="module")
def reader(tmp_path_factory):
    from electra_paddle.models.reading_comprehension import ElectraReader

    description = TaskDescription("quiz", "reading_comprehension", "squad")
    folder = tmp_path_factory.mktemp("models") / "reader"
    return save(folder, description, ElectraReader, reading=READING)


def table(path, delimiter=","):
    with open(path, encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream, delimiter=delimiter))


TEXTS = ["".join(CHARACTERS[start : start + 3 + start % 7]) for start in range(30)]


def test_csv_keeps_its_columns_and_order(classifier, tmp_path, capsys):
    path, out = tmp_path / "in.csv", tmp_path / "out.csv"
    with open(path, "w", encoding="utf-8-sig", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(["编号", "评论", "label"])
        writer.writerows([number, f'{text}"，\n"', "?"] for number, text in enumerate(TEXTS))
    assert main(["predict", str(classifier), str(path), str(out), "--probabilities", "--top-k", "1"]) == 0
    rows = table(out)
    columns = ["编号", "评论", "label", "predicted_label", "score", "top_k", "probability_bad", "probability_good"]
    assert list(rows[0]) == columns
    assert [row["编号"] for row in rows] == [str(number) for number in range(30)]
    assert all(row["label"] == "?" for row in rows)
    expected = from_finetuned(classifier).predict([f'{text}"，\n"' for text in TEXTS], with_probabilities=True)
    for row, (label, probabilities) in zip(rows, expected, strict=True):
        assert row["predicted_label"] == label == json.loads(row["top_k"])[0]["label"]
        assert float(row["score"]) == pytest.approx(probabilities[label], abs=1e-5)
    assert main(["predict", str(classifier), str(path), str(out)]) == 2
    assert "which exists, expected a new file; --overwrite" in capsys.readouterr().err


def test_lines_of_standard_input_go_to_standard_output(classifier, tmp_path, monkeypatch, capsys):
    path = tmp_path / "in.txt"
    path.write_text("\n".join(TEXTS) + "\n", encoding="utf-8")
    assert main(["predict", str(classifier), str(path)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split("\t") == ["text", "label", "score"] and len(lines) == 31
    assert [line.split("\t")[0] for line in lines[1:]] == TEXTS


def test_entities_have_places_in_the_text(tagger, tmp_path):
    path, out = tmp_path / "in.jsonl", tmp_path / "out.jsonl"
    path.write_text("".join(json.dumps({"id": text, "text": text}) + "\n" for text in TEXTS), encoding="utf-8")
    assert main(["predict", str(tagger), str(path), str(out)]) == 0
    rows = [json.loads(line) for line in out.read_text(encoding="utf-8").splitlines()]
    entities = [(row["text"], entity) for row in rows for entity in row["entities"]]
    assert entities and [row["id"] for row in rows] == TEXTS
    for text, entity in entities:
        assert text[entity["start"] : entity["end"]] == entity["text"] and entity["label"] == "P"
        assert 0 < entity["score"] <= 1


def test_answers_have_places_in_the_context(reader, tmp_path):
    path, out = tmp_path / "in.tsv", tmp_path / "out.tsv"
    rows = ["question\tcontext", *(f"{CHARACTERS[0]}\t{text}" for text in TEXTS)]
    path.write_text("\n".join(rows) + "\n", encoding="utf-8")
    assert main(["predict", str(reader), str(path), str(out)]) == 0
    found = table(out, "\t")
    expected = from_finetuned(reader).predict([(text, CHARACTERS[0]) for text in TEXTS])
    for row, answer in zip(found, expected, strict=True):
        assert row["answer"] == answer["text"] == row["context"][int(row["start"]) : int(row["end"])]


def test_questions_of_nested_files_are_rows(reader, tmp_path, capsys):
    ask = {"id": "1", "question": CHARACTERS[0], "answers": []}
    squad = {"data": [{"paragraphs": [{"context": text, "qas": [ask, {**ask, "id": "2"}]} for text in TEXTS]}]}
    other = [{"context_text": text, "qas": [{"query_id": "1", "query_text": CHARACTERS[0]}]} for text in TEXTS]
    expected = from_finetuned(reader).predict([(text, CHARACTERS[0]) for text in TEXTS])
    for content, times in ((squad, 2), (other, 1)):
        (tmp_path / "in.json").write_text(json.dumps(content), encoding="utf-8")
        assert (
            main(["predict", str(reader), str(tmp_path / "in.json"), str(tmp_path / "out.jsonl"), "--overwrite"]) == 0
        )
        rows = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text(encoding="utf-8").splitlines()]
        assert [row["answer"] for row in rows] == [answer["text"] for answer in expected for _ in range(times)]
        assert rows[0]["context"] == TEXTS[0] and len({row.get("id", row.get("query_id")) for row in rows}) == times
    squad["data"][0]["paragraphs"][0]["qas"].append(3)
    (tmp_path / "in.json").write_text(json.dumps(squad), encoding="utf-8")
    assert main(["predict", str(reader), str(tmp_path / "in.json"), str(tmp_path / "no.jsonl")]) == 2
    assert (
        "data[0].paragraphs[0].qas[2]: found a int" in capsys.readouterr().err and not (tmp_path / "no.jsonl").exists()
    )


def test_bad_row_stops_or_stays_without_an_answer(classifier, tmp_path, capsys):
    path, out = tmp_path / "in.csv", tmp_path / "out.csv"
    path.write_text(f"text,n\n{TEXTS[0]},1\n ,2\n{TEXTS[1]},3\n", encoding="utf-8")
    assert main(["predict", str(classifier), str(path), str(out)]) == 2
    assert "in.csv:3: found ' ', expected a text" in capsys.readouterr().err
    assert sorted(each.name for each in tmp_path.iterdir()) == ["in.csv"]
    assert main(["predict", str(classifier), str(path), str(out), "--on-error", "skip"]) == 0
    rows = table(out)
    assert [row["n"] for row in rows] == ["1", "2", "3"] and rows[1]["label"] == rows[1]["score"] == ""
    assert "1 rows skipped" in capsys.readouterr().err


def test_what_is_no_fine_tuned_model_is_told_apart(classifier, tmp_path, capsys):
    (tmp_path / "in.txt").write_text(TEXTS[0], encoding="utf-8")
    shutil.copytree(classifier, tmp_path / "models/mood")
    for name, said in (
        ("chinese-electra-nano", "found the name of a pretrained network, without a task, expected a fine-tuned"),
        (tmp_path / "nowhere", "found no such file or folder, expected a fine-tuned model's folder"),
        (tmp_path, f"found no model, but 1 below it ({tmp_path}/models/mood), expected one of those"),
        (tmp_path / "models", f"found no model, but 1 below it ({tmp_path}/models/mood), expected one of those"),
    ):
        assert main(["predict", str(name), str(tmp_path / "in.txt")]) == 2
        assert capsys.readouterr().err.startswith(f"error: {name}: {said}")


def test_columns_are_found_by_their_names_or_as_asked():
    assert find_inputs(["text_a"], ["id", "评论"], {}) == {"text_a": "评论"}
    assert find_inputs(["text_a", "text_b"], ["sentence2", "sentence1"], {}) == {
        "text_a": "sentence1",
        "text_b": "sentence2",
    }
    assert find_inputs(["context", "question"], ["问题", "段落"], {}) == {"context": "段落", "question": "问题"}
    assert find_inputs(["text_a"], ["whatever"], {}) == {"text_a": "whatever"}
    assert find_inputs(["text_a"], ["id", "text", "said"], {"text_a": "said"}) == {"text_a": "said"}
    assert find_inputs(["text_a", "text_b"], ["0", "1"], {}) == {"text_a": "0", "text_b": "1"}
    with pytest.raises(ConfigError, match=r"columns a, b, expected one called text_a among them; --columns text_a="):
        find_inputs(["text_a"], ["a", "b"], {})
    with pytest.raises(ConfigError, match="expected 'c' among them"):
        find_inputs(["text_a"], ["a", "text"], {"text_a": "c"})


def test_columns_of_the_training_files_and_of_choices_are_found():
    trained = {"label": "情感", "text_a": "原文"}
    assert find_inputs(["text_a"], ["text", "原文"], {}, trained) == {"text_a": "原文"}
    assert find_inputs(["text_a"], ["text", "other"], {}, trained) == {"text_a": "text"}
    assert find_inputs(["text_a"], ["text", "原文"], {"text_a": "text"}, trained) == {"text_a": "text"}
    exam = {"text_a": "题目", "choice_1": "甲", "choice_2": "乙"}
    assert find_inputs(["text_a", "choices"], ["题目", "甲", "乙"], {}, exam) == {
        "text_a": "题目",
        "choices": ["甲", "乙"],
    }
    assert find_inputs(["text_a", "choices"], ["text", "A", "B"], {}) == {"text_a": "text", "choices": ["A", "B"]}
    with pytest.raises(ConfigError, match="columns: found an input 'text_q', expected text_a"):
        find_inputs(["text_a"], ["text"], {"text_q": "text"})


def predicted(capsys, model, path, *options):
    """(rows that `predict` prints as JSON, what it says beside)."""
    assert main(["predict", str(model), str(path), "-", "--out-format", "jsonl", *options]) == 0
    out, said = capsys.readouterr()
    return [json.loads(line) for line in out.splitlines()], said


def test_table_without_a_header_keeps_its_first_row_where_that_is_said(classifier, tmp_path, capsys):
    (tmp_path / "t.csv").write_text("很好！\n很差\n", encoding="utf-8")
    rows, said = predicted(capsys, classifier, tmp_path / "t.csv")
    assert len(rows) == 1 and "the first line, '很好！', is taken as the header; --no-header" in said
    rows, said = predicted(capsys, classifier, tmp_path / "t.csv", "--no-header")
    assert [row["0"] for row in rows] == ["很好！", "很差"] and "the first line" not in said
    (tmp_path / "t.tsv").write_text("7\t很好\n8\t很差\n", encoding="utf-8")
    rows, _ = predicted(capsys, classifier, tmp_path / "t.tsv", "--no-header", "--columns", "text_a=1")
    assert [(row["0"], row["1"]) for row in rows] == [("7", "很好"), ("8", "很差")]


def test_json_may_be_lines_and_an_array_may_come_by_a_pipe(classifier, tmp_path, capsys):
    lines = [json.dumps({"text": text}) for text in TEXTS[:3]]
    (tmp_path / "t.json").write_text("\n".join(lines) + "\n")
    expected, _ = predicted(capsys, classifier, tmp_path / "t.json")
    assert [row["text"] for row in expected] == TEXTS[:3]
    command = [sys.executable, "-m", "electra_paddle", "predict", classifier, "-", "-", "--format", "json"]
    array = "[" + ",\n".join(lines) + "]"
    done = subprocess.run([*command, "--out-format", "jsonl"], input=array, capture_output=True, text=True, check=True)
    assert [json.loads(line)["label"] for line in done.stdout.splitlines()] == [row["label"] for row in expected]


def test_outputs_that_a_kind_does_not_have_are_refused(tagger, capsys, tmp_path):
    (tmp_path / "t.txt").write_text("一\n", encoding="utf-8")
    for option, name in ((["--probabilities"], "probabilities"), (["--top-k", "2"], "top_k")):
        assert main(["predict", str(tagger), str(tmp_path / "t.txt"), *option]) == 2
        assert f"{name}: found" in capsys.readouterr().err


@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.text(st.characters(blacklist_categories=["Cs"], blacklist_characters="\0"), min_size=1), max_size=5))
def test_any_texts_come_back_with_a_label(classifier, tmp_path, texts):
    texts = [text for text in texts if text.strip()] + ["好"]
    content = io.StringIO()
    csv.writer(content, quoting=csv.QUOTE_ALL).writerows([["text"], *([text] for text in texts)])
    (tmp_path / "in.csv").write_bytes(content.getvalue().encode())
    out = tmp_path / "out.jsonl"
    assert main(["predict", str(classifier), str(tmp_path / "in.csv"), str(out), "--overwrite"]) == 0
    rows = [json.loads(line) for line in out.read_text(encoding="utf-8").split("\n") if line]
    assert [row["text"].replace("\r\n", "\n") for row in rows] == [text.replace("\r\n", "\n") for text in texts]
    assert all(row["label"] in ("bad", "good") for row in rows)


def test_rows_in_python_are_answered_as_they_are_asked_for(classifier):
    model, asked = from_finetuned(classifier), []

    def rows():
        for number in range(10**9):
            asked.append(number)
            yield {"text": TEXTS[number % 30], "n": number}

    answered = model.predict_rows(rows(), batch_size=1)
    first = [next(answered) for _ in range(3)]
    assert [row["n"] for row in first] == [0, 1, 2] and len(asked) == 64
    assert [row["label"] for row in first] == model.predict(TEXTS[:3])
    assert np.isclose(first[0]["score"], max(model.predict(TEXTS[:1], with_probabilities=True)[0][1].values()))


@pytest.mark.slow
def test_memory_does_not_grow_with_the_rows(classifier, tmp_path):
    peaks = []
    for count in (5_000, 20_000):
        path = tmp_path / "in.csv"
        path.write_text("text\n" + "".join(f"{TEXTS[number % 30]}\n" for number in range(count)), encoding="utf-8")
        tracemalloc.start()
        assert main(["predict", str(classifier), str(path), str(tmp_path / "out.csv"), "--overwrite"]) == 0
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 1.2 * peaks[0]


WRITTEN = {  # kind -> (class of the network, labels, rows of a file)
    "classification": ("ElectraClassifier", ("bad", "good"), [{"text_a": "丁丂七"}, {"text_a": "".join(CHARACTERS)}]),
    "multi_label": ("ElectraMultiLabelClassifier", ("a", "b", "c"), [{"text_a": "丁丂七"}, {"text_a": "丄"}]),
    "regression": ("ElectraRegressor", (), [{"text_a": "丁丂七"}, {"text_a": "丄"}]),
    "tagging": ("ElectraTagger", ("O", "B-P", "I-P"), [{"text": "".join(CHARACTERS) * 2}, {"text": "丄"}]),
    "multiple_choice": ("ElectraChoiceScorer", (), [{"text_a": "丁丂七", "choices": "一|丁丁|七"}] * 3),
    "reading_comprehension": ("ElectraReader", (), [{"context": "".join(CHARACTERS) * 2, "question": "丁丂"}]),
}


@pytest.mark.parametrize("engine", ["inference", "onnx"])
@pytest.mark.parametrize("name", WRITTEN)
def test_exported_network_answers_as_the_model(name, engine, tmp_path, capsys):
    if engine == "onnx":
        pytest.importorskip("paddle2onnx")
    from electra_paddle.models import heads, reading_comprehension

    architecture, labels, rows = WRITTEN[name]
    types = ("span", "none", "yes_no") if name == "reading_comprehension" else None
    description = TaskDescription("task", name, labels=labels, answer_types=types)
    network = getattr(reading_comprehension if types else heads, architecture)
    entries = {"reading": {"yes_no_classifier": True}} if types else {}
    model = tmp_path / "model"
    save(model, description, network, **entries)
    source = tmp_path / "in.jsonl"
    source.write_text("".join(json.dumps(row) + "\n" for row in rows))
    form = {"inference": "paddle", "onnx": "onnx"}[engine]
    assert main(["export-inference", str(model), str(tmp_path / "net"), "--format", form]) == 0
    options = {"eager.jsonl": [], "exported.jsonl": ["--engine", engine, "--exported", str(tmp_path / "net")]}
    best = [] if name in ("regression", "tagging") else ["--top-k", "2"]
    found = {}
    for out, more in options.items():
        assert main(["predict", str(model), str(source), str(tmp_path / out), *best, *more]) == 0
        found[out] = [json.loads(line) for line in (tmp_path / out).read_text().splitlines()]
    assert len(found["eager.jsonl"]) == len(rows)
    for mine, exported in zip(found["eager.jsonl"], found["exported.jsonl"], strict=True):
        assert_alike(exported, mine)


def assert_alike(found, expected):
    """Equal but for the rounding of numbers."""
    if isinstance(expected, dict):
        assert found.keys() == expected.keys()
        for key, value in expected.items():
            assert_alike(found[key], value)
    elif isinstance(expected, list):
        assert len(found) == len(expected)
        for pair in zip(found, expected, strict=True):
            assert_alike(*pair)
    else:
        assert found == (pytest.approx(expected, abs=1e-5) if isinstance(expected, float) else expected)


def test_engine_and_its_folder_belong_together(classifier, tagger, tmp_path, capsys):
    (tmp_path / "in.txt").write_text("丁\n", encoding="utf-8")
    given = [str(classifier), str(tmp_path / "in.txt")]
    assert main(["predict", *given, "--engine", "onnx"]) == 2
    assert "export-inference" in capsys.readouterr().err
    assert main(["predict", *given, "--exported", str(tmp_path)]) == 2
    assert main(["export-inference", str(tagger), str(tmp_path / "net")]) == 0
    assert main(["predict", *given, "--engine", "inference", "--exported", str(tmp_path / "net")]) == 2
    assert "of another task (token-cls)" in capsys.readouterr().err

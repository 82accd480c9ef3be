"""What `init-task` understands of a file, up to training by the description that it wrote."""

import json
import random

import pytest

from electra_paddle.cli import main
from electra_paddle.config import FinetuningConfig
from electra_paddle.errors import DataError
from electra_paddle.finetuning.description import load_description
from electra_paddle.finetuning.guess import guess_labels, guess_task
from electra_paddle.finetuning.kinds.base import make_kind
from electra_paddle.finetuning.problems import Problems

RNG = random.Random(0)
TEXTS = ["".join(chr(RNG.randrange(0x4E00, 0x5000)) for _ in range(RNG.randint(8, 40))) for _ in range(60)]
SHORT = ["".join(chr(RNG.randrange(0x4E00, 0x5000)) for _ in range(RNG.randint(6, 12))) for _ in range(60)]


def table(rows, delimiter):
    return "".join(delimiter.join(map(str, row)) + "\n" for row in rows)


def lines(rows):
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)


def quiz(name, answer, start):
    return {"id": name, "question": SHORT[0], "answers": [{"text": answer, "answer_start": start}]}


CSV = table([("编号", "标签", "评论"), *((n, n % 2, TEXTS[n]) for n in range(60))], ",")
NLI = ["entailment", "neutral", "contradiction", "-"]
OCNLI = lines(
    {"level": "easy", "sentence1": TEXTS[n], "sentence2": SHORT[n], "label": NLI[n % 4], "genre": "tv", "id": n}
    for n in range(60)
)
SQUAD = {"data": [{"paragraphs": [{"context": TEXTS[0], "qas": [quiz("1", TEXTS[0][2:4], 2)]}]}]}
CJRC = {
    "data": [
        {
            "paragraphs": [
                {"context": TEXTS[0], "qas": [*SQUAD["data"][0]["paragraphs"][0]["qas"], quiz("2", "YES", -1)]}
            ]
        },
        {"paragraphs": [{"context": TEXTS[1], "qas": [quiz("3", "", -1), quiz("4", "NO", -1)]}]},
    ]
}
ROWS = [
    {"context": TEXTS[n], "question": SHORT[n], "answers": {"text": [TEXTS[n][:2]], "answer_start": [0]}}
    for n in (1, 2)
]
COMMON = table([("标签", "评论"), *((n % 2, f"这是我的一个大学，不是你们的人来的地方{n}") for n in range(60))], ",")
FILES = [
    (
        "a.csv",
        CSV,
        {"kind": "classification", "format": "csv", "columns": {"id": "编号", "label": "标签", "text_a": "评论"}},
    ),
    ("b.csv", COMMON.encode("gb18030"), {"kind": "classification", "encoding": "gb18030"}),
    (
        "c.tsv",
        table(((TEXTS[n], SHORT[n], n % 3) for n in range(60)), "\t"),
        {"kind": "classification", "format": "tsv", "header": False, "columns": {"label": 2, "text_a": 0, "text_b": 1}},
    ),
    (
        "ocnli.json",
        OCNLI,
        {
            "kind": "classification",
            "format": "jsonl",
            "columns": {"id": "id", "label": "label", "text_a": "sentence1", "text_b": "sentence2"},
            "ignore_labels": ["-"],
        },
    ),
    (
        "sts.csv",
        table([("sentence1", "sentence2", "score"), *((TEXTS[n], SHORT[n], n / 4) for n in range(60))], ","),
        {"kind": "regression"},
    ),
    (
        "many.jsonl",
        lines({"text": TEXTS[n], "label": ["a", "b", "c"][: n % 4]} for n in range(60)),
        {"kind": "multi_label", "columns": {"label": "label", "text_a": "text"}},
    ),
    ("xquad.json", json.dumps(SQUAD, ensure_ascii=False), {"kind": "reading_comprehension", "format": "squad"}),
    (
        "cjrc.json",
        json.dumps(CJRC, ensure_ascii=False),
        {"kind": "reading_comprehension", "format": "squad", "answer_types": ["span", "none", "yes_no"]},
    ),
    (
        "rows.jsonl",
        lines(ROWS),
        {
            "kind": "reading_comprehension",
            "columns": {"context": "context", "question": "question", "answers": "answers"},
        },
    ),
    (
        "choices.jsonl",
        lines([{"context": TEXTS[0], "question": SHORT[0], "options": ["一", "二"], "answer": "二"}]),
        {
            "kind": "multiple_choice",
            "columns": {"text_a": "context", "text_b": "question", "choices": "options", "label": "answer"},
        },
    ),
    (
        "exam.csv",
        table([("question", "A", "B", "C", "D", "answer"), (SHORT[0], "一", "二", "三", "四", "C")], ","),
        {
            "kind": "multiple_choice",
            "columns": {
                "text_a": "question",
                "choice_1": "A",
                "choice_2": "B",
                "choice_3": "C",
                "choice_4": "D",
                "label": "answer",
            },
        },
    ),
    (
        "c3.json",
        json.dumps([[["甲"], [{"question": "谁", "choice": ["一", "二"], "answer": "一"}], "1"]]),
        {"kind": "multiple_choice", "format": "c3"},
    ),
    (
        "answers.csv",
        table([("原文", "问题", "答案"), (TEXTS[0], SHORT[0], TEXTS[0][:2])], ","),
        {
            "kind": "reading_comprehension",
            "columns": {"context": "原文", "question": "问题", "answers": "答案"},
        },
    ),
    (
        "objects.jsonl",
        lines([{"meta": {"label": number % 2}, "content": {"text": TEXTS[number]}} for number in range(20)]),
        {"kind": "classification", "columns": {"label": "meta.label", "text_a": "content.text"}},
    ),
    (
        "joined.tsv",
        table([("text_a", "label"), *[("我\x02们", "O\x02B-PER"), ("他\x02们", "O\x02B-PER")] * 2], "\t"),
        {"kind": "tagging", "token_separator": "\x02", "columns": {"token": "text_a", "tag": "label"}},
    ),
    ("ner.txt", "我 O\n北 B-LOC\n京 I-LOC\n\n他 O\n", {"kind": "tagging", "format": "bio"}),
    (
        "ner.jsonl",
        lines([{"tokens": ["我", "们"], "ner_tags": ["O", "B-PER"]}]),
        {"kind": "tagging", "columns": {"token": "tokens", "tag": "ner_tags"}},
    ),
    (
        "cluener.json",
        lines([{"text": "浙商银行", "label": {"company": {"浙商银行": [[0, 3]]}}}]),
        {"kind": "tagging", "format": "spans"},
    ),
]


def write(path, content):
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


@pytest.mark.parametrize(("name", "content", "expected"), FILES, ids=[name for name, _, _ in FILES])
def test_layouts_that_people_have_are_understood_and_read(name, content, expected, tmp_path, monkeypatch, capsys):
    entries = guess_task(write(tmp_path / name, content)).entries
    assert {key: entries.get(key) for key in expected} == expected
    monkeypatch.chdir(tmp_path)
    assert main(["init-task", name, "--out", "task.yaml", "--name", "mine"]) == 0
    assert "run-finetuning --model-name chinese-electra-small --task task.yaml" in capsys.readouterr().out
    description = load_description("task.yaml")
    assert description.name == "mine"
    path = description.find_file(tmp_path / "nowhere" / description.folder, "train")
    assert path == tmp_path / name
    kind, problems = make_kind(description, FinetuningConfig()), Problems()
    if description.labels is None and description.kind not in ("reading_comprehension", "regression"):
        if name.startswith(("ner", "cluener")):
            return  # too few for labels to be read
        kind = make_kind(description.with_labels(kind.find_labels(path, problems)), FinetuningConfig())
    if name != "xquad.json":
        assert kind.read(path, "train", problems)


@pytest.mark.parametrize(
    ("header", "rows", "expected"),
    [
        ("情感极性,微博正文", "{label},{text}", {"label": "情感极性", "text_a": "微博正文"}),
        ("评论者说,第几次", "{text},{number}", {"text_a": "评论者说"}),
        ("好,不好不坏的一家店", "{label},{text}", {"label": 0, "text_a": 1}),  # a row like the others
    ],
)
def test_header_of_any_words_is_told_by_the_rows_below_it(header, rows, expected, tmp_path):
    lines = [rows.format(label="好差"[number % 2], text=TEXTS[number], number=number) for number in range(12)]
    guess = guess_task(write(tmp_path / "t.csv", "\n".join([header, *lines]) + "\n"))
    assert {role: guess.entries["columns"].get(role) for role in expected} == expected


def test_column_that_is_always_the_same_is_no_label(tmp_path):
    rows = [{"fact": TEXTS[number], "charges": ["一", "二"][: 1 + number % 2], "source": "x"} for number in range(20)]
    guess = guess_task(write(tmp_path / "t.jsonl", lines(rows)))
    assert guess.entries["kind"] == "multi_label" and guess.entries["columns"]["label"] == "charges"


def test_file_to_predict_is_not_to_be_checked_or_trained_on(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "new.csv", "text\n" + "\n".join(TEXTS))
    assert main(["init-task", "new.csv"]) == 0
    out = capsys.readouterr().out
    assert "predict MODEL new.csv" in out and "check-data" not in out and "run-finetuning" not in out


def test_labels_tell_the_kind():
    assert guess_labels(["a,b", "a", "b,a", "b", "c,a", "c"])[0] == {"kind": "multi_label"}
    assert guess_labels(["a|b", "a", "b|a", "b", "c|a", "c"])[0] == {"kind": "multi_label", "label_separator": "|"}
    assert guess_labels(["0.5", "1", "2.25"])[0] == {"kind": "regression"}
    assert guess_labels(["1", "2", "1", "2"])[0] == {}
    assert guess_labels(["好", "差", "好"])[1] == "2 labels: 好 2, 差 1"


def test_what_was_understood_is_said_and_nothing_is_overwritten(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "reviews.csv", CSV)
    write(tmp_path / "dev.csv", CSV)
    assert main(["init-task", "reviews.csv", "--dev", "dev.csv"]) == 0
    out = capsys.readouterr().out.splitlines()
    assert out[0] == "reviews.yaml: classification (2 labels: 0 30, 1 30), format csv"
    assert "  label: column '标签' (by its name)" in out
    assert out[-1].endswith("--task reviews.yaml") and "--folds" not in out[-1]
    text = (tmp_path / "reviews.yaml").read_text(encoding="utf-8")
    assert main(["check-data", "reviews.yaml"]) == 0
    assert "train: 60 examples; labels: 0 30, 1 30" in capsys.readouterr().out
    assert main(["init-task", "reviews.csv"]) == 2
    assert "reviews.yaml: found a file that exists, expected none" in capsys.readouterr().err
    assert (tmp_path / "reviews.yaml").read_text(encoding="utf-8") == text


def test_files_to_predict_and_files_of_nothing(tmp_path):
    guess = guess_task(write(tmp_path / "new.csv", "text\n" + "\n".join(TEXTS)))
    assert guess.entries["columns"] == {"text_a": "text"} and "can be predicted" in guess.reasons["kind"]
    for content in ("", "1,2\n3,4\n", CSV.encode("gb18030")):
        with pytest.raises(DataError, match=r"n.csv: found"):
            guess_task(write(tmp_path / "n.csv", content))
    with pytest.raises(DataError, match="expected a data file"):
        guess_task(tmp_path / "nowhere.csv")

"""What `check-data` finds in a task's files."""

import json

import pytest

from electra_paddle.cli import main


@pytest.fixture
def task(tmp_path):
    folder = tmp_path / "finetuning_data/mood"
    folder.mkdir(parents=True)
    (tmp_path / "mood.yaml").write_text("header: false\nlabels: [bad, good]\n")
    rows = ["good\t很好", "bad\t很差", "good\t很好", "bad\t很好", "ugly\t丑", f"bad\t{'长' * 40}"]
    (folder / "train.tsv").write_text("\n".join(rows) + "\n", encoding="utf-8")
    (folder / "dev.tsv").write_text("good\t新\nbad\t很差\n", encoding="utf-8")
    (folder / "test.tsv").write_text("很差\n", encoding="utf-8")
    return tmp_path


def check(task, capsys, *options):
    arguments = ["check-data", str(task / "mood.yaml"), "--data-dir", str(task), "--max-seq-length", "30", *options]
    assert main(arguments) == 0
    return capsys.readouterr().out


def test_findings_are_counted_and_placed(task, capsys):
    report = json.loads(check(task, capsys, "--json"))
    train = report["train"]
    assert train["examples"] == 5 and train["labels"] == {"bad": 3, "good": 2}
    assert train["duplicates"] == {"count": 1, "first": [f"{task}/finetuning_data/mood/train.tsv:3"]}
    assert train["contradictions"]["count"] == 1
    assert "train.tsv:5: found label 'ugly', expected bad or good" in train["unusable"][0]
    assert train["lengths"] == {
        "median": 4,
        "99 %": 40.48,
        "longest": 42,
        "longer": 1,
        "max_seq_length": 30,
        "in_parts": False,
    }
    assert report["unit"] == "characters"
    counts = {
        (split, other): leak["count"] for split, leaks in report["leaks"].items() for other, leak in leaks.items()
    }
    assert counts == {("dev", "train"): 1, ("test", "train"): 1, ("test", "dev"): 1}
    assert report["test"]["labels"] == {}


def test_findings_are_said(task, capsys):
    lines = check(task, capsys).splitlines()
    assert lines[0] == "train: 5 examples; labels: bad 3, good 2"
    assert lines[1] == "  characters: median 4, 99 % up to 40, longest 42; 1 (20.0 %) longer than max_seq_length 30"
    for words in ("1 rows that cannot be used", "1 texts more than once: ", "1 texts with different answers: "):
        assert any(words in line for line in lines)
    assert any(line.startswith("  1 texts that stand in train too: ") and "dev.tsv:2" in line for line in lines)
    assert any(line.startswith("  1 texts that stand in dev too: ") and "test.tsv:1" in line for line in lines)


def test_lengths_are_in_tokens_of_a_vocabulary(task, capsys):
    from electra_paddle.text import SPECIAL_TOKENS

    (task / "vocab.txt").write_text("\n".join([*SPECIAL_TOKENS, "很", "好", "差"]) + "\n", encoding="utf-8")
    report = json.loads(check(task, capsys, "--json", "--vocab-file", str(task / "vocab.txt")))
    assert report["unit"] == "tokens" and report["dev"]["lengths"]["longest"] == 4


def test_no_files_are_one_line(task, capsys):
    command = ["check-data", "chnsenticorp", "--data-dir", str(task)]
    assert main(command) == 2
    assert "finetuning_data/chnsenticorp: found no such folder, expected the files" in capsys.readouterr().err
    (task / "finetuning_data" / "chnsenticorp").mkdir(parents=True)
    assert main(command) == 2
    assert "finetuning_data/chnsenticorp: found none of its files, expected train.tsv" in capsys.readouterr().err


def test_run_finetuning_reads_the_same_and_stops(task, capsys):
    report = check(task, capsys)
    options = ["--task", str(task / "mood.yaml"), "--data-dir", str(task), "--max-seq-length", "30"]
    assert main(["run-finetuning", *options, "--check-data"]) == 0
    assert capsys.readouterr().out == report
    assert sorted(path.name for path in task.iterdir()) == ["finetuning_data", "mood.yaml"]

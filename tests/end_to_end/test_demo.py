"""The two demos as `make demo` and `make demo-pretraining` run them, shortened."""

import os
import subprocess
import sys

import pytest
from conftest import ROOT

from electra_paddle.demo.mistakes import SENTENCES, Sentence
from electra_paddle.demo.reviews import SPLITS, UNSEEN, read_split, remark
from electra_paddle.demo.steps import colored
from electra_paddle.training.loggers.jsonl import read_metrics

DEMO = [sys.executable, "-m", "electra_paddle", "demo", "--run-dir"]
PRETRAINING = [sys.executable, str(ROOT / "tools/demo_pretraining.py"), "--run-dir"]


def call(command, **environment):
    environment = {**os.environ, "PYTHONPATH": str(ROOT), **environment}
    return subprocess.run(list(map(str, command)), capture_output=True, text=True, env=environment)


def test_sentences_have_one_wrong_character_and_reviews_to_ask_about_are_in_no_file():
    for wrong, right in SENTENCES:
        assert sum(one != other for one, other in zip(wrong, right, strict=True)) == 1
    known = {text for split in SPLITS for text in read_split(split)[0]}
    assert len(known) == 2300 and not known & {text for text, _ in UNSEEN}


def test_sentence_is_shown_with_its_most_suspicious_character_and_its_edits():
    edits = [{"start": 3, "original": "战", "suggestion": "站", "score": 0.9}]
    sentence = Sentence("去北京战", "去北京站", [0.1, 0.2, 0.3, 0.75], "去北京站", edits)
    assert colored(sentence) == "去北京[战]→站  suspicion 0.75"
    assert sentence.wrong == 3 and sentence.is_found and sentence.is_corrected
    other = sentence._replace(suspicion=[0.1, 0.2, 0.8, 0.75], edits=[], corrected="去北京战")
    assert colored(other) == "去北[京]战  suspicion 0.80" and not other.is_found and not other.is_corrected


def test_remark_says_whether_pretraining_helped():
    scores = {"linear model": {"test": 92.4}, "random weights": {"test": 88.8}, "chinese-electra-nano": {"test": 90.0}}
    assert remark(scores).startswith("not ahead of linear model: ")
    scores["chinese-electra-nano"]["test"] = 93.0
    assert remark(scores) == "pre-training helps: it is ahead of linear model and random weights"


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_demo_starts_clean_shows_every_step_and_leaves_a_report_that_needs_no_other_file(tmp_path):
    run_dir = tmp_path / "demo"
    run_dir.mkdir()
    (run_dir / ".electra-demo").touch()
    (run_dir / "left_over.txt").touch()
    result = call([*DEMO, run_dir, "--epochs", "0.1"], HF_HUB_OFFLINE="1", HF_HOME=str(tmp_path / "cache"))
    assert result.returncode == 0, result.stderr
    assert not (run_dir / "left_over.txt").exists()
    assert all(f"[{number}/7]" in result.stdout for number in range(1, 8))
    assert all(text in result.stdout for text, _ in UNSEEN)
    assert "linear model: dev " in result.stdout and "'probabilities'" in result.stdout
    assert (run_dir / "hub_home/modules/electra_demo_reviews/module.py").exists()
    page = (run_dir / "report.html").read_text(encoding="utf-8")
    assert page.count('src="data:image/png;base64,') == page.count("<img") == 2
    assert "http" not in page and all(text in page for text, _ in UNSEEN)


@pytest.mark.slow
def test_demo_of_pretraining_lets_the_losses_fall_and_installs_what_it_trained(tmp_path):
    result = call([*PRETRAINING, tmp_path / "demo"])
    assert result.returncode == 0, result.stderr
    assert all(f"[{number}/7]" in result.stderr for number in range(1, 8))
    report = (tmp_path / "demo/report.md").read_text(encoding="utf-8")
    assert report.strip() in result.stdout
    for name in ("from-the-start", "nano-on-the-sample"):
        rows = read_metrics(tmp_path / f"demo/models/{name}/metrics.jsonl")
        assert rows[-1]["mlm_loss"] < rows[0]["mlm_loss"]
    assert (tmp_path / "demo/loss.png").read_bytes().startswith(b"\x89PNG")
    assert (tmp_path / "demo/hub_home/modules/chinese_electra_sample/module.py").exists()


@pytest.mark.parametrize("command", [DEMO, PRETRAINING])
def test_demo_never_clears_a_folder_it_did_not_make(tmp_path, command):
    (tmp_path / "thesis.txt").touch()
    result = call([*command, tmp_path])
    assert result.returncode == 2
    assert result.stderr.startswith("error: --run-dir") and len(result.stderr.splitlines()) == 1
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]

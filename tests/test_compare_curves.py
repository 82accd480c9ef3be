"""The verdict of tools/compare_curves.py on curves that are known."""

import json
import sys

import numpy as np
import pytest
from conftest import ROOT, load_tool

CURVES = json.loads((ROOT / "tests/golden/curves.json").read_text(encoding="utf-8"))
LOSSES = np.array(CURVES["train_loss"])  # [runs, windows]


@pytest.fixture(scope="module")
def tool():
    return load_tool("compare_curves")


def test_the_reference_agrees_with_itself(tool):
    report = tool.compare(CURVES, LOSSES, CURVES["evaluation"])
    assert report["within"] and all(window["within"] for window in report["windows"])
    assert [window["ours"] for window in report["windows"]] == pytest.approx(CURVES["mean"], abs=1e-4)
    assert [window["counts"] for window in report["windows"]] == [False, False] + [True] * 14


def test_one_window_beyond_the_tolerance_is_no_agreement_unless_it_is_one_of_the_first_two(tool):
    for number, expected in ((0, True), (1, True), (2, False), (15, False)):
        losses = LOSSES.copy()
        losses[:, number] *= 1.05
        assert tool.compare(CURVES, losses, CURVES["evaluation"])["within"] is expected
    widest = LOSSES.copy()
    widest[:, 7] += 0.43  # 4 standard deviations of this window are 0.435, 1.5 % of its mean is 0.379
    assert tool.compare(CURVES, widest, CURVES["evaluation"])["within"]


@pytest.mark.parametrize("name", ["loss", "masked_lm_loss", "disc_loss"])
def test_an_evaluation_loss_off_by_more_than_two_percent_is_no_agreement(tool, name):
    for factor, expected in ((1.019, True), (1.021, False), (0.979, False)):
        evaluations = [{**run, name: factor * run[name]} for run in CURVES["evaluation"]]
        assert tool.compare(CURVES, LOSSES, evaluations)["within"] is expected


def test_every_tenth_document_is_kept_for_the_evaluation(tool, tmp_path, monkeypatch):
    monkeypatch.setattr(tool, "NUM_DOCUMENTS", 21)
    corpus = tmp_path / "corpus.txt"
    corpus.write_text("\n\n".join(f"document {number}\nsecond line" for number in range(21)) + "\n", encoding="utf-8")
    train, evaluation = (path.read_text(encoding="utf-8") for path in tool.split(corpus, tmp_path / "run"))
    assert evaluation == "\n\n".join(f"document {number}\nsecond line" for number in (0, 10, 20)) + "\n"
    assert train.count("document") == 18 and "document 10\n" not in train
    monkeypatch.setattr(tool, "NUM_DOCUMENTS", 22)
    with pytest.raises(SystemExit, match="corpus.txt: found 21 documents, expected 22"):
        tool.split(corpus, tmp_path / "run")


def test_figure_is_drawn(tool, tmp_path):
    path = tool.draw(CURVES, LOSSES, tmp_path / "curves.png")
    assert path.read_bytes()[:4] == b"\x89PNG"
    assert "matplotlib" in sys.modules

import pytest

from electra_paddle.finetuning.report import markdown_table, summarize


def test_summary_is_maximum_mean_and_deviation():
    trials = [{"dev": {"accuracy": 80.0, "loss": 0.5}}, {"dev": {"accuracy": 84.0, "loss": 0.4}}]
    summary = summarize(trials, "accuracy")
    assert summary == {"dev": {"max": 84.0, "mean": 82.0, "std": pytest.approx(8**0.5)}}
    assert markdown_table("m", summary).splitlines()[-1] == "| m | 84.00 (82.00) |"

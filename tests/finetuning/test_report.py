import pytest

from electra_paddle.finetuning.report import markdown_table, summarize


def test_summary_is_maximum_mean_and_deviation():
    trials = [{"dev": {"accuracy": 80.0, "loss": 0.5}}, {"dev": {"accuracy": 84.0, "loss": 0.4}}]
    assert summarize(trials, "accuracy") == {"dev": {"max": 84.0, "mean": 82.0, "std": pytest.approx(8**0.5)}}


def test_table_is_laid_out_as_the_original_and_says_what_is_missing():
    rows = [("m", {"test": "1.00 (0.50)", "dev": "84.00 (82.00)"}), ("n", {"dev": "9"})]
    assert markdown_table(rows).splitlines() == [
        "| Model | Development | Test |",
        "|-|:-:|:-:|",
        "| m | 84.00 (82.00) | 1.00 (0.50) |",
        "| n | 9 | - |",
    ]

"""Pictures of results: labels in a font that has them, else numbers."""

import shutil
import subprocess

import matplotlib
import numpy as np
import pytest

from electra_paddle.finetuning import pictures


@pytest.fixture(autouse=True)
def settings():
    with matplotlib.rc_context({"font.sans-serif": ["DejaVu Sans"]}):
        yield


def ticks(labels):
    figure = pictures.confusion_figure(np.eye(len(labels), dtype=int), labels)
    return [tick.get_text() for tick in figure.axes[0].get_xticklabels()]


def test_labels_are_shown_in_a_font_that_has_them(monkeypatch):
    monkeypatch.setattr(pictures, "CHINESE_FONTS", ("No Such Font",))
    monkeypatch.setenv("PATH", "")  # no fontconfig
    assert ticks(["bad", "good"]) == ["bad", "good"]
    assert ticks(["größer", "naïve"]) == ["größer", "naïve"]  # which matplotlib's own font has
    assert ticks(["好", "坏"]) == ["0", "1"]  # which its own font has not


def test_the_font_of_the_system_is_taken_for_chinese():
    has_one = shutil.which("fc-list") and subprocess.run(["fc-list", ":charset=597d 574f"], capture_output=True).stdout
    if not has_one:
        pytest.skip("no Chinese font is installed")
    assert ticks(["好", "坏"]) == ["好", "坏"]

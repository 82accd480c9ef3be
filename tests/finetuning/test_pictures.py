"""Pictures of results: labels in a font that has them, else numbers."""

import matplotlib
import numpy as np
import pytest
from matplotlib import font_manager

from electra_paddle.finetuning import pictures


@pytest.fixture(autouse=True)
def settings():
    with matplotlib.rc_context():
        yield


def ticks(labels):
    figure = pictures.confusion_figure(np.eye(len(labels), dtype=int), labels)
    return [tick.get_text() for tick in figure.axes[0].get_xticklabels()]


def test_labels_are_shown_in_a_font_that_has_them(monkeypatch):
    monkeypatch.setattr(pictures, "CHINESE_FONTS", ("No Such Font",))
    assert ticks(["bad", "good"]) == ["bad", "good"]
    assert ticks(["größer", "naïve"]) == ["größer", "naïve"]  # which matplotlib's own font has
    assert ticks(["好", "坏"]) == ["0", "1"]  # which its own font has not


def test_a_font_of_the_system_is_taken_for_chinese():
    names = {font.name for font in font_manager.fontManager.ttflist}
    if not names & set(pictures.CHINESE_FONTS):
        pytest.skip("no Chinese font is installed")
    assert ticks(["好", "坏"]) == ["好", "坏"]

"""The real `visualdl` in a real browser, driven over Chromium's DevTools protocol."""

import contextlib
import json
import sys
import urllib.request
from pathlib import Path

import pytest
from browser import chromium, running, wait_for

from electra_paddle.training.loggers.jsonl import read_metrics

# VisualDL draws a scalar's tag on the canvas of its chart, where the page's text does not have it.
RECORD_DRAWN_TEXT = """
window.drawn = [];
const fillText = CanvasRenderingContext2D.prototype.fillText;
CanvasRenderingContext2D.prototype.fillText = function (text, ...rest) {
    window.drawn.push(text);
    return fillText.call(this, text, ...rest);
};
"""
SHOW_GROUP = "[...document.querySelectorAll('h3')].find(title => title.textContent === %r).click()"


@pytest.fixture
def page(tmp_path):
    with chromium(tmp_path, "--window-size=1400,6000", script=RECORD_DRAWN_TEXT) as page:
        yield page


@pytest.fixture
def address(project, free_port):
    """Of a VisualDL server that shows a run, which was resumed once."""
    project.pretrain("watched", "--save-checkpoints-steps", "2", num_train_steps=4)
    project.pretrain("watched", "--save-checkpoints-steps", "2", num_train_steps=6)
    visualdl = Path(sys.executable).with_name("visualdl")
    folder = project.folder / "models/watched/visualdl"
    command = [sys.executable, str(visualdl), "--logdir", str(folder), "--host", "127.0.0.1", "--port", str(free_port)]
    address = f"http://127.0.0.1:{free_port}/app"
    with running(command):
        wait_for(lambda: fetch(f"{address}/api/scalar/tags"), "VisualDL")
        yield address


def fetch(url):
    request = urllib.request.Request(url, headers={"Accept-Language": "en"})  # without it VisualDL answers 500
    return json.load(urllib.request.urlopen(request))["data"]


@pytest.mark.slow
def test_browser_shows_every_scalar_and_the_samples_of_a_resumed_run(page, address, project):
    folder = project.folder / "models/watched"
    groups = {
        "pretrain": read_metrics(folder / "metrics.jsonl"),
        "eval": read_metrics(folder / "metrics.jsonl", "eval"),
    }
    tags = {f"{group}/{name}" for group, rows in groups.items() for name in rows[0] if name != "step"}
    assert len(tags) > 20
    page.open(f"{address}/scalar")
    wait_for(lambda: "pretrain" in (page.value("document.body.innerText") or ""), "the scalars' page")
    page.value(SHOW_GROUP % "pretrain")
    with contextlib.suppress(AssertionError):  # the comparison says more
        wait_for(lambda: tags <= set(page.value("window.drawn")), "charts")
    assert tags <= set(page.value("window.drawn"))

    run = fetch(f"{address}/api/scalar/tags")["runs"][0]
    for group, name, steps in (("pretrain", "mlm_loss", [2, 4, 6]), ("eval", "disc_auc", [2, 4, 6])):
        points = fetch(f"{address}/api/scalar/list?run={run}&tag={group}/{name}")
        assert [step for _, step, _ in points] == steps
        assert [value for _, _, value in points] == pytest.approx([row[name] for row in groups[group]], rel=1e-6)

    page.open(f"{address}/sample/text")
    wait_for(lambda: "replaced tokens found" in (page.value("document.body.innerText") or ""), "samples")

"""The clients of other services, real ones, in their offline modes."""

import time

import numpy as np
import paddle
import pytest

from electra_paddle.errors import ConfigError
from electra_paddle.training.loggers import LOGGERS, Run, client
from electra_paddle.training.monitor import Monitor


def report(folder, name, start=0):
    """What a run of six updates tells a logger from update `start` on."""
    monitor = Monitor(Run(folder, "small", start, 6, "pre-train"), [name], log_steps=2, prefix="pretrain")
    for logger in monitor.loggers:
        logger.add_hparams({"learning_rate": 1e-3, "folder": folder}, ["eval/loss"])
    for step in range(start + 1, 7):
        monitor.add(step, {"loss": paddle.to_tensor(float(step)), "bad": float("nan")}, 0.1)
    monitor.add_evaluation(6, {"loss": 7.0})
    return monitor


def test_tensorboard_has_figures_texts_pictures_and_histograms(tmp_path):
    from matplotlib.figure import Figure
    from tensorboardX import record_writer  # noqa: F401 - the real package

    monitor = report(tmp_path, "tensorboard")
    (logger,) = monitor.media
    figure = Figure(figsize=(2, 2), dpi=50)
    figure.add_subplot().plot([0, 1], [1, 0])
    logger.add_text("samples/1", "original: 天", 6)
    logger.add_figure("eval/curve", figure, 6)
    logger.add_histograms("parameters", paddle.nn.Linear(3, 2), 6)
    logger.add_embeddings("words", np.arange(6.0).reshape(2, 3), ["天", "地"], 6)
    monitor.close()
    tags = read_events(tmp_path / "tensorboard")
    assert tags["pretrain/loss"] == [(2, 1.5), (4, 3.5), (6, 5.5)] and tags["eval/loss"] == [(6, 7.0)]
    assert {"samples/1/text_summary", "eval/curve", "parameters/weight"} <= set(tags) and "pretrain/bad" not in tags


def read_events(folder):
    """tag -> (step, value) of every event file, by TensorBoard's record format."""
    from tensorboardX.proto.event_pb2 import Event

    found = {}
    for file in sorted(folder.glob("events*")):
        data, position = file.read_bytes(), 0
        while position < len(data):
            length = int.from_bytes(data[position : position + 8], "little")
            event = Event.FromString(data[position + 12 : position + 12 + length])
            for value in event.summary.value:
                found.setdefault(value.tag, []).append((event.step, value.simple_value))
            position += 12 + length + 4
    return found


def wait_for(file, content, seconds=60):
    deadline = time.monotonic() + seconds
    while content not in file.read_bytes():
        assert time.monotonic() < deadline, f"no {content} in {file}"
        time.sleep(0.1)


def test_wandb_goes_on_with_its_run(tmp_path, monkeypatch):
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("WANDB_SILENT", "true")
    report(tmp_path, "wandb").close()
    first = (tmp_path / "wandb_run_id").read_text()
    files = list((tmp_path / "wandb").glob(f"offline-run-*-{first}/run-{first}.wandb"))
    assert len(files) == 1
    wait_for(files[0], b"pretrain/loss")  # its service writes some time after the run has ended
    wait_for(files[0], b"learning_rate")
    report(tmp_path, "wandb", start=4).close()
    assert (tmp_path / "wandb_run_id").read_text() == first


def test_swanlab_writes_its_log(tmp_path, monkeypatch):
    pytest.importorskip("swanlab")
    monkeypatch.setenv("SWANLAB_MODE", "local")
    report(tmp_path, "swanlab").close()
    texts = [path.read_bytes() for path in (tmp_path / "swanlab").rglob("*") if path.is_file()]
    assert any(b"pretrain/loss" in text or b"pretrain%2Floss" in text for text in texts)


def test_logger_whose_client_is_missing_says_what_to_install():
    with pytest.raises(
        ConfigError, match=r"loggers: found wandb, but No module .*; pip install 'electra-paddle\[wandb\]'"
    ):
        client("no_such_client", "wandb")
    assert set(LOGGERS) >= {"progress", "jsonl", "visualdl", "tensorboard", "wandb", "swanlab"}


def test_progress_bar_shows_no_number_where_there_is_none(tmp_path, capsys):
    report(tmp_path, "progress").close()
    assert "evaluation after 6: loss 7.0000" in capsys.readouterr().out

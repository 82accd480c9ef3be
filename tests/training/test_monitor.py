"""Reads back what a monitor wrote: JSON lines, and VisualDL's log with VisualDL's own reader."""

import json
import math
import time

import numpy as np
import paddle
import pytest
from conftest import assert_close

from electra_paddle import runtime
from electra_paddle.training import hardware
from electra_paddle.training.loggers import Run
from electra_paddle.training.loggers.jsonl import read_metrics
from electra_paddle.training.loggers.visualdl import FILE, VisualDL
from electra_paddle.training.monitor import Monitor

LOGGERS = ("progress", "jsonl", "visualdl")


def read_log(folder):
    """component -> tag -> records, of the one file that VisualDL shows of a folder."""
    from visualdl import LogReader

    reader = LogReader(logdir=str(folder))
    file = reader.logs(update=True)[str(folder)]
    assert file == FILE
    data = LogReader(file_path=str(folder / file))
    return {kind: {tag: data.get_data(kind, tag) for tag in tags} for kind, tags in data.get_tags().items()}


def steps(records):
    return [record.id for record in records]


def run(folder, start, stop, log_steps=2, num_steps=10):
    of_run = Run(folder, "small", start, num_steps, "pre-train")
    monitor = Monitor(of_run, LOGGERS, log_steps, sequences_per_step=4, prefix="pretrain")
    for step in range(start + 1, stop + 1):
        monitor.add(step, {"loss": paddle.to_tensor(float(step))}, 0.1, loss_scale=8.0, absent=None)
    return monitor


def test_figures_are_means_of_the_interval_in_both_logs(tmp_path):
    run(tmp_path, 0, 4).close()
    rows = read_metrics(tmp_path / "metrics.jsonl")
    assert [(row["step"], row["loss"], row["learning_rate"], row["loss_scale"]) for row in rows] == [
        (2, 1.5, 0.1, 8.0),
        (4, 3.5, 0.1, 8.0),
    ]
    assert set(rows[0]) == {"step", "loss", "learning_rate", "loss_scale", "sequences_per_second", "memory_gib"}
    scalars = read_log(tmp_path / "visualdl")["scalar"]
    assert set(scalars) == {f"pretrain/{name}" for name in rows[0] if name != "step"}
    for name in ("loss", "learning_rate", "memory_gib"):
        assert steps(scalars[f"pretrain/{name}"]) == [2, 4]
        assert_close([r.value for r in scalars[f"pretrain/{name}"]], [row[name] for row in rows], rtol=1e-6)


def test_last_update_is_reported_and_one_without_metrics_only_counted(tmp_path):
    monitor = run(tmp_path, 0, 8)
    monitor.pass_over(9)
    monitor.add(10, {"loss": 10.0}, 0.1)
    monitor.close()
    assert [(row["step"], row["loss"]) for row in read_metrics(tmp_path / "metrics.jsonl")][-2:] == [(8, 7.5), (10, 10)]


@pytest.mark.parametrize("unfinished", [b"\x01", (1000).to_bytes(8, "little"), (1000).to_bytes(8, "little") + b"\x0a"])
def test_resumed_run_repeats_no_step_and_loses_none(tmp_path, unfinished):
    first = run(tmp_path, 0, 8)
    (visual,) = first.media
    visual.add_text("samples/1", "at 8", 8)
    visual.add_embeddings("words", np.ones((2, 3)), ["a", "b"], 8)
    visual.add_hparams({"seed": 1}, [])
    visual.add_scalars("eval", {"loss": 1.0}, 8)
    # The process dies: nothing is closed, and a record and a line are left unfinished.
    with open(tmp_path / "visualdl" / FILE, "ab") as stream:
        stream.write(unfinished)
    with open(tmp_path / "metrics.jsonl", "a") as stream:
        stream.write('{"step": 10, "lo')
    second = run(tmp_path, 4, 10)
    second.media[0].add_hparams({"seed": 2}, [])
    second.close()
    assert [row["step"] for row in read_metrics(tmp_path / "metrics.jsonl")] == [2, 4, 6, 8, 10]
    assert len((tmp_path / "metrics.jsonl").read_text().splitlines()) == 5
    log = read_log(tmp_path / "visualdl")
    assert steps(log["scalar"]["pretrain/loss"]) == [2, 4, 6, 8, 10]
    assert "text" not in log and "embeddings" not in log  # of step 8, which the second run did not show
    assert [h.hparam.hparamInfos[0].int_value for h in log["hyper_parameters"]["hparam"]] == [2]
    first.close()


def test_logs_of_several_files_become_one(tmp_path):
    from visualdl import LogWriter

    for number in (1, 2):  # as an earlier version left them: VisualDL shows the last only
        with LogWriter(str(tmp_path / "visualdl"), file_name=f"vdlrecords.{number}.log") as writer:
            writer.add_scalar("pretrain/loss", 1.0, number)
    VisualDL(Run(tmp_path, "small", 5, 10, "pre-train")).close()
    assert steps(read_log(tmp_path / "visualdl")["scalar"]["pretrain/loss"]) == [1, 2]


def test_new_run_in_an_old_folder_begins_empty(tmp_path):
    run(tmp_path, 0, 4).close()
    run(tmp_path, 0, 2).close()
    assert [row["step"] for row in read_metrics(tmp_path / "metrics.jsonl")] == [2]
    assert steps(read_log(tmp_path / "visualdl")["scalar"]["pretrain/loss"]) == [2]


def test_evaluations_are_lines_and_tags_of_their_own(tmp_path):
    monitor = run(tmp_path, 0, 2)
    monitor.add_evaluation(2, {"loss": 7.0, "disc_auc": 0.5})
    monitor.close()
    assert [row["loss"] for row in read_metrics(tmp_path / "metrics.jsonl")] == [1.5]
    assert read_metrics(tmp_path / "metrics.jsonl", "eval") == [{"step": 2, "loss": 7.0, "disc_auc": 0.5}]
    assert read_log(tmp_path / "visualdl")["scalar"]["eval/disc_auc"][0].value == 0.5


def test_figures_that_are_no_numbers_leave_valid_json(tmp_path):
    monitor = Monitor(Run(tmp_path, "small", 0, 2, "train"), LOGGERS, log_steps=1)
    monitor.add(1, {"loss": paddle.to_tensor(math.nan)}, 0.1)
    monitor.close()
    line = (tmp_path / "metrics.jsonl").read_text()
    assert json.loads(line, parse_constant=lambda name: pytest.fail(name))["loss"] is None
    assert "train/loss" not in read_log(tmp_path / "visualdl")["scalar"]


def test_rates_follow_from_tokens_and_time(tmp_path, monkeypatch):
    clock = [100.0]
    monkeypatch.setattr(time, "perf_counter", lambda: clock[0])
    monkeypatch.setattr("electra_paddle.training.monitor.peak_flops", lambda dtype: 5e6)
    monitor = Monitor(
        Run(tmp_path, "small", 0, 4, "train"), ["jsonl"], log_steps=2, sequences_per_step=8, flops_per_token=1000
    )
    for step in (1, 2):
        monitor.add(step, {"loss": 1.0, "tokens_per_sequence": 100.0}, 0.1)
        clock[0] += 2 if step == 1 else 0
        with monitor.paused():
            clock[0] += 50
    monitor.close()
    row = read_metrics(tmp_path / "metrics.jsonl")[0]
    assert row["sequences_per_second"] == 8  # 16 in 2 seconds, the pause left out
    assert row["tokens_per_second"] == 800
    assert row["share_of_peak"] == 0.16  # 800 * 1000 of 5 million
    assert "tokens_per_sequence" not in row


def test_other_processes_than_the_first_write_nothing(tmp_path, monkeypatch):
    from electra_paddle import runtime

    monkeypatch.setattr(runtime, "is_main", lambda: False)
    monitor = run(tmp_path / "run", 0, 4)
    monitor.add_evaluation(4, {"loss": 1.0})
    monitor.close()
    assert not monitor.loggers and not monitor.media and not (tmp_path / "run").exists()


def figure_of_a_line():
    from matplotlib.figure import Figure

    figure = Figure(figsize=(2, 2), dpi=50)
    figure.add_subplot().plot([0, 1], [1, 0])
    return figure


def test_histograms_embeddings_figures_and_texts_are_read_back(tmp_path):
    log = VisualDL(Run(tmp_path, "small", 0, 10, "pre-train"))
    layer = paddle.nn.Linear(200, 100)
    log.add_histograms("parameters", layer, 3)
    log.add_embeddings("words", np.arange(6.0).reshape(2, 3), ["天", "地"], 3)
    log.add_figure("eval/precision_and_recall", figure_of_a_line(), 3)
    log.add_text("samples/1", "original: 天\nmasked: [MASK]", 3)
    log.add_hparams({"learning_rate": 1e-3, "folder": tmp_path, "seed": 0, "is_on": True}, ["eval/loss"])
    log.close()
    data = read_log(tmp_path / "visualdl")
    histogram = data["histogram"]["parameters/weight"][0]
    assert histogram.id == 3 and sum(histogram.histogram.hist) == 10_000  # half of the values
    words = data["embeddings"]["words/step_3"][0].embeddings.embeddings
    assert [(list(word.label), list(word.vectors)) for word in words] == [(["天"], [0, 1, 2]), (["地"], [3, 4, 5])]
    assert data["image"]["eval/precision_and_recall"][0].image.encoded_image_string.startswith(b"\x89PNG")
    assert data["text"]["samples/1"][0].text.encoded_text_string == "original: 天\nmasked: [MASK]"
    infos = {info.name: info for info in data["hyper_parameters"]["hparam"][0].hparam.hparamInfos}
    assert infos["folder"].string_value == str(tmp_path) and infos["is_on"].string_value == "True"
    assert_close(infos["learning_rate"].float_value, 1e-3, atol=1e-9)


def test_machine_is_measured():
    assert 1e8 < hardware.peak_flops(seconds=0.01) < 1e17
    if runtime.has_fast_bf16():
        assert 1e8 < hardware.peak_flops("bfloat16", seconds=0.01) < 1e17
    before = hardware.memory_gib()
    held = np.ones(1 << 26)  # half a GiB
    assert hardware.memory_gib() > before + 0.4 and held.nbytes == 1 << 29

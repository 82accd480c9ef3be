"""The command as a whole, in a process of its own on this machine."""

import json
import os
import subprocess
import sys

import pytest
from conftest import ROOT
from fake_hub import FakeHub, environment

from electra_paddle.diagnosis.findings import Finding, worst


def doctor(*arguments, hub=None, home, **variables):
    mine = environment(hub, home) if hub else {**os.environ, "HF_HOME": str(home), "HF_HUB_OFFLINE": "1"}
    mine |= {"PYTHONPATH": str(ROOT), "HUB_HOME": str(home / "modules"), **variables}
    command = [sys.executable, "-m", "electra_paddle", "doctor", *arguments]
    return subprocess.run(command, cwd=ROOT, env=mine, capture_output=True, text=True)


def test_doctor_tells_of_everything_and_writes_nothing(tmp_path):
    result = doctor("--json", home=tmp_path / "home")
    report = json.loads(result.stdout)
    findings = [Finding(**line) for line in report["findings"]]
    topics = {finding.topic for finding in findings}
    assert {"Python", "paddlenlp", "paddlehub", "numpy", "visualdl", "gradio", "imports", "processor"} < topics
    assert {"cores", "threads", "memory", "hub", "HF_HOME", "HUB_HOME"} < topics
    assert any(topic.startswith("GPU") for topic in topics)
    assert all(bool(finding.mend) == (finding.state != "right") for finding in findings)
    assert report["state"] == worst(findings)
    assert result.returncode == (1 if report["state"] == "wrong" else 0), result.stderr
    assert not (tmp_path / "home").exists()


def test_hub_that_answers_is_right_and_a_wrong_line_is_status_1(tmp_path):
    (tmp_path / "file").write_text("a")
    hub = FakeHub({"config.json": b"{}"})
    try:
        result = doctor(hub=hub, home=tmp_path / "home", HUB_HOME=str(tmp_path / "file/modules"))
    finally:
        hub.leave()
    lines = result.stdout.splitlines()
    assert any(f"{hub.url} answers; no published networks on this computer" in line for line in lines)
    assert {method for method, *_ in hub.requests} == {"HEAD"}
    (line,) = [line for line in lines if "HUB_HOME" in line]
    assert line == (
        f"wrong   HUB_HOME         {tmp_path}/file/modules: cannot be written (not a directory); "
        "set HUB_HOME to a folder with room that can be written"
    )
    assert result.returncode == 1


@pytest.mark.parametrize(
    ("states", "expected"),
    [([], "right"), (["right", "warning"], "warning"), (["warning", "wrong", "right"], "wrong")],
)
def test_worst_line_decides(states, expected):
    assert worst([Finding("topic", state, "found") for state in states]) == expected

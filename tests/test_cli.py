import os
import subprocess
import sys

import pytest
from conftest import ROOT


def test_output_that_nobody_reads_to_the_end_is_no_error():
    reading, writing = os.pipe()
    os.close(reading)
    command = [sys.executable, "-m", "electra_paddle", "models"]
    result = subprocess.run(command, cwd=ROOT, stdout=writing, stderr=subprocess.PIPE, text=True)
    assert (result.returncode, result.stderr) == (141, "")


def run(*arguments):
    return subprocess.run(
        [sys.executable, "-m", "electra_paddle", *arguments], cwd=ROOT, capture_output=True, text=True, check=False
    )


def test_words_of_commands_and_options_are_joined_by_dashes_or_underscores(tmp_path):
    for command, option in (("verify-shards", "--vocab-file"), ("verify_shards", "--vocab_file")):
        result = run("inspect" + command[6:], str(tmp_path), f"{option}={tmp_path}/my_vocab.txt")
        assert (result.returncode, result.stderr.count("\n")) == (2, 1)
        assert "my_vocab.txt: found no such file or directory" in result.stderr


def test_unknown_command_gets_a_near_name_and_the_list():
    result = run("run-pretrian")
    assert result.returncode == 2
    assert "error: run-pretrian: found an unknown command, expected 'run-pretrain', perhaps, or" in result.stderr
    assert "  run-finetuning  " in result.stderr and run("--help").stdout.startswith("usage: electra-paddle COMMAND")


@pytest.mark.parametrize(
    "command",
    [
        ["benchmark.py", "tokenizer", "--corpus", "nowhere"],
        ["compare_curves.py", "nowhere", "--vocab-file", "vocab.txt"],
        ["linear_baseline.py", "--data-dir", "nowhere", "--task-names", "lcqmc"],
        ["measure_correction.py", "nowhere"],
        ["ship_pretrained.py", "nowhere", "nowhere"],
    ],
    ids=lambda command: command[0],
)
def test_tools_tell_a_mistake_in_one_line_too(tmp_path, command):
    result = subprocess.run(
        [sys.executable, ROOT / "tools" / command[0], *command[1:]], cwd=tmp_path, capture_output=True, text=True
    )
    assert result.returncode == 2
    assert result.stderr.splitlines()[-1].startswith("error: nowhere") and "Traceback" not in result.stderr


@pytest.mark.parametrize(
    "arguments",
    [["demo", "--run-dir", "d"], ["install-hub-module", "chinese-electra-nano"], ["serve", "chinese-electra-nano"]],
)
def test_missing_paddle_is_told_with_what_mends_it(tmp_path, arguments):
    without = "import sys; sys.modules['paddle'] = None; from electra_paddle.cli import main; sys.exit(main())"
    command = [sys.executable, "-c", without, *arguments]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "HUB_HOME": str(tmp_path / "hub")}
    result = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert result.returncode == 2
    found = f"error: paddle: found no PaddlePaddle for {sys.executable}, expected paddlepaddle or paddlepaddle-gpu; "
    assert result.stderr == found + "pip install 'electra-paddle[cpu]' or 'electra-paddle[gpu]'\n"

"""What stands in the manual on tasks of one's own and on cards is so."""

import os
import re
import subprocess
import sys

from conftest import ROOT

from electra_paddle.config import FinetuningConfig
from electra_paddle.finetuning.description import BUILT_IN_KINDS, load_description
from electra_paddle.finetuning.kinds.base import make_kind
from electra_paddle.pretraining.gpu_memory import recipes_table
from electra_paddle.text import SPECIAL_TOKENS


def test_estimates_for_cards_are_the_function_s():
    for name in ("gpu.md", "gpu.zh.md"):
        assert recipes_table() in (ROOT / "docs" / name).read_text(encoding="utf-8")


def test_each_kind_has_an_example_that_is_a_description_of_a_task(tmp_path):
    pages = [(ROOT / "docs" / name).read_text(encoding="utf-8") for name in ("own-task.md", "own-task.zh.md")]
    blocks = [dict(re.findall(r"```yaml\n# (\w+\.yaml)[^\n]*\n(kind: .*?)```", page, re.DOTALL)) for page in pages]
    assert blocks[0] == blocks[1]
    descriptions = []
    for name, text in blocks[0].items():
        (tmp_path / name).write_text(text, encoding="utf-8")
        descriptions.append(load_description(str(tmp_path / name)))
        make_kind(descriptions[-1], FinetuningConfig())
    assert {description.kind for description in descriptions} == set(BUILT_IN_KINDS)


def test_a_stranger_s_csv_is_learned_and_predicted_with_the_commands_of_the_page(tmp_path):
    """docs/own-task.md's first commands and its Python, with a debug network in place of a published one."""
    page = (ROOT / "docs/own-task.md").read_text(encoding="utf-8")
    description = re.search(r"```yaml\n# reviews.yaml\n(.*?)```", page, re.DOTALL)[1]
    (tmp_path / "reviews.yaml").write_text(description, encoding="utf-8")
    data = tmp_path / "runs/finetuning_data/reviews"
    data.mkdir(parents=True)
    rows = ['好,"这里很好，\n下次再来。"', "差,太吵了。"] * 12
    for split in ("train", "dev"):
        (data / f"{split}.csv").write_text("\n".join(["标签,评论", *rows]), encoding="utf-8-sig")
    (tmp_path / "new.csv").write_text("编号,评论\n1,太吵\n2,很好\n", encoding="utf-8-sig")
    vocabulary = sorted(set("".join(rows)) - {"\n", " "})
    (tmp_path / "runs/vocab.txt").write_text("\n".join([*SPECIAL_TOKENS, *vocabulary]) + "\n", encoding="utf-8")
    train, predict = re.search(r"```bash\n(.*?)```", page, re.DOTALL)[1].splitlines()
    root = {"python tasks/": f"{sys.executable} {ROOT}/tasks/", "python -m": f"{sys.executable} -m"}
    script = re.findall(r"```python\n(.*?)```", page, re.DOTALL)[0]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    for command in (f"{train} --debug true", predict):
        for old, new in root.items():
            command = command.replace(old, new)
        result = subprocess.run(command.split(), cwd=tmp_path, env=environment, capture_output=True, text=True)
        assert result.returncode == 0, result.stderr
    lines = (tmp_path / "answers.csv").read_text(encoding="utf-8").splitlines()
    assert lines[0] == "编号,评论,label,score" and [line.split(",")[0] for line in lines[1:]] == ["1", "2"]
    result = subprocess.run(
        [sys.executable, "-c", script], cwd=tmp_path, env=environment, capture_output=True, text=True
    )
    assert result.returncode == 0, result.stderr
    assert [line.split()[0] for line in result.stdout.splitlines()] == [line.split(",")[2] for line in lines[1:]]


def test_a_task_that_is_guessed_is_trained_with_the_command_that_is_printed(tmp_path):
    page = (ROOT / "docs/own-task.md").read_text(encoding="utf-8")
    guess = next(block for block in re.findall(r"```bash\n(.*?)```", page, re.DOTALL) if "init-task" in block)
    rows = [f"{'好' if number % 2 else '差'},这里{'很好' * (number % 7 + 1)}" for number in range(24)]
    for name in ("reviews.csv", "dev.csv"):
        (tmp_path / name).write_text("\n".join(["标签,评论", *rows]), encoding="utf-8-sig")
    (tmp_path / "vocab.txt").write_text("\n".join([*SPECIAL_TOKENS, *"这里很好"]) + "\n", encoding="utf-8")
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}

    def run(command):
        command = command.strip().replace("python -m", f"{sys.executable} -m")
        result = subprocess.run(command.split(), cwd=tmp_path, env=environment, capture_output=True, text=True)
        assert result.returncode == 0, result.stderr
        return result.stdout

    train = run(guess).splitlines()[-1]
    assert "run-finetuning" in train
    assert "reviews dev: accuracy" in run(f"{train} --debug true")

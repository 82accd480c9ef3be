"""Work in several processes from a user's script, as a first script is written."""

import subprocess
import sys

UNGUARDED = """
import sys
from electra_paddle import build_shards

print("begins")
sys.exit(0 if build_shards("texts", "vocab.txt", "shards", num_workers=2, max_seq_length=32) else 1)
"""
OWN_FUNCTION = """
from electra_paddle.finetuning.workers import in_processes

def double(number):
    return 2 * number

{guard}print("begins", in_processes(double, [(1,), (2,)], "num_processes"))
"""


def run(folder, script):
    (folder / "script.py").write_text(script, encoding="utf-8")
    return subprocess.run([sys.executable, "script.py"], cwd=folder, capture_output=True, text=True, check=False)


def test_script_without_a_main_guard_runs_once(tmp_path):
    (tmp_path / "texts").mkdir()
    for name in "ab":
        (tmp_path / "texts" / f"{name}.txt").write_text("今天天气很好\n" * 200, encoding="utf-8")
    (tmp_path / "vocab.txt").write_text("[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\n今\n天\n气\n很\n好\n", encoding="utf-8")
    result = run(tmp_path, UNGUARDED)
    assert (result.returncode, result.stdout.count("begins")) == (0, 1), result.stderr


def test_function_of_a_script_is_found_where_the_script_has_a_main_guard(tmp_path):
    result = run(tmp_path, OWN_FUNCTION.format(guard='if __name__ == "__main__": '))
    assert result.stdout == "begins [2, 4]\n", result.stderr


def test_function_of_a_script_without_one_is_refused_with_advice(tmp_path):
    result = run(tmp_path, OWN_FUNCTION.format(guard=""))
    assert result.returncode == 1
    assert "put the work of your script below that line" in result.stderr.splitlines()[-1]

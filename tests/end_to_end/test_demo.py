"""The demo as `make demo` runs it."""

import subprocess
import sys

import pytest
from conftest import ROOT

DEMO = [sys.executable, str(ROOT / "tools/demo.py"), "--run-dir"]


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_demo_starts_clean_and_leaves_what_its_report_says(tmp_path):
    run_dir = tmp_path / "demo"
    run_dir.mkdir()
    (run_dir / ".electra-demo").touch()
    (run_dir / "left_over.txt").touch()
    result = subprocess.run([*DEMO, run_dir], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    assert not (run_dir / "left_over.txt").exists()
    report = (run_dir / "report.md").read_text(encoding="utf-8")
    assert report.strip() in result.stdout
    assert "scores mean nothing" in report
    assert (run_dir / "loss.png").read_bytes().startswith(b"\x89PNG")
    assert (run_dir / "hub_home/modules/chinese_electra_demo/module.py").exists()
    assert list((run_dir / "models/chinese-electra-demo/visualdl").iterdir())
    assert all(f"[{number}/5]" in result.stderr for number in range(1, 6))


def test_demo_never_clears_a_folder_it_did_not_make(tmp_path):
    (tmp_path / "thesis.txt").touch()
    result = subprocess.run([*DEMO, tmp_path], capture_output=True, text=True)
    assert result.returncode == 2
    assert result.stderr.startswith("error: --run-dir") and len(result.stderr.splitlines()) == 1
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]

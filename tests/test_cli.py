import os
import subprocess
import sys

from conftest import ROOT


def test_output_that_nobody_reads_to_the_end_is_no_error():
    reading, writing = os.pipe()
    os.close(reading)
    command = [sys.executable, "-m", "electra_paddle", "models"]
    result = subprocess.run(command, cwd=ROOT, stdout=writing, stderr=subprocess.PIPE, text=True)
    assert (result.returncode, result.stderr) == (141, "")

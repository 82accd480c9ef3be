"""`python` of the examples: long runs end after a few updates, as options that come last win."""

import os
import sys
from pathlib import Path

FEW_UPDATES = (
    "--num-train-steps 4 --num-warmup-steps 1 --train-batch-size 8 --save-checkpoints-steps 2 --log-steps 2 "
    "--eval-batch-size 4 --num-eval-steps 2"
)
SMALL = {
    "run_pretrain": FEW_UPDATES,
    "run_finetuning": "--num-train-epochs 1 --num-trials 1",
    "compare_initialization": "--num-train-steps 2 --train-batch-size 4 --num-processes 1",
}

if __name__ == "__main__":
    arguments = sys.argv[1:]
    names = [Path(argument).stem.replace("-", "_") for argument in arguments]
    more = next((SMALL[name].split() for name in names if name in SMALL), [])
    os.execv(sys.executable, [sys.executable, *arguments, *more])

"""Ours: the command `run_finetuning` as users start it, its batches held back until it has its turn."""

import json
import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parents[1] / "pretrain_peers"))
from turns import Turns

from electra_paddle.cli import main
from electra_paddle.finetuning.batches import TrainingBatches


def in_turns(iterate):
    """`TrainingBatches.iterate` that asks before each batch."""

    def asking(self, start, stop):
        batches = iterate(self, start, stop)
        for _ in Turns():
            yield next(batches)

    return asking


TrainingBatches.iterate = in_turns(TrainingBatches.iterate)
sys.exit(main(["run_finetuning", *json.loads(sys.argv[1])]))

"""Ours: the command `run_pretrain` as users start it, its batches held back until it has its turn."""

import json
import sys

from turns import Turns

from electra_paddle.cli import main
from electra_paddle.data.loader import PretrainingBatches


def in_turns(iterate):
    """`PretrainingBatches.iterate` that asks before each batch."""

    def asking(self, start, stop):
        import paddle

        batches = iterate(self, start, stop)
        for _ in Turns():
            yield next(batches)
            if paddle.device.get_device() != "cpu":
                paddle.device.cuda.synchronize()  # the time of an update, not of its start

    return asking


PretrainingBatches.iterate = in_turns(PretrainingBatches.iterate)
sys.exit(main(["run_pretrain", *json.loads(sys.argv[1])]))

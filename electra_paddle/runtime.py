"""The machine and the processes: CPU set-up, seeds, fleet. The only importer of paddle.distributed.

Nothing here imports Paddle before `start` is called.
"""

import os
import sys
import zlib
from pathlib import Path


def rank():
    """This process's number among all of the job, 0 outside of a launcher."""
    return int(os.environ.get("PADDLE_TRAINER_ID", 0))


def num_processes():
    """Processes of the job, on all nodes."""
    return int(os.environ.get("PADDLE_TRAINERS_NUM", 1))


def is_main():
    """Whether this process writes files and progress."""
    return rank() == 0


def prepare_cpu():
    """Settings that must stand in the environment before Paddle is imported; the user's own win.

    Paddle sets one thread unless told otherwise, links a math library that is slow on AMD processors unless
    told otherwise, and leaves oneDNN unused.
    """
    if "paddle" in sys.modules:
        return
    local_processes = int(os.environ.get("PADDLE_LOCAL_SIZE", 1))
    settings = {
        "OMP_NUM_THREADS": str(max(1, len(os.sched_getaffinity(0)) // local_processes))
        if hasattr(os, "sched_getaffinity")
        else str(max(1, (os.cpu_count() or 1) // local_processes)),
        "FLAGS_use_mkldnn": "1",
    }
    if "AuthenticAMD" in cpu_description():
        settings["MKL_DEBUG_CPU_TYPE"] = "5"
    for name, value in settings.items():
        os.environ.setdefault(name, value)


def cpu_description():
    """What the kernel says of the first processor; empty where it says nothing."""
    path = Path("/proc/cpuinfo")
    return path.read_text().split("\n\n")[0] if path.exists() else ""


def start():
    """Import Paddle and, in a job of several processes, start fleet."""
    prepare_cpu()
    import paddle

    if num_processes() > 1:
        from paddle.distributed import fleet

        fleet.init(is_collective=True)
    return paddle


def seed_step(seed, step):
    """Fix dropout and sampling of one update of this process, so that a resumed run repeats it."""
    import paddle

    paddle.seed(zlib.crc32(f"{seed}/{step}/{rank()}".encode()))


def distribute(model):
    """The model as fleet trains it: gradients are averaged over the processes."""
    if num_processes() == 1:  # Paddle 3.3's fleet refuses a single process
        return model
    from paddle.distributed import fleet

    return fleet.distributed_model(model)


def mean_over_processes(values):
    """Average a list of floats over the processes; every process must call it at the same step."""
    if num_processes() == 1:
        return values
    import paddle

    tensor = paddle.to_tensor(values, dtype="float64")
    paddle.distributed.all_reduce(tensor)
    return (tensor / num_processes()).tolist()


def barrier():
    """Wait for all processes."""
    if num_processes() > 1:
        import paddle

        paddle.distributed.barrier()

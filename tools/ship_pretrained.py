"""The networks of a pre-training run in one file of half precision, as the package ships chinese-electra-nano.

Positions that the run's sequences were too short for continue the waves of the informed initialisation.
"""

import argparse
import sys
from pathlib import Path

from electra_paddle.errors import CheckpointError

LARGEST = 6e4  # of half precision, about


def main():
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    parser.add_argument(
        "run", metavar="RUN", type=Path, help="folder of a pre-training run whose networks share one encoder"
    )
    parser.add_argument("folder", metavar="FOLDER", type=Path, help="its model.safetensors is replaced")
    arguments = parser.parse_args()
    print(ship(arguments.run, arguments.folder))


def ship(run, folder):
    """Replace `folder/model.safetensors` by the weights of the run's last checkpoint; returns what was done.

    Raises:
        CheckpointError: there is no checkpoint, other parameters than before, or numbers that half precision has not.
    """
    import numpy as np
    from safetensors.numpy import load_file, save_file

    from electra_paddle.models.informed import MOST_FREQUENCIES, continue_positions
    from electra_paddle.models.pretrained_directory import read_json

    checkpoints = sorted((run / "checkpoints").glob("step_*"))
    if not checkpoints:
        raise CheckpointError(run, "no checkpoint", "the folder of a pre-training run")
    checkpoint = checkpoints[-1]
    new, old = load_file(checkpoint / "model.safetensors"), load_file(folder / "model.safetensors")
    if {name: array.shape for name, array in new.items()} != {name: array.shape for name, array in old.items()}:
        raise CheckpointError(checkpoint, "other parameters", f"those of {folder}")
    num_trained = read_json(run / "pretraining_config.json")["max_seq_length"]
    for name in new:
        if name.endswith("position_embeddings.weight"):
            table, share = continue_positions(new[name], num_trained, MOST_FREQUENCIES)
            if table is None:
                found = f"positions of whose variance waves explain {share:.0%}"
                raise CheckpointError(
                    checkpoint, found, "those of an informed initialisation", "train with all lengths"
                )
            new[name] = table
    worst = max(float(np.abs(array).max()) for array in new.values())
    if not worst < LARGEST:
        raise CheckpointError(checkpoint, f"the number {worst:g}", f"numbers below {LARGEST:g}, for half precision")
    temporary = folder / "model.safetensors.new"
    save_file({name: array.astype(np.float16) for name, array in new.items()}, temporary)
    temporary.replace(folder / "model.safetensors")
    size = (folder / "model.safetensors").stat().st_size
    return f"{folder / 'model.safetensors'}: {checkpoint.name}, {len(new)} parameters, {size:,} bytes"


if __name__ == "__main__":
    from electra_paddle.cli import status_of

    sys.exit(status_of(main))

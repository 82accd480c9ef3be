"""Counts the kernels that an update of pre-training starts on a GPU: `python tools/count_launches.py`, without one.

The code takes the branches of a GPU on the CPU, in float32, and Paddle's profiler counts kernels. Their number depends
on layers, not on widths and words: those are small here. A kernel that only makes a view counts as well.
"""

import argparse
import collections
import json
import sys

import numpy as np

SIZES = ("small", "base", "large")
VOCAB_SIZE, ROWS, LENGTH, SLOTS = 60, 2, 16, 3
NARROW = {"hidden_size": 32, "intermediate_size": 64, "embedding_size": 16, "num_attention_heads": 4}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0], allow_abbrev=False)
    parser.add_argument("--sizes", nargs="+", choices=SIZES, default=SIZES, help="[small base large]")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    arguments = parser.parse_args()
    take_gpu_branches()
    counts = {
        (size, batch): launches_of_an_update(network(size), batch == "padded")
        for size in arguments.sizes
        for batch in ("full", "padded")
    }
    if arguments.json:
        print(json.dumps({f"{size} {batch}": parts for (size, batch), parts in counts.items()}))
        return
    columns = ["forward", "backward", "metrics", "optimizer", "update", "ema_decay"]
    print(f"| model | batch | {' | '.join(columns)} |\n|{'-|' * (len(columns) + 2)}")
    for (size, batch), parts in counts.items():
        print(f"| {size} | {batch} | {' | '.join(f'{parts[name]:,}' for name in columns)} |")


def take_gpu_branches():
    """From now on the code does what it does on a GPU, in this process."""
    from electra_paddle import runtime

    runtime.prepare_cpu()
    import paddle

    from electra_paddle.models import encoder

    paddle.set_device("cpu")
    runtime.is_cpu = lambda: False
    encoder.runs_on_cpu = lambda x: False


def network(size, num_layers=None):
    """Both networks of a size but for widths and words.

    Args:
        num_layers: in place of the size's.
    """
    from electra_paddle.config.geometry import discriminator_geometry, generator_geometry
    from electra_paddle.models.pretraining import ElectraForJointPretraining

    shape = NARROW | ({"num_hidden_layers": num_layers} if num_layers else {})
    if size != "small":
        shape["embedding_size"] = shape["hidden_size"]  # so that there is no projection of the embeddings
    discriminator = discriminator_geometry(size, VOCAB_SIZE, LENGTH, shape)
    model = ElectraForJointPretraining(generator_geometry(discriminator), discriminator)
    model.train()
    return model


def masked_batch(seed=0, is_padded=False):
    """Arrays."""
    from electra_paddle.batch import MaskedBatch

    rng = np.random.default_rng(seed)
    ids = rng.integers(5, VOCAB_SIZE, (ROWS, LENGTH))
    positions = np.stack([rng.permutation(np.arange(1, 10))[:SLOTS] for _ in range(ROWS)])
    masked, mask = ids.copy(), np.ones_like(ids)
    np.put_along_axis(masked, positions, 4, 1)
    mask[0, 12:] = not is_padded
    return MaskedBatch(
        ids,
        np.zeros_like(ids),
        mask,
        masked,
        positions,
        np.take_along_axis(ids, positions, 1),
        np.ones((ROWS, SLOTS), np.float32),
        rng.random((ROWS, SLOTS), np.float32),
        np.float32(ROWS * SLOTS),
        np.float32(mask.sum()),
    )


def launches_of_an_update(model, is_padded):
    """Part -> kernels, once everything that is made only once is there; `update` is their sum but for `ema_decay`."""
    from electra_paddle.pretraining.batch_metrics import pretraining_metrics
    from electra_paddle.training.averaging import WeightAverage
    from electra_paddle.training.optimizer import build_optimizer
    from electra_paddle.training.transfer import to_tensors

    optimizer = build_optimizer(model, 1e-4)
    average = WeightAverage(model, optimizer, 0.999)
    batch = to_tensors(masked_batch(is_padded=is_padded))
    for _ in range(2):
        counts = {}
        counts["forward"], output = launches(model, batch)
        counts["backward"], _ = launches(output.loss.backward)
        counts["metrics"], _ = launches(pretraining_metrics, batch, output)
        counts["optimizer"], _ = launches(optimizer.step)
        optimizer.clear_grad(set_to_zero=False)
        counts["update"] = sum(counts.values())
        counts["ema_decay"], _ = launches(average.update)
    return counts


def launches(function, *arguments):
    """(kernels that the function starts, what it returns)."""
    import paddle.profiler

    paddle.set_flags({"FLAGS_host_trace_level": 4})  # Paddle 2.6 leaves kernels out otherwise
    profiler = paddle.profiler.Profiler(
        targets=[paddle.profiler.ProfilerTarget.CPU], on_trace_ready=lambda profiler: None
    )
    profiler.start()
    result = function(*arguments)
    profiler.stop()
    names = collections.Counter()

    def walk(nodes):
        for node in nodes:
            names[node.name.rpartition(" ")[2]] += 1
            walk(node.children_node)

    for root in profiler.profiler_result.get_data().values():
        walk([root])
    return names["launch"] or names["compute"], result  # as Paddle 3 and Paddle 2.6 call it


if __name__ == "__main__":
    from electra_paddle.cli import status_of

    sys.exit(status_of(main))

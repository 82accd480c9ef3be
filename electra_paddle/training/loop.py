"""One loop for pre-training and fine-tuning."""

import math
import sys

import numpy as np
import paddle
from tqdm import tqdm

from electra_paddle import runtime
from electra_paddle.errors import TrainingError
from electra_paddle.training.loss_scale import LossScale


def train(
    model,
    batches,
    optimizer,
    schedule,
    monitor,
    compute_metrics,
    *,
    start=0,
    seed=0,
    after_step=lambda step: None,
    num_accumulated=1,
    precision="fp32",
    loss_scale=None,
    max_bad_steps=0,
):
    """Run one update for each batch.

    Args:
        model: a Layer whose output has a `loss`; wrapped by fleet in a job of several processes.
        batches: iterable of NamedTuples of numpy arrays.
        compute_metrics: function of (batch, output) that returns a dict of scalar tensors.
        start: updates done before.
        seed: with the number of the update it fixes dropout.
        after_step: called with the number of updates done.
        num_accumulated: parts that a batch is cut into; the mean of their losses is that of the batch.
        precision: of matrix products, see `runtime.autocast`.
        loss_scale: a LossScale, for "fp16".
        max_bad_steps: updates in a row whose gradients may be infinite or no numbers; such updates change nothing.

    Raises:
        TrainingError: there were more of them.
    """
    model.train()
    loss_scale = loss_scale or LossScale()
    num_bad = 0
    for step, arrays in enumerate(batches, start):
        optimizer.loss_scale = loss_scale.value
        metrics = []
        for number, part in enumerate(parts(arrays, num_accumulated), 1):
            runtime.seed_dropout(seed, step, number)
            batch = to_tensors(part)
            with runtime.averaged_gradients(model, is_last=number == num_accumulated):
                with runtime.autocast(precision):
                    output = model(batch)
                (output.loss * (loss_scale.value / num_accumulated)).backward()
            metrics.append(compute_metrics(batch, output))
            del output  # its graph and its logits would outlive the next forward pass
        optimizer.step()
        optimizer.clear_grad(set_to_zero=False)  # zeros would be written, kept and added to
        if math.isfinite(optimizer.global_norm):
            num_bad = 0
            metrics = {**mean(metrics), "gradient_norm": optimizer.global_norm}
            monitor.add(step + 1, metrics, schedule.get_lr(), loss_scale=loss_scale.state().get("value"))
        elif loss_scale.value > 1:  # an overflow: the scale is made smaller
            monitor.pass_over(step + 1)
        else:
            num_bad += 1
            report_bad_step(step + 1, num_bad, max_bad_steps, optimizer.global_norm, schedule.get_lr())
            monitor.pass_over(step + 1)
        loss_scale.update(optimizer.global_norm)
        schedule.step()
        after_step(step + 1)


def report_bad_step(step, num_bad, max_bad_steps, norm, learning_rate):
    """Warn of an update that changed nothing; too many in a row are an error."""
    found = f"a gradient norm of {norm} at learning rate {learning_rate:.3g}"
    if num_bad > max_bad_steps:
        raise TrainingError(
            f"update {step:,}",
            f"{found}, for the {num_bad}. time in a row",
            f"at most {max_bad_steps} (max_bad_steps)",
            "set a lower learning_rate or a longer warm-up; the same command goes on from the last checkpoint, "
            "which is from before",
        )
    if runtime.is_main():
        tqdm.write(f"WARNING: update {step:,}: {found}; nothing is changed by it", file=sys.stderr)


def parts(arrays, count):
    """A NamedTuple of arrays cut into equal parts along the rows; scalars are the same in all."""
    if count == 1:
        return [arrays]
    size = len(arrays[0]) // count
    return [cut(arrays, slice(number * size, (number + 1) * size)) for number in range(count)]


def cut(arrays, rows):
    """Some rows of a NamedTuple of arrays, with all of its scalars."""
    return arrays._make(array[rows] if np.ndim(array) else array for array in arrays)


def mean(metrics):
    """The mean of dicts with equal keys."""
    with paddle.no_grad():
        return {name: sum(row[name] for row in metrics) / len(metrics) for name in metrics[0]}


def to_tensors(arrays):
    """A NamedTuple of numpy arrays as one of tensors."""
    return arrays._make(paddle.to_tensor(array) for array in arrays)

"""One loop for pre-training and fine-tuning."""

import paddle

from electra_paddle import runtime


def train(model, batches, optimizer, schedule, monitor, compute_metrics, start=0, seed=0, after_step=lambda step: None):
    """Run one update for each batch.

    Args:
        model: a Layer whose output has a `loss`; wrapped by fleet in a job of several processes.
        batches: iterable of NamedTuples of numpy arrays.
        compute_metrics: function of (batch, output) that returns a dict of scalar tensors.
        start: updates done before.
        seed: with the number of the update it fixes dropout and sampling.
        after_step: called with the number of updates done.
    """
    model.train()
    for step, arrays in enumerate(batches, start):
        runtime.seed_step(seed, step)
        batch = to_tensors(arrays)
        output = model(batch)
        output.loss.backward()
        optimizer.step()
        optimizer.clear_grad()
        monitor.add(step + 1, compute_metrics(batch, output), schedule.get_lr())
        schedule.step()
        after_step(step + 1)


def to_tensors(arrays):
    """A NamedTuple of numpy arrays as one of tensors."""
    return arrays._make(paddle.to_tensor(array) for array in arrays)

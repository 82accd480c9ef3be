"""Describe a pre-training run without making it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from electra_paddle.config.geometry import training_flops
from electra_paddle.pretraining import cost, gpu_memory

if TYPE_CHECKING:
    from electra_paddle.config.geometry import Geometry
    from electra_paddle.config.pretraining import PretrainingConfig
    from electra_paddle.pretraining.job import Job


MB = 1e6
MANY_EPOCHS = 1000


def show(job: Job, num_processes: int, seconds: float | None = None, device: str = "cpu") -> None:
    """Print shapes, sizes and lengths of a run.

    Args:
        job: the Job of `run_pretrain`.
        num_processes: that take part.
        seconds: that an update takes, where it was measured.
        device: "cpu" or "gpu", whose memory is estimated.
    """
    config, generator, discriminator, batches = job.config, job.generator, job.discriminator, job.batches
    *parameters, total = cost.num_parameters(config, generator, discriminator)
    for name, net, count in zip(("generator", "discriminator"), (generator, discriminator), parameters, strict=True):
        print(f"{name + ':':16}{describe(net, count) if net else 'none'}")
    print(f"{'parameters:':16}{total:,} in all, {sum(parameters) - total:,} of them shared")
    flops = training_flops(generator, discriminator, config.max_seq_length, config.max_predictions_per_seq)
    tokens = config.train_batch_size * config.max_seq_length
    print(f"{'FLOPs:':16}{flops / 1e6:,.1f} million a token, {flops * tokens / 1e12:,.3f} trillion an update")
    if device == "gpu":
        print_gpu_memory(gpu_memory.gpu_memory(config, generator, discriminator, num_processes), config, num_processes)
    else:
        print_memory(cost.memory(config, generator, discriminator, num_processes), config, num_processes)
    epochs = config.num_train_steps * config.train_batch_size / len(batches.shards)
    done = f", {job.start:,} of them done" if job.start else ""
    print(
        f"{'updates:':16}{config.num_train_steps:,}{done}; {config.train_batch_size:,} sequences each, "
        f"{epochs:,.2f} epochs of {len(batches.shards):,} examples"
    )
    size, keep = cost.checkpoint_bytes(total), config.keep_checkpoint_max
    kept = f"at most {keep + 1} at a time, {(keep + 1) * size / MB:,.1f} MB" if keep else "all are kept"
    print(f"{'checkpoint:':16}{size / MB:,.1f} MB; {kept}")
    if seconds is not None:
        left = (config.num_train_steps - job.start) * seconds
        print(
            f"{'time:':16}{hours(left)} for {config.num_train_steps - job.start:,} updates of {seconds:,.2f} s, as "
            "measured just now; evaluations and checkpoints come on top"
        )
    if epochs > MANY_EPOCHS:
        print(
            f"WARNING: {epochs:,.0f} epochs: the network sees each example as often; fewer updates "
            "(num_train_steps) or more text would do"
        )
    print("nothing was trained or written")


def hours(seconds: float) -> str:
    """A time in the unit that one thinks of it in."""
    for unit, size in (("days", 172_800), ("hours", 7200), ("minutes", 120)):
        if seconds >= size:
            return f"{seconds / {'days': 86_400, 'hours': 3600, 'minutes': 60}[unit]:,.1f} {unit}"
    return f"{seconds:,.0f} seconds"


def describe(net: Geometry, count: int) -> str:
    return (
        f"{net.num_hidden_layers} layers, hidden {net.hidden_size}, {net.num_attention_heads} heads, "
        f"intermediate {net.intermediate_size}, embedding {net.embedding_size}, vocabulary {net.vocab_size:,}; "
        f"{count:,} parameters"
    )


def print_memory(memory: cost.Memory, config: PretrainingConfig, num_processes: int) -> None:
    where = "in one process" if num_processes == 1 else f"in each of {num_processes} processes"
    sequences = config.train_batch_size // (num_processes * config.gradient_accumulation_steps)
    parts = {name: f"{name} {size / MB:,.0f}" for name, size in vars(memory).items()}
    others = {name: parts.pop(name) for name in ("evaluation", "checkpoint")}
    print(f"{'memory:':16}about {memory.total / MB:,.0f} MB {where} with {sequences:,} sequences: ", end="")
    print(", ".join(parts.values()))
    largest = max(others, key=lambda name: getattr(memory, name))
    if getattr(memory, largest) > memory.update:
        print(f"{'':16}(not gradients, activations and logits but {others[largest]} decides)")


def print_gpu_memory(memory: gpu_memory.GpuMemory, config: PretrainingConfig, num_processes: int) -> None:
    sequences = config.train_batch_size // (num_processes * config.gradient_accumulation_steps)
    sizes = vars(memory) | {"evaluation": max(0, memory.evaluation - memory.activations - memory.logits)}
    parts = [f"{name.replace('_', ' ')} {size / MB:,.0f}" for name, size in sizes.items() if size]
    print(
        f"{'memory:':16}about {memory.total / MB:,.0f} MB on {'the GPU' if num_processes == 1 else 'each GPU'} with "
        f"{sequences:,} sequences in {config.precision}: {', '.join(parts)}"
    )
    cards = gpu_memory.cards_that_fit(memory.total)
    fits = f"fits into {', '.join(map(str, cards))} GB" if cards else f"fits into none of {gpu_memory.CARDS[-1]} GB"
    print(f"{'':16}{fits}; an estimate, which was never compared with a GPU")

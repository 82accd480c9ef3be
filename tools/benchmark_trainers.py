"""`python tools/benchmark.py finetune`: our command beside Hugging Face's and PaddleNLP's Trainers.

Every side is a process of its own (ours: one for each core) that trains on the same rows, with as many updates of as
many rows; a turn is one pass over them, of which the encoding of the texts is no part.
"""

import contextlib
import dataclasses
import json
import statistics
import sys
import tempfile
from pathlib import Path

import numpy as np
from benchmark_pretrain import TORCH_PYTHON, Side, has_gpu, ratio

PEERS = Path(__file__).parent / "finetune_peers"
LEARNING_RATE = 1e-4
EPOCHS = 1000  # more than any benchmark makes
TASK = "benchmark"


def trainers(arguments, kind, tokenizer, examples):
    """Examples a second of whole updates, random weights, by side.

    Args:
        kind: of the task, whose examples are classified texts.
        tokenizer: ours, whose vocabulary all sides have.
        examples: those of the training split, of which a random sample is used.
    """
    rng = np.random.default_rng(0)
    chosen = rng.permutation(len(examples))[: arguments.examples // arguments.batch_size * arguments.batch_size]
    examples = [examples[number] for number in sorted(chosen)]
    if not examples:
        sys.exit(f"--task-dir: found fewer training rows than --batch-size {arguments.batch_size}")
    num_updates = len(examples) // arguments.batch_size
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as stack:
        sides = make_sides(arguments, prepare(arguments, kind, tokenizer, examples, Path(folder)), Path(folder))
        for side in sides.values():
            stack.enter_context(side)
            side.turn(num_updates)  # once before, so that memory is there
        turns = {name: [] for name in sides}
        for _ in range(arguments.rounds):
            for name, side in sides.items():
                turns[name].append(side.turn(num_updates))
    rates = {name: len(examples) / statistics.median(seconds) for name, seconds in turns.items()}
    return {
        "trained_examples": len(examples),
        "processes": arguments.processes,
        **{f"{name}_trainer_examples_per_s": rates.get(name) for name in ("ours", "hf", "paddlenlp")},
        "ratio_to_hf": ratio(turns["hf"], turns["ours"]) if "hf" in turns else None,
        "ratio_to_paddlenlp": ratio(turns["paddlenlp"], turns["ours"]),
    }


def prepare(arguments, kind, tokenizer, examples, folder):
    """Write rows, vocabulary and our task; returns what the peers have to know."""
    from electra_paddle.config.geometry import discriminator_geometry

    vocabulary, labels = tokenizer.vocabulary, kind.description.classes
    shape = dataclasses.asdict(
        discriminator_geometry(arguments.size, len(vocabulary), None, json.loads(arguments.model_hparam_overrides))
    )
    features = [kind.featurize(number, example, tokenizer)[0] for number, example in enumerate(examples)]
    rows = [
        {
            "input_ids": [int(token) for token in feature.input_ids],
            "token_type_ids": [int(place >= feature.second) for place in range(len(feature.input_ids))],
            "labels": feature.label,
        }
        for feature in features
    ]
    (folder / "rows.json").write_text(json.dumps(rows), encoding="utf-8")
    write_ours(shape, vocabulary, labels, examples, folder)
    return {
        "rows": str(folder / "rows.json"),
        "vocabulary": str(folder / "vocab.txt"),
        "geometry": shape,
        "num_labels": len(labels),
        "batch_size": arguments.batch_size,
        "learning_rate": LEARNING_RATE,
        "epochs": EPOCHS,
        "is_cpu": not has_gpu(),
    }


def write_ours(shape, vocabulary, labels, examples, folder):
    """A network's folder, a task's description and its training file, as a user has them."""
    from paddlenlp.transformers import ElectraConfig, ElectraDiscriminator

    from electra_paddle.models.pretrained_directory import save_pretrained

    vocabulary.save(folder / "vocab.txt")
    save_pretrained(ElectraDiscriminator(ElectraConfig(**shape)), folder / "model", vocabulary, True, "# random\n")
    data = folder / "finetuning_data" / TASK
    data.mkdir(parents=True)
    columns = {"label": "label", "text_a": "text_a"} | ({"text_b": "text_b"} if examples[0].text_b else {})
    lines = [
        {"label": labels[example.label], "text_a": example.text_a, "text_b": example.text_b} for example in examples
    ]
    (data / "train.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    description = {"name": TASK, "format": "jsonl", "columns": columns, "labels": list(labels)}
    (folder / "task.json").write_text(json.dumps(description), encoding="utf-8")


def make_sides(arguments, settings, folder):
    """Name -> Side; Hugging Face's only where its environment is."""
    options = {
        "data-dir": folder, "task": folder / "task.json", "init-checkpoint": folder / "model",
        "output-dir": folder / "out", "train-batch-size": arguments.batch_size, "learning-rate": LEARNING_RATE,
        "num-train-epochs": EPOCHS, "max-seq-length": arguments.max_seq_length, "save-checkpoints-steps": 10**9,
    }  # fmt: skip
    given = [text for name, value in options.items() for text in (f"--{name}", str(value))]
    launch = [sys.executable, "-m", "paddle.distributed.launch", "--nproc_per_node", str(arguments.processes)]
    launch = [sys.executable] if arguments.processes == 1 else [*launch, "--log_dir", str(folder / "log")]
    sides = {
        "ours": Side([*launch, PEERS / "run_ours.py", json.dumps(given)], arguments.processes),
        "paddlenlp": Side([sys.executable, PEERS / "run_paddlenlp.py", json.dumps(settings)]),
    }
    if TORCH_PYTHON.exists():
        sides["hf"] = Side([TORCH_PYTHON, PEERS / "run_huggingface.py", json.dumps(settings)])
    else:
        print("no environment of Hugging Face's Trainer: run `make peers`; its figures stay null", file=sys.stderr)
    return sides

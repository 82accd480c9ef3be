"""`python tools/benchmark.py predict`: a hub module's `predict` beside PaddleHub's own and Hugging Face's pipeline.

Every side is a process of its own that answers the same texts when it has its turn.
"""

import contextlib
import dataclasses
import json
import statistics
import sys
import tempfile
from pathlib import Path

from benchmark_pretrain import TORCH_PYTHON, Side, ratio

PEERS = Path(__file__).parent / "predict_peers"
FLOAT32 = ("eager", "inference", "onnx")
ENGINES = (*FLOAT32, "inference_bf16", "onnx_int8")
SHARE = 8  # PaddleHub answers every eighth text: one by one and padded to the full length, each takes it as long


def predict(arguments):
    """Texts to labels, with a classifier of random weights: our engines and two peers."""
    texts = read_texts(arguments)
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as stack:
        sides = make_sides(prepare(arguments, texts, Path(folder)))
        for side in sides.values():
            stack.enter_context(side)
            side.turn(1)  # once before, so that memory is there
        turns = {name: [] for name in sides}
        for _ in range(arguments.rounds):
            for name, side in sides.items():
                turns[name].append(side.turn(1) * (SHARE if name == "paddlehub" else 1))
    bf16 = "inference_bf16" in turns
    rates = {name: len(texts) / statistics.median(seconds) for name, seconds in turns.items()}
    best, best_float32 = (max(filter(rates.get, engines), key=rates.get) for engines in (ENGINES, FLOAT32))
    return {
        "texts": len(texts),
        **{f"{name}_texts_per_s": rates.get(name) for name in (*ENGINES, "paddlehub", "hf")},
        "best_engine": best,
        "best_float32_engine": best_float32,
        "ratio_to_paddlehub": ratio(turns["paddlehub"], turns[best]),
        "float32_ratio_to_paddlehub": ratio(turns["paddlehub"], turns[best_float32]),
        "bf16_ratio_to_paddlehub": ratio(turns["paddlehub"], turns["inference_bf16"]) if bf16 else None,
        "eager_ratio_to_paddlehub": ratio(turns["paddlehub"], turns["eager"]),
        "ratio_to_hf": ratio(turns["hf"], turns[best]) if "hf" in turns else None,
        "float32_ratio_to_hf": ratio(turns["hf"], turns[best_float32]) if "hf" in turns else None,
    }


def prepare(arguments, texts, folder):
    """Write texts and vocabulary; returns what every side has to know."""
    from electra_paddle.config.geometry import discriminator_geometry

    vocabulary = make_vocabulary(arguments, texts)
    vocabulary.save(folder / "vocab.txt")
    (folder / "texts.json").write_text(json.dumps(texts), encoding="utf-8")
    overrides = json.loads(arguments.model_hparam_overrides)
    return {
        "geometry": dataclasses.asdict(discriminator_geometry(arguments.size, len(vocabulary), 512, overrides)),
        "vocabulary": str(folder / "vocab.txt"),
        "texts": str(folder / "texts.json"),
        "share": SHARE,
        "max_seq_length": arguments.max_seq_length,
        "batch_size": arguments.batch_size,
    }


def make_sides(settings):
    """Name -> Side; bfloat16 only where the processor has it, and Hugging Face's only where its environment is."""
    from electra_paddle import runtime

    engines = list(ENGINES)
    if not runtime.has_fast_bf16():
        engines.remove("inference_bf16")
        print("the processor is slower in bf16: the figures of inference_bf16 stay null", file=sys.stderr)
    sides = {
        name: Side([sys.executable, PEERS / "run_ours.py", json.dumps({**settings, "engine": name})])
        for name in engines
    }
    sides["paddlehub"] = Side([sys.executable, PEERS / "run_paddlehub.py", json.dumps(settings)])
    if TORCH_PYTHON.exists():
        sides["hf"] = Side([TORCH_PYTHON, PEERS / "run_huggingface.py", json.dumps(settings)])
    else:
        print("no environment of Hugging Face's pipeline: run `make peers`; its figures stay null", file=sys.stderr)
    return sides


def read_texts(arguments):
    """The texts of the task's test split, a whole number of SHARE of them."""
    from electra_paddle.finetuning.description import load_description
    from electra_paddle.finetuning.formats import read_rows
    from electra_paddle.finetuning.problems import Problems

    description = load_description(arguments.task)
    path = description.find_file(arguments.task_dir, "test")
    if path is None:
        sys.exit(f"{arguments.task_dir}: no {' or '.join(description.names('test'))}")
    rows = read_rows(path, description.of_split("test"), False, Problems())
    texts = [row.cells["text_a"] for row in rows]
    return texts[: (arguments.texts or len(texts)) // SHARE * SHARE]


def make_vocabulary(arguments, texts):
    """The vocabulary given, or one made from the texts and filled up to its size."""
    from electra_paddle.text import Vocabulary, build_vocabulary

    if arguments.vocab_file:
        return Vocabulary.load(arguments.vocab_file)
    tokens = build_vocabulary(texts, arguments.vocab_size).tokens
    return Vocabulary([*tokens, *(f"[unused_{number}]" for number in range(arguments.vocab_size - len(tokens)))])

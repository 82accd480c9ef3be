"""Measures this package beside its peers: `python tools/benchmark.py WHAT [--json]`.

Every comparison takes turns within one run and reports medians. Figures of a busy machine mean little.
"""

import argparse
import json
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmark_finetune import finetune
from benchmark_predict import predict
from benchmark_pretrain import pretrain, ratio

SAMPLE = Path(__file__).parent.parent / "electra_paddle/sample/corpus.txt"


OPTIONS = {  # option -> arguments of add_argument, but for the default, which each measurement has of its own
    "corpus": {"type": Path, "help": "a text file [the embedded sample]"},
    "vocab-file": {"type": Path, "help": "vocabulary [one made from the corpus]"},
    "megabytes": {"type": int, "help": "the text is repeated up to this size"},
    "rounds": {"type": int, "help": "turns of each side"},
    "split-sentences": {"action": "store_true", "help": "as in the build"},
    "segment-rule": {"help": "as in the build"},
    "size": {"help": "small, base or large"},
    "vocab-size": {"type": int, "help": "entries of the vocabulary"},
    "max-seq-length": {"type": int, "help": "tokens of a sequence"},
    "batch-size": {"type": int, "help": "sequences of an update, or computed at a time"},
    "precision": {"help": "of ours: fp32 or bf16"},
    "updates": {"type": int, "help": "of a turn"},
    "gradient-accumulation-steps": {"type": int, "help": "of ours"},
    "sharding-stage": {"type": int, "help": "of ours"},
    "processes": {"type": int, "help": "of ours [one for each core; on a GPU 1]"},
    "model-hparam-overrides": {"metavar": "JSON", "help": "shape, as in run_pretrain"},
    "task": {"help": "a task, or a file that describes one"},
    "task-dir": {"type": Path, "help": "folder of its files", "required": True},
    "examples": {"type": int, "help": "rows of a turn of the trainers that are compared"},
    "texts": {"type": int, "help": "so many of the test split are predicted [all]"},
}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0], allow_abbrev=False)
    measurements = parser.add_subparsers(dest="what", metavar="WHAT", required=True)
    for name, (measure, defaults) in BENCHMARKS.items():
        summary = measure.__doc__.splitlines()[0]
        own = measurements.add_parser(name, help=summary, description=summary, allow_abbrev=False)
        own.add_argument("--json", action="store_true", help="print one JSON object")
        for option, default in {"rounds": 5, **defaults}.items():
            about = OPTIONS[option]
            shown = f" [{default}]" if default and option != "corpus" else ""
            own.add_argument(f"--{option}", default=default, **{**about, "help": about["help"] + shown})
    arguments = parser.parse_args()
    os.environ.update(RAYON_NUM_THREADS="1", TOKENIZERS_PARALLELISM="false")  # one thread each
    figures = BENCHMARKS[arguments.what][0](arguments)
    if arguments.json:
        print(json.dumps(figures))
    else:
        for name, value in figures.items():
            shown = f"{value:,.4g}" if isinstance(value, float) else value
            print(f"{name:{max(map(len, figures))}}  {shown}")


def tokenizer(arguments):
    """Text to ids: ours beside the tokenizers library, its `encode_batch_fast`, and nanotoken, all on one thread."""
    import nanotoken
    from tokenizers import BertWordPieceTokenizer

    from electra_paddle.text import Tokenizer

    vocabulary, text = load(arguments)
    lines = text.split("\n")
    peer = BertWordPieceTokenizer(dict(vocabulary.ids), lowercase=True)
    peer._tokenizer.model.max_input_chars_per_word = 200
    ours = Tokenizer(vocabulary)
    blocks = ["\n".join(lines[start : start + 2000]) for start in range(0, len(lines), 2000)]

    def encode_ours():
        return sum(len(ours.encode_lines(block).ids) for block in blocks)

    parts = [lines[start : start + 2000] for start in range(0, len(lines), 2000)]  # results need much memory
    nano = nanotoken.Tokenizer(peer._tokenizer)

    def encode_peer(encode):
        return sum(len(encoding.ids) for part in parts for encoding in encode(part, add_special_tokens=False))

    def encode_nano():
        return sum(nano.encode_batch(part, add_special_tokens=False, parallel=False).num_tokens for part in parts)

    sides = {
        "ours": encode_ours,
        "tokenizers": lambda: encode_peer(peer._tokenizer.encode_batch),
        "tokenizers_fast": lambda: encode_peer(peer._tokenizer.encode_batch_fast),
        "nanotoken": encode_nano,
    }
    num_tokens = {name: encode() for name, encode in sides.items()}  # once before, so that caches are filled
    seconds = alternate(sides, arguments.rounds)
    size = len(text.encode()) / 1e6
    figures = {"mb_per_s": size / statistics.median(seconds["ours"]), "num_tokens": num_tokens["ours"]}
    for name in list(sides)[1:]:
        figures |= {
            f"{name}_mb_per_s": size / statistics.median(seconds[name]),
            f"ratio_to_{name}": ratio(seconds[name], seconds["ours"]),
            f"{name}_num_tokens": num_tokens[name],
        }
    return figures


def build(arguments):
    """Text to shards, with one worker and with two."""
    from electra_paddle.config import ShardSettings
    from electra_paddle.data.build import build_pretraining_data

    vocabulary, text = load(arguments)
    settings = ShardSettings(split_sentences=arguments.split_sentences, segment_rule=arguments.segment_rule)
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        vocabulary.save(folder / "vocab.txt")
        (folder / "corpus.txt").write_text(text, encoding="utf-8")

        def run(num_workers):
            out = folder / f"shards_{num_workers}"
            build_pretraining_data(
                folder / "corpus.txt", folder / "vocab.txt", out, settings, num_workers, overwrite=True
            )

        seconds = alternate({"one": lambda: run(1), "two": lambda: run(2)}, arguments.rounds)
    return {
        "mb_per_s_per_core": len(text.encode()) / 1e6 / statistics.median(seconds["one"]),
        "speedup_2_workers": ratio(seconds["one"], seconds["two"]),
        "megabytes": len(text.encode()) / 1e6,
    }


def loader(arguments):
    """Masking alone, and what a batch costs beside an update of configs/model/debug.yaml."""
    import numpy as np

    from electra_paddle.batch import TokenBatch
    from electra_paddle.config import PretrainingConfig, ShardSettings
    from electra_paddle.data.build import build_pretraining_data
    from electra_paddle.data.loader import PretrainingBatches
    from electra_paddle.data.masking import Draws, MaskingSettings, mask_batch
    from electra_paddle.data.shards import Shards

    vocabulary, text = load(arguments)
    ids = np.random.default_rng(0).integers(200, len(vocabulary), (256, 128))
    batch = TokenBatch(ids, np.zeros_like(ids), np.ones_like(ids))
    starts = np.random.default_rng(1).random(ids.shape) < 0.6
    starts[:, :2] = starts[:, -1:] = True

    def mask(word_starts=None):
        draws = Draws.make(np.random.default_rng(0), 256, 128, 19)
        return mask_batch(batch, draws, vocabulary.mask, 0.15, word_starts=word_starts)

    masking = alternate({"tokens": mask, "words": lambda: mask(starts)}, 20 * arguments.rounds)
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        vocabulary.save(folder / "vocab.txt")
        (folder / "corpus.txt").write_text(text, encoding="utf-8")
        build_pretraining_data(folder / "corpus.txt", folder / "vocab.txt", folder / "shards", ShardSettings())
        config = PretrainingConfig(
            train_batch_size=32,
            embedding_size=128,
            model_hparam_overrides={"num_hidden_layers": 4, "hidden_size": 128},
        )
        batches = PretrainingBatches(
            Shards(folder / "shards", vocabulary),
            vocabulary,
            32,
            MaskingSettings(128, 0.15, config.max_predictions_per_seq),
            0,
        )
        numbers = iter(range(10**9))
        update = debug_update(config, vocabulary)
        update(batches[0])
        seconds = alternate(
            {"batch": lambda: batches[next(numbers)], "update": lambda: update(batches[0])}, 4 * arguments.rounds
        )
    step = statistics.median(seconds["update"])
    return {
        "masked_tokens_per_s": ids.size / statistics.median(masking["tokens"]),
        "whole_word_masked_tokens_per_s": ids.size / statistics.median(masking["words"]),
        "batch_ms": 1000 * statistics.median(seconds["batch"]),
        "update_ms": 1000 * step,
        "share_of_update": statistics.median(seconds["batch"]) / step,
    }


def debug_update(config, vocabulary):
    """A function that runs one update of pre-training."""
    from electra_paddle import runtime

    runtime.start()
    from electra_paddle.models.pretraining import ElectraForJointPretraining
    from electra_paddle.training.optimizer import build_optimizer
    from electra_paddle.training.schedule import build_schedule
    from electra_paddle.training.transfer import to_tensors

    model = ElectraForJointPretraining(*config.geometries(len(vocabulary)))
    optimizer = build_optimizer(model, build_schedule(1e-4, 1000, 10, 1.0), 0.01)

    def update(batch):
        model(to_tensors(batch)).loss.backward()
        optimizer.step()
        optimizer.clear_grad()

    return update


def convert(arguments):
    """A TensorFlow checkpoint with random weights of a published size to pretrained directories, with its test."""
    from electra_paddle.config import PretrainingConfig
    from electra_paddle.conversion.convert_tf import convert_to_tf
    from electra_paddle.models.pretrained_directory import save_pretrained
    from electra_paddle.models.pretraining import ElectraForJointPretraining
    from electra_paddle.text import Vocabulary
    from electra_paddle.text.vocabulary import SPECIAL_TOKENS

    words = [f"[unused{number}]" for number in range(arguments.vocab_size - len(SPECIAL_TOKENS))]
    vocabulary = Vocabulary([*SPECIAL_TOKENS, *words])
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        shapes = PretrainingConfig(model_size=arguments.size).geometries(len(vocabulary))
        model = ElectraForJointPretraining(*shapes, seed=None)
        for name in ("generator", "discriminator"):
            save_pretrained(getattr(model, name), folder / "paddle" / name, vocabulary, True, "")
        convert_to_tf(folder / "paddle", folder / "tf")
        seconds = []
        for number in range(arguments.rounds):
            command = [sys.executable, Path(__file__).parent / "convert_tf.py", folder / "tf", folder / f"out{number}"]
            start = time.perf_counter()
            subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
            seconds.append(time.perf_counter() - start)
            shutil.rmtree(folder / f"out{number}")
        source_bytes = sum(path.stat().st_size for path in (folder / "tf").iterdir())
    return {
        "seconds": statistics.median(seconds),
        "peak_mb": resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024 / 1e6,
        "source_mb": source_bytes / 1e6,
    }


def load(arguments):
    """(vocabulary, text of the wanted size)."""
    from electra_paddle.text import Vocabulary, build_vocabulary

    text = arguments.corpus.read_text(encoding="utf-8")
    repeats = max(1, round(arguments.megabytes * 1e6 / len(text.encode())))
    vocabulary = (
        Vocabulary.load(arguments.vocab_file) if arguments.vocab_file else build_vocabulary(text.split("\n"), 8000)
    )
    return vocabulary, "\n\n".join([text.strip("\n")] * repeats) + "\n"


def alternate(jobs, rounds):
    """Seconds of each job, `rounds` times, in turns."""
    seconds = {name: [] for name in jobs}
    for _ in range(rounds):
        for name, job in jobs.items():
            start = time.perf_counter()
            job()
            seconds[name].append(time.perf_counter() - start)
    return seconds


TEXT = {"corpus": SAMPLE, "vocab-file": None, "megabytes": 20}
NETWORK = {"size": "small", "vocab-size": 21128, "max-seq-length": 128}
TASK = {"task": "chnsenticorp", "task-dir": None, "vocab-file": None, "batch-size": 32}
BENCHMARKS = {  # name -> (function, {option: default})
    "tokenizer": (tokenizer, TEXT),
    "build": (build, {**TEXT, "megabytes": 1000, "split-sentences": False, "segment-rule": "google"}),
    "loader": (loader, TEXT),
    "pretrain": (
        pretrain,
        {
            **NETWORK,
            "corpus": SAMPLE,
            "batch-size": 16,
            "precision": "fp32",
            "updates": 2,
            "gradient-accumulation-steps": 2,
            "sharding-stage": 0,
            "processes": None,
            "model-hparam-overrides": "{}",
        },
    ),
    "convert": (convert, {"size": "base", "vocab-size": 21128}),
    "finetune": (
        finetune,
        {
            **NETWORK,
            **TASK,
            "max-seq-length": 256,
            "examples": 512,
            "processes": None,
            "model-hparam-overrides": "{}",
        },
    ),
    "predict": (predict, {**NETWORK, **TASK, "texts": None, "model-hparam-overrides": "{}"}),
}

if __name__ == "__main__":
    from electra_paddle.cli import status_of

    sys.exit(status_of(main))

"""`python tools/benchmark.py pretrain`: whole updates of ours beside its peers'.

Every side is a process of its own (ours: one for each core, as docs/pretraining.md recommends) that waits until it has
its turn.
"""

import contextlib
import dataclasses
import json
import os
import statistics
import subprocess
import sys
import tempfile
from multiprocessing.connection import Listener
from pathlib import Path

from electra_paddle import runtime

ROOT = Path(__file__).parent.parent
PEERS = Path(__file__).parent / "pretrain_peers"
TORCH_PYTHON = ROOT / ".venv-peers/bin/python"
TORCHES = {  # variant of the PyTorch peer -> its settings
    "torch": {"precision": "fp32", "compile": False},
    "torch_bf16": {"precision": "bf16", "compile": False},
    "torch_compiled": {"precision": "bf16", "compile": True},
}
BUSY = 0.25  # of a core: load with which a machine is not quiet
MATRIX_SIZES = {False: 1024, True: 8192}  # is there a GPU -> rows of the matrices that measure the machine


def pretrain(arguments):
    """Updates of ours, of PaddleNLP's class, of Hugging Face's in PyTorch, and the machine's matrix products.

    Ours are measured in float32 and, on a processor that is faster in it, with `precision: bf16`; PyTorch's as they
    come (`torch`, in float32), with bfloat16 autocast, and with `torch.compile` besides.
    """
    from electra_paddle.config.geometry import training_flops

    load = os.getloadavg()[0]
    if load > BUSY * runtime.num_cores():
        print(f"other work runs on this machine (load {load:.2f}): its figures mean little", file=sys.stderr)
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as stack:
        folder = Path(folder)
        config = prepare(arguments, folder)
        generator, discriminator = config.geometries(arguments.vocab_size)
        settings = {
            "generator": dataclasses.asdict(generator),
            "discriminator": dataclasses.asdict(discriminator),
            "batches": str(folder / "batches.npz"),
            "precision": arguments.precision,
        }
        is_gpu = has_gpu()
        num_processes = arguments.processes or (1 if is_gpu else runtime.num_cores())
        matrices = {"size": MATRIX_SIZES[is_gpu], "repeats": 20, "precision": arguments.precision}
        launch = [sys.executable, "-m", "paddle.distributed.launch", "--nproc_per_node", str(num_processes)]
        launch = [sys.executable] if num_processes == 1 else [*launch, "--log_dir", str(folder / "log")]
        sides = {
            name: Side([*launch, PEERS / "run_ours.py", json.dumps(options)], num_processes)
            for name, options in ours(arguments, folder, is_gpu).items()
        }
        sides |= {
            "sgemm": Side([*launch, PEERS / "run_sgemm.py", json.dumps(matrices)], num_processes),
            "paddlenlp": Side([sys.executable, PEERS / "run_paddlenlp.py", json.dumps(settings)]),
        }
        if TORCH_PYTHON.exists():
            for name, variant in TORCHES.items():
                own = {**settings, "compile": variant["compile"]}
                own["precision"] = settings["precision"] if is_gpu and not variant["compile"] else variant["precision"]
                sides[name] = Side([TORCH_PYTHON, PEERS / "run_torch.py", json.dumps(own)])
        else:
            print("no environment of the PyTorch peer: run `make peers`; its figures stay null", file=sys.stderr)
        for side in sides.values():
            stack.enter_context(side)
            side.turn(arguments.updates)  # once before, so that memory and caches are warm
        turns = {name: [] for name in sides}
        for _ in range(arguments.rounds):
            for name, side in sides.items():
                turns[name].append(side.turn(arguments.updates))
    num_tokens = arguments.batch_size * arguments.max_seq_length
    rate = {name: arguments.updates / statistics.median(seconds) for name, seconds in turns.items()}
    product = 2 * matrices["size"] ** 3 * matrices["repeats"] * num_processes
    length, num_slots = config.max_seq_length, config.max_predictions_per_seq
    flops = config.train_batch_size * length * training_flops(generator, discriminator, length, num_slots)
    figures = {
        "processor": runtime.processor_name(),
        "load": load,
        "processes": num_processes,
        "gflop_per_update": flops / 1e9,
        "sgemm_gflops": rate["sgemm"] * product / 1e9,
    }
    for name in ("ours", "ours_bf16", "paddlenlp", *TORCHES):
        measured = name in sides
        figures[f"{name}_tokens_per_s"] = rate[name] * num_tokens if measured else None
        figures[f"{name}_memory_mb"] = sides[name].bytes / 1e6 if measured else None
    torches = [name for name in TORCHES if name in sides]
    best = max(torches, key=lambda name: rate[name], default=None)
    figures["best_torch"] = best
    for mine, suffix in (("ours", ""), ("ours_bf16", "_of_bf16")):
        for peer, name in (("paddlenlp", "paddlenlp"), ("torch", "torch"), (best, "best_torch")):
            both = mine in sides and peer in sides
            figures[f"ratio{suffix}_to_{name}"] = ratio(turns[peer], turns[mine]) if both else None
            figures[f"memory_ratio{suffix}_to_{name}"] = sides[mine].bytes / sides[peer].bytes if both else None
        share = flops / product * ratio(turns["sgemm"], turns[mine]) if mine in sides else None
        figures[f"share_of_sgemm{suffix}"] = share
    return figures


class Side:
    """A command whose processes run updates when told.

    Attributes:
        bytes: peaks of the processes' memory, added up; what all of them map, libraries and shared memory, counts once.
    """

    def __init__(self, command, num_processes=1):
        self.command, self.num_processes, self.bytes = list(map(str, command)), num_processes, 0

    def __enter__(self):
        self._folder = tempfile.TemporaryDirectory()
        address, self._output = f"{self._folder.name}/socket", open(f"{self._folder.name}/output", "w+")
        path = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
        # Threads that wait must not spin: beside other work on the machine that costs a peer most of its speed.
        environment = {"OMP_WAIT_POLICY": "PASSIVE", **os.environ, "BENCHMARK_ADDRESS": address, "PYTHONPATH": path}
        self._listener = Listener(address, "AF_UNIX", backlog=self.num_processes)
        self._listener._listener._socket.settimeout(5)
        self._process = subprocess.Popen(
            self.command, env=environment, stdout=self._output, stderr=subprocess.STDOUT, cwd=self._folder.name
        )
        self._connections = [self._accept() for _ in range(self.num_processes)]
        return self

    def _accept(self):
        while True:
            try:
                return self._listener.accept()
            except TimeoutError:
                self._check()

    def _check(self):
        """Stop with the last lines of a command that has ended."""
        if self._process.poll() is not None:
            self._output.seek(0)
            sys.exit(f"{' '.join(self.command[:4])} ended:\n{''.join(self._output.readlines()[-15:])}")

    def turn(self, num_updates):
        """Seconds of so many updates: those of the slowest process."""
        for connection in self._connections:
            connection.send(num_updates)
        try:
            answers = [connection.recv() for connection in self._connections]
        except EOFError:
            self._process.wait()
            self._check()
        shared = [of_all for _, (_, of_all) in answers]
        self.bytes = sum(peak for _, (peak, _) in answers) - sum(shared) + max(shared)
        return max(seconds for seconds, _ in answers)

    def __exit__(self, *_):
        for connection in getattr(self, "_connections", []):
            connection.close()  # run_pretrain ends at the end of an update, and so has to get out of its turn
        self._process.terminate()
        try:
            self._process.wait(60)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._output.close()
        self._listener.close()
        self._folder.cleanup()


def prepare(arguments, folder):
    """Write shards of the sample and some batches of them for the peers; returns the PretrainingConfig."""
    import numpy as np

    from electra_paddle.config import PretrainingConfig, ShardSettings
    from electra_paddle.data.build import build_pretraining_data
    from electra_paddle.data.loader import PretrainingBatches
    from electra_paddle.data.masking import MaskingSettings
    from electra_paddle.data.shards import Shards
    from electra_paddle.text import Vocabulary, build_vocabulary

    text = arguments.corpus.read_text(encoding="utf-8")
    tokens = build_vocabulary(text.split("\n"), arguments.vocab_size).tokens
    tokens += [f"[unused_{number}]" for number in range(arguments.vocab_size - len(tokens))]
    Vocabulary(tokens).save(folder / "vocab.txt")
    vocabulary = Vocabulary.load(folder / "vocab.txt")
    shard_settings = ShardSettings(max_seq_length=arguments.max_seq_length, segment_rule="lossless")
    build_pretraining_data(arguments.corpus, folder / "vocab.txt", folder / "pretrain_shards", shard_settings)
    config = PretrainingConfig(
        train_batch_size=arguments.batch_size,
        max_seq_length=arguments.max_seq_length,
        model_size=arguments.size,
        model_hparam_overrides=json.loads(arguments.model_hparam_overrides),
    )
    batches = PretrainingBatches(
        Shards(folder / "pretrain_shards", vocabulary),
        vocabulary,
        config.train_batch_size,
        MaskingSettings(config.max_seq_length, config.mask_prob, config.max_predictions_per_seq),
        seed=0,
    )
    batches = [batches[number] for number in range(4)]
    arrays = {
        name: np.stack([getattr(batch, name) for batch in batches])
        for name in ("input_ids", "masked_input_ids", "token_type_ids", "attention_mask")
    }
    arrays["labels"] = np.stack([dense_labels(batch) for batch in batches])
    np.savez(folder / "batches.npz", **arrays)
    return config


def ours(arguments, folder, is_gpu):
    """Name of a side -> the options of its `run_pretrain`."""
    options = {"ours": run_options(arguments, folder, arguments.precision)}
    if not is_gpu and runtime.has_fast_bf16():
        options["ours_bf16"] = run_options(arguments, folder, "bf16")
    return options


def run_options(arguments, folder, precision):
    """Options of `run_pretrain`."""
    options = {
        "data-dir": folder,
        "model-name": f"benchmark_{precision}",
        "model-size": arguments.size,
        "model-hparam-overrides": arguments.model_hparam_overrides,
        "max-seq-length": arguments.max_seq_length,
        "train-batch-size": arguments.batch_size,
        "gradient-accumulation-steps": arguments.gradient_accumulation_steps,
        "sharding-stage": arguments.sharding_stage,
        "save-checkpoints-steps": 10**9,
    }
    if precision != "fp32":
        options["precision"] = precision
    return [text for name, value in options.items() for text in (f"--{name}", str(value))]


def dense_labels(batch):
    """[B, L]: the original tokens at the masked positions, -100 elsewhere."""
    import numpy as np

    labels = np.full_like(batch.input_ids, -100)
    used = batch.masked_weights > 0
    rows = np.nonzero(used)[0]
    labels[rows, batch.masked_positions[used]] = batch.masked_labels[used]
    return labels


def has_gpu():
    """Asked in a process of its own, so that this one does not import Paddle."""
    question = "import paddle, sys; sys.exit(0 if paddle.device.get_device() != 'cpu' else 3)"
    return subprocess.run([sys.executable, "-c", question], capture_output=True).returncode == 0


def ratio(slow, fast):
    """Median of the rounds' ratios."""
    return statistics.median(one / other for one, other in zip(slow, fast, strict=True))

"""Checksums of what a small pre-training and a small fine-tuning write: `python tools/fingerprint_runs.py OUT`.

The same seeds must give the same bytes before and after a change of structure:

    python tools/fingerprint_runs.py /tmp/before --repository CLONE_OF_THE_COMMIT_BEFORE > before.json
    python tools/fingerprint_runs.py /tmp/after > after.json
    diff before.json after.json

Both must run on the same machine with the same packages: other processors round differently.
"""

import argparse
import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
TIMES = ("sequences_per_second", "tokens_per_second", "share_of_peak", "memory_gib")  # differ from run to run
NETWORK = {"hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0], allow_abbrev=False)
    parser.add_argument("out", type=Path, help="new folder for corpus, models and results")
    parser.add_argument("--repository", type=Path, default=ROOT, help="clone whose commands run [this one]")
    arguments = parser.parse_args()
    out = arguments.out.resolve()
    if out.exists():
        parser.error(f"{out}: found a folder or file there, expected a new name")
    run_all(arguments.repository.resolve(), out)
    print(json.dumps(fingerprints(out), indent=2, ensure_ascii=False))


def run_all(repository, out):
    """Shards of the sample corpus, a pre-training, and two trials of fine-tuning."""
    sample = repository / "electra_paddle/sample"
    shards = ["--corpus-dir", sample / "corpus.txt", "--vocab-file", out / "vocab.txt", "--build-vocab", 500]
    shards += ["--output-dir", out / "pretrain_shards", "--max-seq-length", 64, "--num-processes", 1]
    run(repository, "build_pretraining_data", *shards)
    options = ["--data-dir", out, "--model-name", "small", "--model-hparam-overrides", json.dumps(NETWORK)]
    options += ["--max-seq-length", 64, "--train-batch-size", 8, "--learning-rate", 1e-3, "--num-warmup-steps", 4]
    options += ["--num-train-steps", 30, "--save-checkpoints-steps", 10, "--log-steps", 5, "--eval-steps", 10]
    run(repository, "run_pretrain", *options, "--generator-hidden-size", 0.5, "--embedding-size", 32)
    task = out / "finetuning_data/reviews"
    task.mkdir(parents=True)
    for split in ("train", "dev", "test"):
        (task / f"{split}.tsv").write_bytes((sample / f"{split}.tsv").read_bytes())
    (out / "reviews.yaml").write_text("columns: {label: 0, text_a: 1}\nlabels: ['0', '1']\nheader: auto\n")
    options = ["--data-dir", out, "--model-name", "small", "--task", out / "reviews.yaml", "--num-trials", 2]
    options += ["--train-batch-size", 16, "--eval-steps", 5, "--learning-rate", 1e-3, "--max-seq-length", 32]
    run(repository, "run_finetuning", *options, "--num-train-epochs", 1)


def run(repository, command, *options):
    environment = {**os.environ, "PYTHONPATH": str(repository), "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
    whole = [sys.executable, "-m", "electra_paddle", command, *map(str, options)]
    result = subprocess.run(whole, env=environment, cwd=repository, stdout=sys.stderr, check=False)
    if result.returncode:
        sys.exit(f"error: {command}: found exit status {result.returncode}, expected 0; its output stands above")


def fingerprints(out):
    """File -> checksum of weights, scores, predictions and figures, and of what a figure's line says but times."""
    kinds = ("*.safetensors", "*_predictions.tsv", "*_results.json", "eval_results.json", "metrics.jsonl", "*.npy")
    paths = sorted({path for kind in kinds for path in out.rglob(kind)})
    return {str(path.relative_to(out)): checksum(path, out) for path in paths}


def checksum(path, out):
    content = path.read_bytes().replace(str(out).encode(), b"OUT")
    if path.name == "metrics.jsonl":
        rows = [json.loads(line) for line in content.splitlines()]
        rows = [{name: value for name, value in row.items() if name not in TIMES} for row in rows]
        content = json.dumps(rows).encode()
    return hashlib.sha256(content).hexdigest()


if __name__ == "__main__":
    from electra_paddle.cli import status_of

    sys.exit(status_of(main))

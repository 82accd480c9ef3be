"""Pre-trains with and without the informed initialisation: `python tools/compare_initialization.py --data-dir DIR`.

DIR holds vocab.txt and pretrain_shards/. Each run is one of tasks/run_pretrain.py and goes on where it was interrupted.
"""

import argparse
import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
FIGURES = {
    "masked_lm_loss": "masked language model: loss",
    "masked_lm_accuracy": "masked language model: accuracy",
    "disc_planted_auc": "planted tokens: area under the curve",
    "disc_effective_rank": "effective rank of the discriminator's states",
}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0], allow_abbrev=False)
    parser.add_argument("--data-dir", type=Path, required=True, help="holds vocab.txt and pretrain_shards/")
    parser.add_argument("--run-dir", type=Path, default=Path("runs/initialization"), help="for models and the picture")
    parser.add_argument("--hparams", type=Path, nargs="+", default=[ROOT / "configs/model/nano.yaml"], help="[nano]")
    parser.add_argument("--initializations", nargs="+", default=["informed", "original"], help="[informed original]")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0], help="[0]")
    parser.add_argument("--num-train-steps", type=int, default=400, help="updates of each run [400]")
    parser.add_argument("--train-batch-size", type=int, default=64, help="sequences of an update [64]")
    parser.add_argument("--max-seq-length", type=int, default=128, help="as the shards have it [128]")
    parser.add_argument("--learning-rate", type=float, default=1e-3, help="[1e-3]")
    parser.add_argument(
        "--eval-steps", type=int, default=61, help="updates between two points of the curves [61: 500,000 tokens]"
    )
    parser.add_argument("--num-processes", type=int, default=2, help="of each run [2]")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    arguments = parser.parse_args()
    curves = {
        f"{initialization}, seed {seed}": pretrain(arguments, initialization, seed)
        for seed in arguments.seeds
        for initialization in arguments.initializations
    }
    picture = draw(curves, arguments.run_dir / "initialization.png")
    if arguments.json:
        print(json.dumps({"curves": curves, "figure": str(picture)}))
    else:
        print_table(curves)
        print(f"figure: {picture}")


def pretrain(arguments, initialization, seed):
    """One run; returns the evaluations after the first token, a list of {"tokens": ..., name: ...}."""
    from electra_paddle.training.loggers.jsonl import read_metrics

    name, run_dir = f"{initialization}_{seed}", arguments.run_dir.resolve()
    hparams = {
        "learning_rate": arguments.learning_rate,
        "num_warmup_steps": 100,
        "lr_schedule": "constant",
        "num_train_steps": arguments.num_train_steps,
        "train_batch_size": arguments.train_batch_size,
        "max_seq_length": arguments.max_seq_length,
        "eval_steps": arguments.eval_steps,
        "samples_steps": arguments.num_train_steps,
        "histogram_steps": arguments.num_train_steps,
        "save_checkpoints_steps": 200,
        "keep_checkpoint_max": 1,
        "num_eval_steps": 4,
        "eval_batch_size": 64,
        "seed": seed,
        "initialization": initialization,
    }
    launch = ["-m", "paddle.distributed.launch", "--nproc_per_node", arguments.num_processes]
    launch += ["--log_dir", run_dir / "log" / name]
    command = [ROOT / "tasks/run_pretrain.py", "--data-dir", arguments.data_dir.resolve(), "--model-name", name]
    command += ["--model-dir", run_dir / name, "--hparams", *[path.resolve() for path in arguments.hparams]]
    command += [json.dumps(hparams)]
    whole = [sys.executable, *(launch if arguments.num_processes > 1 else []), *command]
    status = subprocess.run([str(part) for part in whole], stdout=sys.stderr, check=False).returncode
    if status:
        sys.exit(f"error: {name}: found exit status {status}, expected 0; its output stands above")
    tokens = arguments.train_batch_size * arguments.max_seq_length
    return [
        {"tokens": row["step"] * tokens, **{name: row[name] for name in FIGURES if name in row}}
        for row in read_metrics(run_dir / name / "metrics.jsonl", "eval")
    ]


def print_table(curves):
    names = [name for name in FIGURES if all(name in rows[0] for rows in curves.values())]
    print(f"{'':22}{'tokens':>12}" + "".join(f"{name:>22}" for name in names))
    for title, rows in curves.items():
        for row in rows:
            print(f"{title:22}{row['tokens']:>12,}" + "".join(f"{row[name]:22.4f}" for name in names))


def draw(curves, path):
    """A picture of all curves over tokens; returns its path."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(2, 2, figsize=(11, 7), layout="constrained")
    for axis, (name, title) in zip(axes.flat, FIGURES.items(), strict=True):
        for label, rows in curves.items():
            points = [(row["tokens"] / 1e6, row[name]) for row in rows if name in row]
            color = "tab:red" if label.startswith("informed") else "tab:gray"
            axis.plot(*zip(*points, strict=True), label=label, color=color, linewidth=1.2)
        axis.set(title=title, xlabel="million tokens")
    axes.flat[0].legend()
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110)
    return path


if __name__ == "__main__":
    from electra_paddle.cli import status_of

    sys.exit(status_of(main))

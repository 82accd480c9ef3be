"""Trains as the reference did and compares the losses: `python tools/compare_curves.py CORPUS --vocab-file VOCAB`.

The reference's figures, its settings and what counts as agreement are in tests/golden/curves.json.
"""

import argparse
import json
import subprocess
import sys
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
NUM_DOCUMENTS = 4196  # of the corpus; every tenth is kept for the evaluation
FIRST_WINDOW = 2  # in the windows before it the reference's own runs are far apart
NUM_SDS, SHARE, EVALUATION_SHARE = 4, 0.015, 0.02  # tolerances, as curves.json states them
LOSSES = ("loss", "masked_lm_loss", "disc_loss")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0], allow_abbrev=False)
    parser.add_argument(
        "corpus", type=Path, help="wiki_passages.txt: a paragraph a line, a blank line after a document"
    )
    parser.add_argument("--vocab-file", type=Path, required=True, help="the Chinese BERT vocabulary, 21,128 entries")
    parser.add_argument("--curves", type=Path, default=ROOT / "tests/golden/curves.json", help="of the reference")
    parser.add_argument("--run-dir", type=Path, default=Path("runs/curves"), help="for shards, models and the figure")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2], help="of our runs [0 1 2]")
    parser.add_argument("--num-processes", type=int, default=2, help="of each run [2]")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    arguments = parser.parse_args()
    curves = json.loads(arguments.curves.read_text(encoding="utf-8"))
    train_text, evaluation_text = split(arguments.corpus, arguments.run_dir)
    hparams = dict(curves["hparams"], mask_sampling="reference")
    shards = build_shards(train_text, arguments, hparams)
    hparams |= {"eval_shards": str(build_shards(evaluation_text, arguments, hparams).resolve())}
    hparams |= {"eval_steps": hparams["num_train_steps"]}
    model_dirs = [pretrain(arguments, hparams, shards, seed, curves["window_ends"]) for seed in arguments.seeds]
    losses = [window_means(model_dir, curves["window_ends"]) for model_dir in model_dirs]
    report = compare(curves, np.array(losses), [evaluation(model_dir) for model_dir in model_dirs])
    report["figure"] = str(draw(curves, np.array(losses), arguments.run_dir / "curves.png"))
    print(json.dumps(report)) if arguments.json else print_table(report)
    return 0 if report["within"] else 1


def split(corpus, run_dir):
    """Write the two parts of the corpus, every tenth document for the evaluation; returns their paths."""
    text = corpus.read_text(encoding="utf-8")
    documents = [document.strip("\n") for document in text.split("\n\n") if document.strip()]
    if len(documents) != NUM_DOCUMENTS:
        sys.exit(
            f"error: {corpus}: found {len(documents):,} documents, expected {NUM_DOCUMENTS:,} of wiki_passages.txt"
        )
    run_dir.mkdir(parents=True, exist_ok=True)
    parts = {
        "train": [document for number, document in enumerate(documents) if number % 10],
        "evaluation": documents[::10],
    }
    for name, part in parts.items():
        (run_dir / f"{name}.txt").write_text("\n\n".join(part) + "\n", encoding="utf-8")
    return [run_dir / f"{name}.txt" for name in parts]


def build_shards(text, arguments, hparams):
    """Shards by the reference's rule; returns their folder."""
    folder = text.with_name(f"{text.stem}_shards")
    command = ["tasks/build_pretraining_data.py", "--corpus-dir", text, "--vocab-file", arguments.vocab_file]
    command += ["--output-dir", folder, "--segment-rule", "hfl", "--max-seq-length", hparams["max_seq_length"]]
    call(command + ["--overwrite"])
    return folder


def pretrain(arguments, hparams, shards, seed, window_ends):
    """The run of one seed, which goes on where an earlier one was interrupted; returns the model's folder."""
    name = f"seed_{seed}"
    launch = ["-m", "paddle.distributed.launch", "--nproc_per_node", arguments.num_processes]
    launch += ["--log_dir", arguments.run_dir / "log" / name]
    command = ["tasks/run_pretrain.py", "--data-dir", arguments.run_dir, "--model-name", name, "--seed", seed]
    command += ["--vocab-file", arguments.vocab_file, "--pretrain-shards", shards, "--hparams", json.dumps(hparams)]
    call((launch if arguments.num_processes > 1 else []) + command + ["--log-steps", window_ends[0]])
    return arguments.run_dir / "models" / name


def call(command):
    """Run one of the project's scripts with its output on standard error; its failure ends this one."""
    status = subprocess.run(
        [sys.executable, *map(absolute, command)], cwd=ROOT, stdout=sys.stderr, check=False
    ).returncode
    if status:
        sys.exit(f"error: {command[-1]}: found exit status {status}, expected 0; its output stands above")


def absolute(argument):
    return str(argument.resolve() if isinstance(argument, Path) else argument)


def window_means(model_dir, window_ends):
    """Mean training loss of each window, from the figures that the run wrote."""
    from electra_paddle.training.loggers.jsonl import read_metrics

    figures = read_metrics(model_dir / "metrics.jsonl")
    assert [row["step"] for row in figures] == window_ends
    return [row["loss"] for row in figures]


def evaluation(model_dir):
    """Losses on held-out text after the last update, by the original's names and formulas."""
    from electra_paddle.training.loggers.jsonl import read_metrics

    return {name: read_metrics(model_dir / "metrics.jsonl", "eval")[-1][name] for name in LOSSES}


def compare(curves, losses, evaluations):
    """The report: every window and every evaluation loss beside the reference's, and whether all lie within.

    Args:
        losses: [runs, windows].
    """
    windows = [
        row(mean, ours, max(NUM_SDS * sd, SHARE * mean)) | {"step": step, "counts": number >= FIRST_WINDOW}
        for number, (step, mean, sd, ours) in enumerate(
            zip(curves["window_ends"], curves["mean"], curves["sd"], losses.mean(axis=0).tolist(), strict=True)
        )
    ]
    held_out = {}
    for name in LOSSES:
        mean = float(np.mean([run[name] for run in curves["evaluation"]]))
        held_out[name] = row(mean, float(np.mean([run[name] for run in evaluations])), EVALUATION_SHARE * mean)
    within = all(window["within"] for window in windows if window["counts"])
    within = within and all(entry["within"] for entry in held_out.values())
    runs = {"runs": losses.tolist(), "evaluations": evaluations}
    return {"within": within, "windows": windows, "evaluation": held_out, **runs}


def row(reference, ours, tolerance):
    return {
        "reference": reference,
        "ours": ours,
        "tolerance": tolerance,
        "within": abs(ours - reference) <= tolerance,
    }


def print_table(report):
    print(f"{'':16}{'reference':>10}{'ours':>10}{'difference':>12}{'tolerance':>11}")
    entries = {f"step {window['step']}": window for window in report["windows"]}
    entries |= {f"eval {name}"[:16]: entry for name, entry in report["evaluation"].items()}
    for name, entry in entries.items():
        verdict = "within" if entry["within"] else "OUTSIDE"
        note = verdict if entry.get("counts", True) else "not counted"
        figures = f"{entry['reference']:10.4f}{entry['ours']:10.4f}{entry['ours'] - entry['reference']:+12.4f}"
        print(f"{name:16}{figures}{entry['tolerance']:11.4f}  {note}")
    print(f"{'within' if report['within'] else 'OUTSIDE'}; figure: {report['figure']}")


def draw(curves, losses, path):
    """A figure of both curves; returns its path."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    steps, mean = curves["window_ends"], np.array(curves["mean"])
    tolerance = np.maximum(NUM_SDS * np.array(curves["sd"]), SHARE * mean)
    figure, axes = pyplot.subplots(figsize=(8, 5))
    axes.fill_between(steps, mean - tolerance, mean + tolerance, color="tab:gray", alpha=0.25, label="tolerance")
    for number, run in enumerate(curves["train_loss"]):
        axes.plot(steps, run, color="black", linewidth=0.8, label=None if number else "reference, three runs")
    for number, run in enumerate(losses):
        axes.plot(steps, run, color="tab:red", linewidth=0.8, label=None if number else f"ours, {len(losses)} runs")
    axes.set(xlabel="update", ylabel="training loss, mean over 50 updates")
    axes.legend()
    figure.savefig(path, dpi=120)
    return path


if __name__ == "__main__":
    from electra_paddle.cli import status_of

    sys.exit(status_of(main))

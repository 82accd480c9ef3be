"""From text to a module: shards, pre-training from the start and from chinese-electra-nano, on the embedded sample."""

import argparse
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

from tqdm import tqdm

from electra_paddle.files import without_dashes

ROOT = Path(__file__).resolve().parent.parent
CORPUS = ROOT / "electra_paddle" / "sample" / "corpus.txt"
FROM_START, ADAPTED, MODULE = "from-the-start", "nano-on-the-sample", "chinese-electra-sample"
MARKER = ".electra-demo"  # only a folder that holds it is cleared
ASKED = "这家店的服务很[MASK]，下次还会来。"
ROWS = ("mlm_loss", "rtd_loss", "mlm_accuracy", "rtd_accuracy", "rtd_baseline")


def main():
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    parser.add_argument(
        "--run-dir",
        type=Path,
        default=Path("runs/demo_pretraining"),
        help="cleared first if an earlier demo made it [runs/demo_pretraining]",
    )
    run_dir = parser.parse_args().run_dir
    if run_dir.exists() and any(run_dir.iterdir()) and not (run_dir / MARKER).exists():
        print(f"error: --run-dir: found {run_dir}, which no demo made, expected a new folder", file=sys.stderr)
        return 2
    shutil.rmtree(run_dir, ignore_errors=True)
    run_dir.mkdir(parents=True)
    (run_dir / MARKER).touch()
    times, started = {}, time.perf_counter()
    steps = commands(run_dir.resolve())
    with without_dashes(run_dir / "hub_home") as home:  # the user's own PaddleHub modules are never touched
        if not run(steps, {**os.environ, "HUB_HOME": str(home), "PYTHONUNBUFFERED": "1"}, times):
            return 1
    draw_losses(run_dir)
    print(write_report(run_dir, times, time.perf_counter() - started))
    return 0


def run(steps, environment, times):
    """Run all commands, and keep their times; whether none failed."""
    with tqdm(
        total=len(steps), desc="demo", unit="step", bar_format="{desc}: |{bar:30}| {n_fmt}/{total_fmt} {elapsed}\n"
    ) as bar:
        for title, command in steps.items():
            tqdm.write(f"\n[{bar.n + 1}/{len(steps)}] {title}\n    {readable(command)}", file=sys.stderr)
            begin = time.perf_counter()
            status = subprocess.run(command, cwd=ROOT, env=environment, check=False).returncode
            if status:
                told = f"found exit status {status}, expected 0; its output stands above"
                print(f"error: step {title!r}: {told}", file=sys.stderr)
                return False
            times[title] = time.perf_counter() - begin
            tqdm.write(f"    {times[title]:.1f} s", file=sys.stderr)
            bar.update()
    return True


def commands(run_dir):
    """Title -> command of every step."""
    python, hub = sys.executable, Path(sys.executable).with_name("hub")
    build = [
        python,
        "tasks/build_pretraining_data.py",
        "--corpus-dir",
        CORPUS,
        "--split-sentences",
        "--max-seq-length",
        "64",
    ]
    train = [
        python,
        "-m",
        "paddle.distributed.launch",
        "--nproc_per_node",
        "2",
        "--log_dir",
        run_dir / "log",
        "tasks/run_pretrain.py",
        "--data-dir",
        run_dir,
    ]
    nano = "chinese-electra-nano"
    return {
        "vocabulary and shards": [
            *build, "--vocab-file", run_dir / "vocab.txt", "--build-vocab", "4000", "--output-dir", run_dir / "pretrain_shards",
        ],
        "pre-training from the start, 2 processes": [
            *train, "--model-name", FROM_START,
            "--hparams", "configs/model/debug.yaml", "configs/pretraining/demo.yaml",
        ],
        f"shards in the vocabulary of {nano}": [
            *build, "--vocab-file", nano, "--output-dir", run_dir / "nano_shards",
        ],
        f"{nano} goes on with the sample, 2 processes": [
            *train, "--model-name", ADAPTED, "--init-from", nano, "--initialization", "original",
            "--vocab-file", nano, "--pretrain-shards", run_dir / "nano_shards",
            "--hparams", "configs/model/nano.yaml", "configs/pretraining/demo_adaptation.yaml",
        ],
        "module folder": [
            python, "tools/export_hub_module.py", run_dir / "models" / ADAPTED, run_dir / "chinese_electra_sample",
            "--name", MODULE,
        ],
        "hub install": [hub, "install", run_dir / "chinese_electra_sample"],
        "a mask, filled by the module": [
            hub, "run", MODULE, "--task", "fill-mask", "--input_text", ASKED,
        ],
    }  # fmt: skip


def readable(command):
    """A command as one would type it in the project's folder."""
    names = {str(sys.executable): "python", str(Path(sys.executable).with_name("hub")): "hub"}
    words = (names.get(str(word), str(word)) for word in command)
    return " ".join(word.replace(str(ROOT) + os.sep, "") for word in words)


def figures_of(run_dir, name):
    from electra_paddle.training.loggers.jsonl import read_metrics

    return read_metrics(run_dir / "models" / name / "metrics.jsonl")


def draw_losses(run_dir):
    """loss.png: the losses of both runs."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10, 4))
    for axes, name in zip(figure.subplots(1, 2), (FROM_START, ADAPTED), strict=True):
        rows = figures_of(run_dir, name)
        steps = [row["step"] for row in rows]
        axes.plot(steps, [row["mlm_loss"] for row in rows], label="generator: masked language model")
        axes.plot(steps, [10 * row["rtd_loss"] for row in rows], label="discriminator: replaced tokens, x 10")
        axes.set(title=name, xlabel="updates", ylabel="loss")
        axes.legend()
    figure.tight_layout()
    figure.savefig(run_dir / "loss.png", dpi=120)


def write_report(run_dir, times, total):
    """report.md; returned as text."""
    lines = ["# Demo of pre-training", ""]
    for name in (FROM_START, ADAPTED):
        rows = figures_of(run_dir, name)
        first, last = rows[0], rows[-1]
        lines += [
            f"| {name} | update {first['step']} | update {last['step']} |",
            "|-|-|-|",
            *(f"| {figure} | {first[figure]:.3f} | {last[figure]:.3f} |" for figure in ROWS),
            "",
        ]
    lines += [
        "The sample has 530 lines: losses fall, Chinese is not learned from it.",
        "",
        *(f"{seconds:6.1f} s  {title}" for title, seconds in times.items()),
        f"{total:6.1f} s  in all",
        "",
        f"Loss curves: {run_dir / 'loss.png'}. Watch a run with",
        f"    visualdl --logdir {run_dir / 'models' / ADAPTED / 'visualdl'}",
    ]
    report = "\n".join(lines) + "\n"
    (run_dir / "report.md").write_text(report, encoding="utf-8")
    return report


if __name__ == "__main__":
    from electra_paddle.cli import status_of

    sys.exit(status_of(main))

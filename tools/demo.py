"""The whole way on the embedded sample: corpus, vocabulary, shards, pre-training, module, fine-tuning, prediction."""

import argparse
import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

from tqdm import tqdm

ROOT = Path(__file__).resolve().parent.parent
SAMPLE = ROOT / "electra_paddle" / "sample"
NAME = "chinese-electra-demo"
MARKER = ".electra-demo"  # only a folder that holds it is cleared
UNSEEN = (
    "房间又大又安静，服务员特别热情，下次还会来。",
    "键盘用了三天就坏了，客服一直推脱，太失望了。",
    "故事讲得很感人，一个晚上就读完了，推荐。",
)
LABELS = {0: "negative", 1: "positive"}


def main():
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    parser.add_argument(
        "--run-dir", type=Path, default=Path("runs/demo"), help="cleared first if an earlier demo made it"
    )
    parser.add_argument("--step", choices=["finetune"], help=argparse.SUPPRESS)  # the part that runs in its own process
    arguments = parser.parse_args()
    if arguments.step == "finetune":
        return finetune_module(arguments.run_dir)
    return run_demo(arguments.run_dir)


def run_demo(run_dir):
    if run_dir.exists() and any(run_dir.iterdir()) and not (run_dir / MARKER).exists():
        print(f"error: --run-dir: found {run_dir}, which no demo made, expected a new folder", file=sys.stderr)
        return 2
    shutil.rmtree(run_dir, ignore_errors=True)
    run_dir.mkdir(parents=True)
    (run_dir / MARKER).touch()
    times, started = {}, time.perf_counter()
    steps = commands(run_dir)
    # The user's own PaddleHub modules are never touched.
    environment = {**os.environ, "HUB_HOME": str((run_dir / "hub_home").resolve()), "PYTHONUNBUFFERED": "1"}
    with tqdm(
        total=len(steps), desc="demo", unit="step", bar_format="{desc}: |{bar:30}| {n_fmt}/{total_fmt} {elapsed}\n"
    ) as bar:
        for title, command in steps.items():
            tqdm.write(f"\n[{bar.n + 1}/{len(steps)}] {title}\n    {readable(command)}", file=sys.stderr)
            begin = time.perf_counter()
            status = subprocess.run(command, cwd=ROOT, env=environment, check=False).returncode
            if status:
                print(
                    f"error: step {title!r}: found exit status {status}, expected 0; its output stands above",
                    file=sys.stderr,
                )
                return 1
            times[title] = time.perf_counter() - begin
            tqdm.write(f"    {times[title]:.1f} s", file=sys.stderr)
            bar.update()
    draw_losses(run_dir)
    report = write_report(run_dir, times, time.perf_counter() - started)
    print(report)
    return 0


def commands(run_dir):
    """Title -> command of every step."""
    python, run_dir = sys.executable, run_dir.resolve()
    return {
        "vocabulary and shards": [
            python, "tasks/build_pretraining_data.py", "--corpus-dir", SAMPLE / "corpus.txt",
            "--vocab-file", run_dir / "vocab.txt", "--build-vocab", "4000", "--split-sentences",
            "--output-dir", run_dir / "pretrain_shards", "--max-seq-length", "64",
        ],
        "pre-training, 2 processes": [
            python, "-m", "paddle.distributed.launch", "--nproc_per_node", "2", "--log_dir", run_dir / "log",
            "tasks/run_pretrain.py", "--data-dir", run_dir, "--model-name", NAME,
            "--hparams", "configs/model/debug.yaml", "configs/pretraining/demo.yaml",
        ],
        "module folder": [
            python, "tools/export_hub_module.py", run_dir / "models" / NAME, run_dir / "chinese_electra_demo",
            "--name", NAME,
        ],
        "hub install": [Path(python).with_name("hub"), "install", run_dir / "chinese_electra_demo"],
        "fine-tuning and prediction through hub.Module": [python, __file__, "--run-dir", run_dir, "--step", "finetune"],
    }  # fmt: skip


def readable(command):
    """A command as one would type it in the project's folder."""
    names = {str(sys.executable): "python", str(Path(sys.executable).with_name("hub")): "hub"}
    words = (names.get(str(word), str(word)) for word in command)
    return " ".join(word.replace(str(ROOT) + os.sep, "") for word in words)


def finetune_module(run_dir):
    """What a user of PaddleHub writes: load the module by name, train it with hub.Trainer, predict."""
    from electra_paddle import runtime

    runtime.start()
    import paddle
    import paddlehub as hub

    from electra_paddle.training.optimizer import build_optimizer, layerwise_factors
    from electra_paddle.training.schedule import build_schedule

    model = hub.Module(name=NAME, task="seq-cls", label_map=LABELS)
    data = {split: Reviews(SAMPLE / f"{split}.tsv", model.get_tokenizer()) for split in ("train", "dev", "test")}
    epochs, batch_size = 3, 16
    steps = epochs * -(-len(data["train"]) // batch_size)
    schedule = build_schedule(1e-3, steps, steps // 10)
    factors = layerwise_factors([name for name, _ in model.named_parameters()], 4, decay=0.8)
    paddle.seed(0)
    trainer = hub.Trainer(
        model, build_optimizer(model, schedule, layer_factors=factors), checkpoint_dir=str(run_dir / "finetuned")
    )
    trainer.train(data["train"], epochs, batch_size, eval_dataset=data["dev"], log_interval=32, save_interval=epochs)
    accuracy = {
        split: 100 * sum(map(int.__eq__, rows.labels, rows.predict(model))) / len(rows) for split, rows in data.items()
    }
    labels, probabilities = model.predict([[text] for text in UNSEEN], batch_size=3, return_prob=True)
    predictions = [
        {"text": text, "label": label, "probability": max(row)}
        for text, label, row in zip(UNSEEN, labels, probabilities, strict=True)
    ]
    result = json.dumps({"accuracy": accuracy, "predictions": predictions}, ensure_ascii=False, indent=2)
    (run_dir / "predictions.json").write_text(result + "\n", encoding="utf-8")


class Reviews:
    """The sample's reviews as hub.Trainer takes them: (input_ids, token_type_ids, label), padded to 64."""

    def __init__(self, path, tokenizer):
        rows = [line.split("\t") for line in path.read_text(encoding="utf-8").splitlines()[1:]]
        self.labels, self.texts = [int(label) for label, _ in rows], [text for _, text in rows]
        encoded = [tokenizer(text, max_seq_len=64, pad_to_max_seq_len=True) for text in self.texts]
        self.rows = [(row["input_ids"], row["token_type_ids"]) for row in encoded]

    def __len__(self):
        return len(self.rows)

    def __getitem__(self, index):
        import numpy as np

        return (*(np.array(ids, "int64") for ids in self.rows[index]), np.int64(self.labels[index]))

    def predict(self, model):
        ids = {label: number for number, label in LABELS.items()}
        return [ids[label] for label in model.predict([[text] for text in self.texts], max_seq_len=64, batch_size=32)]


def draw_losses(run_dir):
    """loss.png: the two losses, and how often the networks are right."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    from electra_paddle.training.loggers.jsonl import read_metrics

    figures = read_metrics(run_dir / "models" / NAME / "metrics.jsonl")
    steps = [row["step"] for row in figures]
    figure, (losses, accuracies) = pyplot.subplots(1, 2, figsize=(10, 4))
    losses.plot(steps, [row["mlm_loss"] for row in figures], label="generator: masked language model")
    losses.plot(steps, [10 * row["rtd_loss"] for row in figures], label="discriminator: replaced tokens, x 10")
    accuracies.plot(steps, [row["mlm_accuracy"] for row in figures], label="generator")
    accuracies.plot(steps, [row["rtd_accuracy"] for row in figures], label="discriminator")
    accuracies.plot(steps, [row["rtd_baseline"] for row in figures], "--", label='always "original"')
    for axes, title in ((losses, "loss"), (accuracies, "accuracy")):
        axes.set(title=title, xlabel="updates")
        axes.legend()
    figure.tight_layout()
    figure.savefig(run_dir / "loss.png", dpi=120)


def write_report(run_dir, times, total):
    """report.md; returned as text."""
    from electra_paddle.training.loggers.jsonl import read_metrics

    figures = read_metrics(run_dir / "models" / NAME / "metrics.jsonl")
    first, last = figures[0], figures[-1]
    result = json.loads((run_dir / "predictions.json").read_text(encoding="utf-8"))
    manifest = json.loads((run_dir / "pretrain_shards" / "manifest.json").read_text(encoding="utf-8"))
    model_dir = run_dir / "models" / NAME
    made = {
        "vocabulary": f"{run_dir / 'vocab.txt'} ({manifest['vocab_size']:,} entries)",
        "shards": f"{run_dir / 'pretrain_shards'} ({manifest['num_examples']:,} examples, {manifest['num_tokens']:,} tokens)",
        "generator, discriminator": f"{model_dir / 'generator'}, {model_dir / 'discriminator'}",
        "checkpoints": str(model_dir / "checkpoints"),
        "PaddleHub module": f"{NAME}, installed below {run_dir / 'hub_home'}",
        "fine-tuned parameters": str(run_dir / "finetuned"),
        "loss curves": str(run_dir / "loss.png"),
        "VisualDL logs": str(model_dir / "visualdl"),
    }
    lines = [
        "",
        "# Demo report",
        "",
        "These scores mean nothing: the sample is tiny. They show that every part works.",
        "",
        *(f"- {what}: {where}" for what, where in made.items()),
        "",
        f"| pre-training | update {first['step']} | update {last['step']} |",
        "|-|-|-|",
        *(
            f"| {name} | {first[name]:.3f} | {last[name]:.3f} |"
            for name in ("mlm_loss", "rtd_loss", "mlm_accuracy", "rtd_accuracy", "rtd_baseline")
        ),
        "",
        "Fine-tuned accuracy: " + ", ".join(f"{split} {value:.1f} %" for split, value in result["accuracy"].items()),
        "",
        *(f"- {row['text']} -> {row['label']} ({row['probability']:.2f})" for row in result["predictions"]),
        "",
        *(f"{seconds:6.1f} s  {title}" for title, seconds in times.items()),
        f"{total:6.1f} s  in all",
        "",
        "Next: watch the run with",
        f"    visualdl --logdir {model_dir / 'visualdl'}",
        "then pre-train on your own text and fine-tune on a real task: docs/first-steps.md, 'On real text'.",
    ]
    report = "\n".join(lines) + "\n"
    (run_dir / "report.md").write_text(report.lstrip(), encoding="utf-8")
    return report


if __name__ == "__main__":
    sys.exit(main())

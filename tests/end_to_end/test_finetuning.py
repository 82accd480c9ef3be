import json

import numpy as np

from electra_paddle.tensors import read_tensors

OPTIONS = ["--data-dir", ".", "--learning-rate", "1e-2", "--train-batch-size", "8", "--max-seq-length", "32"]


def finetune(project, *arguments, check=True):
    return project.run("tasks/run_finetuning.py", *OPTIONS, *arguments, check=check)


def test_trials_are_reported_as_maximum_and_mean(project):
    output = ["--output-dir", "models/tuned"]
    hparams = '{"task_names": ["chnsenticorp"], "num_trials": 2, "num_train_epochs": 6}'
    result = finetune(project, "--model-name", "base", *output, "--hparams", hparams)
    folder = project.folder / "models/tuned"
    saved = json.loads((folder / "results/chnsenticorp_results.json").read_text())
    accuracies = [trial["dev"]["accuracy"] for trial in saved["trials"]]
    assert saved["summary"]["dev"] == {
        "max": max(accuracies),
        "mean": np.mean(accuracies),
        "std": np.std(accuracies, ddof=1),
    }
    assert [trial["seed"] for trial in saved["trials"]] == [0, 1]
    assert saved["summary"]["test"]["mean"] > 60  # the two classes use different characters
    assert "| tuned |" in result.stdout
    evaluated = finetune(project, "--model-name", "base", *output, "--hparams", hparams, "--do-train", "false")
    scores = [line for line in evaluated.stdout.splitlines() if line.startswith("chnsenticorp dev: accuracy")]
    assert scores == [line for line in result.stdout.splitlines() if line.startswith("chnsenticorp dev: accuracy")]


def test_random_init_leaves_the_pretrained_weights_out(project):
    arguments = ["--num-train-epochs", "0.1", "--layerwise-lr-decay", "0", "--model-name", "base", "--do-test", "false"]
    finetune(project, *arguments, "--output-dir", "models/t1")
    finetune(project, *arguments, "--output-dir", "models/t2", "--random-init", "true")
    name = "electra.embeddings.position_embeddings.weight"
    base = read_tensors(project.folder / "models/base/discriminator/model.safetensors")[name]
    tuned, random = (
        read_tensors(project.folder / f"models/{run}/finetuning_models/chnsenticorp_model_1/model.safetensors")[name]
        for run in ("t1", "t2")
    )
    assert np.abs(tuned - base).max() < 0.5 * np.abs(random - base).max()


def test_missing_splits_are_skipped_with_a_note(project):
    task = project.folder / "finetuning_data/chnsenticorp"
    (task / "test.tsv").rename(task / "test.away")
    try:
        result = finetune(project, "--model-name", "base", "--output-dir", "models/t3", "--num-train-epochs", "0.1")
    finally:
        (task / "test.away").rename(task / "test.tsv")
    assert "no test split, skipped" in result.stdout
    assert list(
        json.loads((project.folder / "models/t3/results/chnsenticorp_results.json").read_text())["summary"]
    ) == ["dev"]

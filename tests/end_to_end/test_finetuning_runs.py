"""Fine-tuning that is killed, shared by processes, evaluated on the way, or given once more."""

import json
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from conftest import ROOT

from electra_paddle.tensors import read_tensors

DROPOUT_OFF = '{"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}'
OPTIONS = [
    "--data-dir", ".", "--model-name", "base", "--learning-rate", "1e-2", "--train-batch-size", "7",
    "--max-seq-length", "32", "--num-train-epochs", "2", "--log-steps", "1",
]  # fmt: skip


def finetune(project, name, *options, launcher=()):
    """Run it to its end; its output."""
    process = start(project, name, *options, launcher=launcher)
    output, _ = process.communicate()
    assert process.returncode == 0, output
    return output


def start(project, name, *options, launcher=()):
    command = [sys.executable, *launcher, str(ROOT / "tasks/run_finetuning.py"), *OPTIONS]
    command += ["--output-dir", f"models/{name}", *options]
    streams = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
    return subprocess.Popen(command, cwd=project.folder, start_new_session=True, **streams)


def weights(project, name, trial=1):
    folder = project.folder / "models" / name / "finetuning_models" / f"chnsenticorp_model_{trial}"
    return read_tensors(folder / "model.safetensors")


def results(project, name):
    return json.loads((project.folder / f"models/{name}/results/chnsenticorp_results.json").read_text())


def scores(project, name):
    return [{split: row[split] for split in ("dev", "test")} for row in results(project, name)["trials"]]


@pytest.fixture(scope="module")
def undisturbed(project):
    """Name of a run of two trials without interruption."""
    finetune(project, "undisturbed", "--num-trials", "2")
    return "undisturbed"


def test_killed_run_goes_on_in_the_same_trial_to_the_same_weights(project, undisturbed):
    options = ["--num-trials", "2", "--save-checkpoints-steps", "5"]
    process = start(project, "killed", *options)
    deadline = time.monotonic() + 120
    while not list(project.folder.glob("models/killed/finetuning_checkpoints/chnsenticorp_2_*/step_00000010")):
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.005)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    output = finetune(project, "killed", *options)
    assert "chnsenticorp, trial 1: finished before with the same settings" in output
    assert "chnsenticorp, trial 2: resuming after" in output
    for trial in (1, 2):
        expected = weights(project, undisturbed, trial)
        for name, value in weights(project, "killed", trial).items():
            assert (value == expected[name]).all(), name
    assert scores(project, "killed") == scores(project, undisturbed)
    assert not list(project.folder.glob("models/killed/finetuning_checkpoints/*"))


@pytest.mark.slow
def test_killed_cross_validation_goes_on_in_the_same_fold_to_the_same_predictions(project):
    options = ["--folds", "3", "--ensemble", "true", "--save-checkpoints-steps", "5"]
    finetune(project, "folds", *options)
    process = start(project, "killed_folds", *options)
    deadline = time.monotonic() + 120
    while not list(project.folder.glob("models/killed_folds/finetuning_checkpoints/chnsenticorp_2_*/step_00000010")):
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.005)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    output = finetune(project, "killed_folds", *options)
    assert "chnsenticorp, fold 1: finished before with the same settings" in output
    assert "chnsenticorp, fold 2: resuming after" in output
    for file in (
        "results/chnsenticorp_out_of_fold.jsonl",
        "test_predictions/chnsenticorp_test_ensemble_predictions.tsv",
    ):
        written = [(project.folder / "models" / name / file).read_bytes() for name in ("folds", "killed_folds")]
        assert written[0] == written[1] and written[0]
    assert results(project, "killed_folds")["combined"] == results(project, "folds")["combined"]


@pytest.mark.slow
def test_killed_search_goes_on_in_the_same_setting_and_finds_the_same(project):
    (project.folder / "space.yaml").write_text("space: {warmup_proportion: [0.0, 0.3, 0.6]}\n")
    options = ["--search", "space.yaml", "--save-checkpoints-steps", "5"]
    output = finetune(project, "search", *options)
    assert "models/search/results/chnsenticorp_best.yaml written: --hparams takes it" in output
    process = start(project, "killed_search", *options)
    deadline = time.monotonic() + 120
    folder = project.folder / "models/killed_search/search/chnsenticorp"
    while not (list(folder.glob("*/results/*.json")) and list(folder.glob("*/finetuning_checkpoints/*/step_00000010"))):
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.005)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    output = finetune(project, "killed_search", *options)
    assert output.count("finished before with the same settings") >= 1 and "trial 1: resuming after" in output
    for file in ("chnsenticorp_search.md", "chnsenticorp_best.yaml"):
        models = project.folder / "models"
        found = [(models / name / "results" / file).read_text() for name in ("search", "killed_search")]
        assert found[0] == found[1] and "warmup_proportion" in found[0]


def test_finished_run_given_again_reports_the_same_and_trains_no_more(project, undisturbed):
    before = (project.folder / f"models/{undisturbed}/results/chnsenticorp_results.json").read_bytes()
    output = finetune(project, undisturbed, "--num-trials", "2")
    assert output.count("finished before with the same settings") == 2 and "| undisturbed |" in output
    assert (project.folder / f"models/{undisturbed}/results/chnsenticorp_results.json").read_bytes() == before


@pytest.mark.slow
def test_another_split_is_evaluated_without_training_again_and_other_settings_are_refused(project):
    finetune(project, "changed", "--num-train-epochs", "0.5", "--do-test", "false")
    trained = project.folder / "models/changed/finetuning_models/chnsenticorp_model_1/model.safetensors"
    before = trained.stat().st_mtime_ns
    finetune(project, "changed", "--num-train-epochs", "0.5")
    assert trained.stat().st_mtime_ns == before and set(results(project, "changed")["summary"]) == {"dev", "test"}
    process = start(project, "changed", "--num-train-epochs", "1")
    output, _ = process.communicate()
    assert process.returncode == 2 and output.count("error: ") == 1
    difference = "from another experiment (num_train_epochs 0.5 -> 1.0), expected the same experiment"
    assert f"error: models/changed: found results of chnsenticorp {difference}; choose another --output-dir" in output
    finetune(project, "changed", "--num-train-epochs", "1", "--begin-anew", "true")
    assert trained.stat().st_mtime_ns > before


@pytest.mark.slow
@pytest.mark.parametrize("options", [["--gradient-accumulation-steps", "2"], []], ids=["accumulated", "plain"])
def test_two_processes_have_the_metric_and_the_weights_of_one(project, options):
    """Batches of 7 of 120 rows, which two processes cannot share equally."""
    common = ["--model-hparam-overrides", DROPOUT_OFF, "--write-test-outputs", "true", "--learning-rate", "1e-3"]
    finetune(project, "one", *common)
    launcher = ["-m", "paddle.distributed.launch", "--nproc_per_node", "2", "--log_dir", "log_finetune"]
    name = f"two_{len(options)}"
    finetune(project, name, *common, *options, launcher=launcher)
    for split in ("dev", "test"):
        found, expected = (scores(project, run)[0][split] for run in (name, "one"))
        assert found["accuracy"] == expected["accuracy"]
        assert found["loss"] == pytest.approx(expected["loss"], abs=1e-5)
    expected = weights(project, "one")
    for parameter, value in weights(project, name).items():
        np.testing.assert_allclose(value, expected[parameter], atol=1e-5)
    predictions = [
        (project.folder / f"models/{run}/test_predictions/chnsenticorp_test_1_predictions.tsv").read_text()
        for run in (name, "one")
    ]
    assert predictions[0] == predictions[1] and len(predictions[0].splitlines()) == 31


@pytest.mark.slow
def test_folds_and_their_ensemble_are_the_same_in_two_processes(project):
    options = ["--model-hparam-overrides", DROPOUT_OFF, "--learning-rate", "1e-3", "--folds", "2", "--ensemble", "true"]
    finetune(project, "folds_of_one", *options)
    launcher = ["-m", "paddle.distributed.launch", "--nproc_per_node", "2", "--log_dir", "log_folds"]
    finetune(project, "folds_of_two", *options, launcher=launcher)
    one, two = (results(project, name)["combined"] for name in ("folds_of_one", "folds_of_two"))
    for name, split in (("out of fold", "held_out"), ("ensemble", "dev"), ("ensemble", "test")):
        assert two[name][split]["accuracy"] == one[name][split]["accuracy"]
        assert two[name][split].get("loss") == pytest.approx(one[name][split].get("loss"), abs=1e-5)
    rows = [
        (project.folder / f"models/{name}/results/chnsenticorp_out_of_fold.jsonl").read_text().splitlines()
        for name in ("folds_of_one", "folds_of_two")
    ]
    assert [json.loads(row)["predicted"] for row in rows[0]] == [json.loads(row)["predicted"] for row in rows[1]]
    assert len(rows[0]) == 120


def test_best_weights_on_dev_are_kept_and_a_trial_without_progress_ends_early(project):
    output = finetune(project, "best", "--num-train-epochs", "9", "--eval-steps", "3", "--early-stopping", "4")
    lines = (project.folder / "models/best/finetuning_logs/chnsenticorp_1/metrics.jsonl").read_text().splitlines()
    evaluations = [row for row in map(json.loads, lines) if "eval" in row]
    values = [row["eval"]["accuracy"] for row in evaluations]
    first_best = values.index(max(values))
    assert f"weights of update {evaluations[first_best]['step']:,} are kept" in output
    assert results(project, "best")["summary"]["dev"]["max"] == max(values)
    assert len(values) == first_best + 5 and evaluations[-1]["step"] < 9 * 18


def test_only_the_last_model_is_kept_if_asked(project):
    finetune(project, "last", "--num-trials", "2", "--keep-all-models", "false", "--num-train-epochs", "0.5")
    folders = [path.name for path in (project.folder / "models/last/finetuning_models").iterdir()]
    assert folders == ["chnsenticorp_model_2"]


def test_suite_runs_its_tasks_and_writes_one_report(project):
    (project.folder / "pairs.yaml").write_text("columns: {label: 0, text_a: 1, text_b: 2}\n")
    (project.folder / "suite.yaml").write_text(
        "tasks: [chnsenticorp, pairs.yaml]\nhparams: {num_trials: 2, num_train_epochs: 0.5}\n"
        "source: a paper\npublished: {chnsenticorp: {Great: {dev: 99.9}}}\n"
    )
    folder = project.folder / "finetuning_data/pairs"
    folder.mkdir()
    for split in ("train", "dev"):
        rows = [f"{label}\t{chr(0x4E00 + number)}\t一丁" for number, label in enumerate(("same", "other") * 8)]
        (folder / f"{split}.tsv").write_text("\n".join(rows) + "\n", encoding="utf-8")
    output = finetune(project, "suite", "--suite", "suite.yaml", "--num-train-epochs", "1")
    report = (project.folder / "models/suite/results/suite_report.md").read_text()
    assert "models/suite/results/suite_report.md and suite_report.html written" in output
    assert report.count("| suite | ") == 2 and "Great" not in report  # 120 examples are not the published ones
    assert "## pairs\n\naccuracy: maximum (mean) of 2 trials. Examples: train 16, dev 16" in report
    names = {path.name for path in (project.folder / "models/suite/results").iterdir()}
    assert {"pairs_results.png", "pairs_dev_2_confusion.png", "pairs_dev_2_classes.tsv"} <= names


@pytest.mark.slow
def test_terminated_run_saves_first_and_goes_on_to_the_same_weights(project, undisturbed):
    process = start(project, "terminated", "--num-trials", "2")
    log = project.folder / "models/terminated/finetuning_logs/chnsenticorp_1/metrics.jsonl"
    while not log.exists() or not log.read_text():
        assert process.poll() is None
        time.sleep(0.005)
    process.send_signal(signal.SIGTERM)
    output, _ = process.communicate()
    assert process.returncode == 128 + signal.SIGTERM
    assert "of trial 1 is saved, the same command goes on" in output
    assert "chnsenticorp, trial 1: resuming after" in finetune(project, "terminated", "--num-trials", "2")
    expected = weights(project, undisturbed)
    for name, value in weights(project, "terminated").items():
        assert (value == expected[name]).all(), name


def test_debug_run_needs_no_pretrained_weights_and_is_short(project):
    output = finetune(project, "debug", "--debug", "true", "--init-checkpoint", "none", "--log-examples", "true")
    assert "chnsenticorp_results.json written" in output and "train.tsv:2: [CLS] " in output
    assert results(project, "debug")["num_examples"] == {"train": 100, "dev": 30, "test": 30}
    config = json.loads(
        (project.folder / "models/debug/finetuning_models/chnsenticorp_model_1/config.json").read_text()
    )
    assert (config["num_hidden_layers"], config["hidden_size"]) == (3, 144)


def test_bad_rows_are_skipped_and_listed_and_an_unlabelled_split_is_predicted(project):
    folder = project.folder / "finetuning_data/mood"
    folder.mkdir()
    (project.folder / "mood.yaml").write_text("labels: [sad, glad]\n")
    rows = ["sad\t一", "glad\t丁", "angry\t七", "sad\t", "glad"] * 3
    for split in ("train", "dev"):
        (folder / f"{split}.tsv").write_text("\n".join(rows) + "\n", encoding="utf-8")
    (folder / "eval.tsv").write_text("".join(f"{chr(0x4E00 + number)}\n" for number in range(35)), encoding="utf-8")
    options = ["--task", "mood.yaml", "--on-error", "skip", "--write-probabilities", "true"]
    output = finetune(project, "mood", *options)
    assert "finetuning_data/mood/train.tsv: 9 rows skipped:" in output
    assert "  finetuning_data/mood/train.tsv:3: found label 'angry', expected sad or glad" in output
    saved = json.loads((project.folder / "models/mood/results/mood_results.json").read_text())
    assert set(saved["summary"]) == {"dev"} and saved["num_examples"] == {"train": 6, "dev": 6, "test": 35}
    path = project.folder / "models/mood/test_predictions/mood_eval_1_predictions.tsv"
    header, *lines = [line.split("\t") for line in path.read_text(encoding="utf-8").splitlines()]
    assert header == ["id", "label", "probability_sad", "probability_glad"]
    assert [line[0] for line in lines] == [str(number) for number in range(35)]
    for _, label, *probabilities in lines:
        assert sum(map(float, probabilities)) == pytest.approx(1, abs=1e-5)
        assert label == ["sad", "glad"][np.argmax([float(value) for value in probabilities])]

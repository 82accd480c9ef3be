import json
import re
import shutil

import numpy as np
import pytest
from conftest import assert_close

from electra_paddle.tensors import read_tensors
from electra_paddle.training.loggers.jsonl import read_metrics


def weights(project, name, network="discriminator"):
    return read_tensors(project.folder / "models" / name / network / "model.safetensors")


def test_run_leaves_two_pretrained_directories_metrics_and_visualdl(project):
    folder = project.folder / "models/base"
    for network in ("generator", "discriminator"):
        assert {path.name for path in (folder / network).iterdir()} == {
            "config.json", "model.safetensors", "vocab.txt", "tokenizer_config.json", "README.md",
        }  # fmt: skip
    assert json.loads((folder / "discriminator/config.json").read_text())["hidden_size"] == 16
    assert json.loads((folder / "generator/config.json").read_text())["hidden_size"] == 4
    assert [row["step"] for row in read_metrics(folder / "metrics.jsonl")] == [2, 4, 6]
    assert list((folder / "visualdl").iterdir())
    assert (weights(project, "base")["electra.embeddings.word_embeddings.weight"]
            == weights(project, "base", "generator")["electra.embeddings.word_embeddings.weight"]).all()  # fmt: skip


def test_killed_run_resumes_to_the_same_weights_dropout_on(project):
    project.pretrain("whole", "--save-checkpoints-steps", "20", num_train_steps=60)
    project.pretrain_until("killed", "step_00000020", "--save-checkpoints-steps", "20", num_train_steps=60)
    result = project.pretrain("killed", "--save-checkpoints-steps", "20", num_train_steps=60)
    assert "resuming after" in result.stdout
    for network in ("generator", "discriminator"):
        one, two = weights(project, "whole", network), weights(project, "killed", network)
        assert all((one[name] == two[name]).all() for name in one)


def test_finished_run_started_again_changes_nothing(project):
    before = weights(project, "base")
    result = project.pretrain("base")
    assert "resuming after 6 of 6" in result.stdout
    after = weights(project, "base")
    assert all((before[name] == after[name]).all() for name in before)


STABLE = ["--lr-schedule", "warmup_stable_decay", "--num-decay-steps", "30", "--save-checkpoints-steps", "10"]
ENDLESS = 100_000


def test_decay_asked_for_on_a_stopped_run_ends_it_and_survives_a_kill(project):
    models = project.folder / "models"
    project.pretrain_until("asked", "step_00000010", *STABLE, num_train_steps=ENDLESS)
    project.run("tools/begin_decay.py", "models/asked")
    shutil.copytree(models / "asked", models / "asked-and-killed")
    project.pretrain("asked", *STABLE, num_train_steps=ENDLESS)
    rows = read_metrics(models / "asked/metrics.jsonl")
    end = rows[-1]["step"]
    assert end < ENDLESS
    assert rows[-16]["learning_rate"] == pytest.approx(1e-3)
    assert rows[-1]["learning_rate"] == pytest.approx(1e-3 / 30)
    assert f"for {end:,} updates" in (models / "asked/discriminator/README.md").read_text()

    project.pretrain_until("asked-and-killed", f"step_{end // 10 * 10 - 10:08d}", *STABLE, num_train_steps=ENDLESS)
    project.pretrain("asked-and-killed", *STABLE, num_train_steps=ENDLESS)
    one, two = weights(project, "asked"), weights(project, "asked-and-killed")
    assert all((one[name] == two[name]).all() for name in one)
    assert not (models / "asked/decay_request").exists()


def test_decay_asked_for_while_a_run_goes_on_ends_it(project):
    process = project.start_alone("going-on", *STABLE, num_train_steps=ENDLESS)
    project.wait_for("models/going-on/checkpoints/step_00000010", process)
    project.run("tools/begin_decay.py", "models/going-on")
    _, errors = process.communicate(timeout=300)
    assert process.returncode == 0, errors
    assert read_metrics(project.folder / "models/going-on/metrics.jsonl")[-1]["learning_rate"] < 1e-4


def test_informed_run_says_what_it_counted_and_resumes_as_it_began(project):
    shape = {"hidden_size": 64, "num_hidden_layers": 1, "hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
    wide = ["--model-hparam-overrides", json.dumps(shape), "--embedding-size", "32"]
    wide += ["--generator-hidden-size", "0.5", "--generator-learning-rate", "2e-3", "--cloze-file", "cloze.txt"]
    (project.folder / "cloze.txt").write_text("一[丁]丂\n[七]丄\n", encoding="utf-8")
    informed = [*wide, "--initialization", "informed"]
    result = project.pretrain("informed", *informed, num_train_steps=4)
    assert re.search(r"informed initialisation: [\d,]+ pairs of neighbours, [\d,]+ different ones", result.stdout)
    again = project.pretrain("informed", *informed, num_train_steps=6)
    assert "resuming after 4 of 6" in again.stdout
    evaluation = read_metrics(project.folder / "models/informed/metrics.jsonl", "eval")[-1]
    assert evaluation["cloze_accuracy"] in (0, 0.5, 1)
    assert evaluation["cloze_top5"] >= evaluation["cloze_accuracy"]
    assert "informed initialisation" not in again.stdout
    assert "informed initialisation" in project.launch(2, "informed-two", *informed, num_train_steps=4)
    alone, in_two = (
        read_metrics(project.folder / "models" / name / "metrics.jsonl", "eval")[0]["masked_lm_loss"]
        for name in ("informed", "informed-two")
    )
    assert_close(in_two, alone, atol=1e-4)
    refused = project.pretrain("informed", *wide, check=False)
    assert refused.returncode == 2
    assert "found other settings than 6 updates were made with (initialization informed -> original)" in refused.stderr


@pytest.mark.slow
def test_comparison_of_initializations_draws_both_and_prints_their_evaluations(project):
    (project.folder / "narrow.yaml").write_text(
        "{model_hparam_overrides: {hidden_size: 64, num_hidden_layers: 1}, embedding_size: 32, untied_generator: false}"
    )
    options = ["--num-train-steps", 6, "--eval-steps", 3, "--max-seq-length", 32, "--num-processes", 1, "--json"]
    result = project.run("tools/compare_initialization.py", "--data-dir", ".", "--hparams", "narrow.yaml", *options)
    report = json.loads(result.stdout)
    assert set(report["curves"]) == {"informed, seed 0", "original, seed 0"}
    for rows in report["curves"].values():
        assert [row["tokens"] for row in rows] == [3 * 64 * 32, 6 * 64 * 32]
        assert 0 < rows[-1]["disc_planted_auc"] < 1
    assert (project.folder / report["figure"]).stat().st_size > 10_000


def test_losses_fall(project):
    project.pretrain("longer", "--learning-rate", "5e-3", num_train_steps=60)
    figures = read_metrics(project.folder / "models/longer/metrics.jsonl")
    for objective in ("mlm_loss", "rtd_loss"):
        first, last = (np.mean([row[objective] for row in rows]) for rows in (figures[:5], figures[-5:]))
        assert last < first


@pytest.mark.slow
@pytest.mark.parametrize(
    ("options", "left"),
    [
        (["--electra-objective", "false"], {"generator"}),
        (["--uniform-generator", "true"], {"discriminator"}),
        (["--untied-generator", "false"], {"generator", "discriminator"}),
        (["--untied-generator-embeddings", "true"], {"generator", "discriminator"}),
        (["--mask-sampling", "reference"], {"generator", "discriminator"}),
    ],
)
def test_other_objectives_of_the_original_train_and_resume(project, options, left):
    name = options[0].strip("-")
    project.pretrain(name, *options, num_train_steps=4)
    result = project.pretrain(name, *options, num_train_steps=6)
    assert "resuming after 4 of 6" in result.stdout
    folder = project.folder / "models" / name
    assert {path.parent.name for path in folder.glob("*/model.safetensors")} == left
    if name == "electra-objective":  # what is left is the network to fine-tune
        tuned = [
            "--task-names",
            "chnsenticorp",
            "--num-trials",
            "1",
            "--num-train-epochs",
            "1",
            "--max-seq-length",
            "32",
        ]
        project.run("tasks/run_finetuning.py", "--data-dir", ".", "--model-name", name, *tuned)


def test_run_goes_on_from_the_weights_of_another(project):
    result = project.pretrain("onward", "--init-from", "models/base", "--learning-rate", "0", num_train_steps=2)
    assert "generator: models/base/generator/model.safetensors: " in result.stdout
    assert "parameters loaded, 0 missing, 0 extra" in result.stdout
    for network in ("generator", "discriminator"):
        before, after = weights(project, "base", network), weights(project, "onward", network)
        assert all((before[name] == after[name]).all() for name in before)
    result = project.pretrain("onward", "--init-from", "models/base", "--learning-rate", "0", num_train_steps=3)
    assert "resuming after 2 of 3" in result.stdout and "parameters loaded" not in result.stdout


def test_schedule_and_data_may_go_on_where_the_weights_come_from(project):
    options = ["--init-from", "models/base", "--init-step", "6", "--log-steps", "1"]
    project.pretrain("continued", *options, num_train_steps=12)
    rows = read_metrics(project.folder / "models/continued/metrics.jsonl")
    assert [row["step"] for row in rows] == [7, 8, 9, 10, 11, 12]
    assert [row["learning_rate"] for row in rows] == pytest.approx([1e-3 * (12 - step) / 12 for step in range(6, 12)])


def test_run_may_begin_with_one_network_and_says_so_loudly(project):
    source = "models/base/discriminator"
    result = project.pretrain("half", "--init-from", source, "--learning-rate", "0", num_train_steps=2)
    assert (
        "NOTE: generator: nothing to begin with, its weights are random, those under electra.embeddings."
        in result.stdout
    )
    before, after = weights(project, "base"), weights(project, "half")
    assert all((before[name] == after[name]).all() for name in before)
    generator = weights(project, "half", "generator")
    words = "electra.embeddings.word_embeddings.weight"
    assert (generator[words] == before[words]).all()
    old = weights(project, "base", "generator")
    assert not (generator["generator_predictions.dense.weight"] == old["generator_predictions.dense.weight"]).all()


def evaluations(project, name):
    return read_metrics(project.folder / "models" / name / "metrics.jsonl", "eval")


METRICS = ["loss", "masked_lm_loss", "masked_lm_accuracy", "sampled_masked_lm_accuracy"]
METRICS += ["disc_loss", "disc_accuracy", "disc_precision", "disc_recall", "disc_auc"]
METRICS += ["disc_planted_auc", "disc_effective_rank"]


def test_training_evaluates_at_intervals_and_at_the_end(project):
    rows = evaluations(project, "base")
    assert [row["step"] for row in rows] == [6] and list(rows[0]) == ["step", *METRICS]
    result = project.pretrain("evaluated", "--eval-steps", "2", "--eval-batch-size", "10", num_train_steps=5)
    assert "examples, " in result.stdout and "more for evaluation" in result.stdout
    assert "evaluation after 4: loss" in result.stderr + result.stdout
    rows = evaluations(project, "evaluated")
    assert [row["step"] for row in rows] == [2, 4, 5]
    assert_close(rows[0]["loss"], rows[0]["masked_lm_loss"] + 50 * rows[0]["disc_loss"], atol=0.5)
    written = json.loads((project.folder / "models/evaluated/eval_results.json").read_text())
    assert {name: written[name] for name in rows[-1]} == rows[-1]
    assert written["best_value"] == min(row["loss"] for row in rows)
    state = json.loads((project.folder / "models/evaluated/checkpoints/step_00000005/state.json").read_text())
    assert state["progress"]["best"] == {name: written[name] for name in ("best_step", "best_value")}


def test_evaluation_does_not_touch_training(project):
    project.pretrain("often", "--eval-steps", "1", "--eval-batch-size", "3")
    one, other = weights(project, "base"), weights(project, "often")
    assert all((one[name] == other[name]).all() for name in one)


def test_evaluation_alone_is_of_the_newest_checkpoint_and_repeats_its_scores(project):
    before = (project.folder / "models/base/pretraining_config.json").read_bytes()
    project.pretrain("base", "--do-train", "false", "--do-eval", "true")
    text = (project.folder / "models/base/results/unsup_results.txt").read_text()
    assert dict(line.split(" = ") for line in text.splitlines()) == {
        **{name: str(evaluations(project, "base")[0][name]) for name in METRICS}, "global_step": "6",
    }  # fmt: skip
    assert (project.folder / "models/base/pretraining_config.json").read_bytes() == before
    options = ["--do-train", "false", "--do-eval", "true", "--eval-shards", "pretrain_shards", "--num-eval-steps", "2"]
    project.pretrain("base", *options, "--eval-batch-size", "5")
    other = json.loads((project.folder / "models/base/eval_results.json").read_text())
    assert other["data"].endswith("examples of pretrain_shards") and other["best_value"] == other["loss"]


@pytest.mark.slow
def test_two_processes_evaluate_to_the_bit_what_one_does(project):
    options = ["--do-train", "false", "--do-eval", "true", "--eval-batch-size", "4"]
    results = []
    for run in (project.pretrain, lambda *arguments: project.launch(2, *arguments)):
        run("base", *options)
        results.append(json.loads((project.folder / "models/base/eval_results.json").read_text()))
    assert results[0] == results[1]


@pytest.mark.slow
def test_debug_run_starts_anew_and_empties_no_other_runs_folder(project):
    for _ in range(2):
        result = project.pretrain("try", "--debug", "true", num_train_steps=2)
        assert "from the start of 2 updates" in result.stdout
    assert weights(project, "try")["electra.encoder.layers.2.linear1.weight"].shape == (144, 576)
    result = project.pretrain("base", "--debug", "true", check=False)
    assert result.returncode == 2
    assert "model_dir: found models/base, which no debug run made, expected a new folder" in result.stderr
    assert weights(project, "base")


def test_visualdl_log_of_a_run_has_every_kind_of_record(project):
    from visualdl import LogReader

    log = LogReader(file_path=str(next((project.folder / "models/base/visualdl").glob("vdlrecords*"))))
    tags = log.get_tags()
    assert set(tags) - {"meta_data"} == {"scalar", "text", "image", "histogram", "embeddings", "hyper_parameters"}
    assert {"pretrain/share_of_peak", "pretrain/tokens_per_second", "eval/disc_auc"} <= set(tags["scalar"])
    assert tags["text"] == [f"samples/{number}" for number in (1, 2, 3, 4)]
    text = log.get_data("text", "samples/1")[0].text.encoded_text_string
    names = [line.split()[1] for line in text.splitlines()]
    assert names == ["original:", "masked:", "generated:", "judged:", "result:"]
    assert "parameters/generator.generator_lm_head_bias" in tags["histogram"]
    words = log.get_data("embeddings", "word_embeddings/step_6")[0].embeddings.embeddings
    assert len(words) > 30 and len(words[0].vectors) == 8

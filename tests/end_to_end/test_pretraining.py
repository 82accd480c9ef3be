import json

import numpy as np
import pytest
from conftest import assert_close

from electra_paddle.tensors import read_tensors
from electra_paddle.training.monitor import read_metrics


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


NO_NOISE = (
    '{"hidden_size": 16, "num_hidden_layers": 1, "hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}'
)


def test_two_processes_learn_what_one_learns(project):
    """Without dropout and sampling noise (a weight of 0 for the discriminator) the weights are equal."""
    options = ["--model-hparam-overrides", NO_NOISE, "--disc-weight", "0"]
    project.pretrain("single", *options)
    project.launch(2, "double", *options)
    one, two = weights(project, "single", "generator"), weights(project, "double", "generator")
    assert not np.allclose(one["generator_lm_head_bias"], 0)
    for name in one:
        assert_close(two[name], one[name], atol=2e-6)
    losses = [
        [row["mlm_loss"] for row in read_metrics(project.folder / "models" / name / "metrics.jsonl")]
        for name in ("single", "double")
    ]
    assert_close(np.array(losses[1]), np.array(losses[0]), atol=0, rtol=1e-5)


@pytest.mark.parametrize("objective", ["mlm_loss", "rtd_loss"])
def test_losses_fall(project, objective):
    project.pretrain("longer", "--learning-rate", "5e-3", num_train_steps=60)
    figures = read_metrics(project.folder / "models/longer/metrics.jsonl")
    first, last = (np.mean([row[objective] for row in rows]) for rows in (figures[:5], figures[-5:]))
    assert last < first

"""Pre-training called from Python, with parts of a user's own."""

import functools
import json
import shutil

import numpy as np
import pytest
from own_parts import Diary
from small_corpus import random_text

import electra_paddle
from electra_paddle.config import load_config
from electra_paddle.errors import ConfigError, DataError
from electra_paddle.files import sha256
from electra_paddle.training.callbacks import Callback
from electra_paddle.training.loggers.jsonl import read_metrics

SETTINGS = {
    "model_hparam_overrides": {"hidden_size": 16, "num_hidden_layers": 1},
    "embedding_size": 8,
    "max_seq_length": 32,
    "train_batch_size": 8,
    "learning_rate": 1e-2,
    "num_warmup_steps": 0,
    "num_train_steps": 4,
    "log_steps": 1,
    "loggers": ["jsonl"],
}


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory):
    folder = tmp_path_factory.mktemp("api")
    (folder / "corpus.txt").write_text(random_text(0, num_documents=100), encoding="utf-8")
    built = electra_paddle.build_shards(
        folder / "corpus.txt", folder / "vocab.txt", folder / "pretrain_shards", build_vocab=150, max_seq_length=32
    )
    assert built.num_examples > 100 and len(built.vocabulary) <= 150 and built.folder.is_dir()
    return folder


def test_calls_return_what_was_made_and_leave_no_state_to_the_next(data_dir):
    results = [electra_paddle.pretrain(data_dir=data_dir, model_name=name, **SETTINGS) for name in ("one", "two")]
    assert results[0].num_steps == 4 and results[0].scores == results[1].scores
    assert results[0].scores["masked_lm_loss"] > 0
    weights = [(result.discriminator / "model.safetensors").read_bytes() for result in results]
    assert weights[0] == weights[1]
    assert electra_paddle.from_pretrained(results[0].generator) is not None
    again = electra_paddle.pretrain(data_dir=data_dir, model_name="one", **SETTINGS)
    assert again.num_steps == 4 and again.scores == {}  # nothing was left to do
    evaluated = electra_paddle.pretrain(data_dir=data_dir, model_name="one", do_train=False, do_eval=True, **SETTINGS)
    assert evaluated.scores == results[0].scores and evaluated.discriminator is None


WIDE = {
    "model_hparam_overrides": {"hidden_size": 64, "num_hidden_layers": 2},
    "embedding_size": 32,
    "untied_generator": False,
}


def test_untrained_positions_continue_after_an_informed_start(data_dir, capsys):
    options = {**SETTINGS, **WIDE, "initialization": "informed", "learning_rate": 1e-4}
    result = electra_paddle.pretrain(data_dir=data_dir, model_name="waves", **options)
    assert (
        "discriminator: positions 32 to 511, longer than the sequences of this training, continue"
        in capsys.readouterr().out
    )
    assert "continue the waves" in (result.discriminator / "README.md").read_text(encoding="utf-8")
    assert "trained_positions" not in json.loads((result.discriminator / "config.json").read_text())
    table = electra_paddle.from_pretrained(result.discriminator).electra.embeddings.position_embeddings.weight.numpy()
    before, after = (np.corrcoef(table[part]) for part in (slice(2, 30), slice(102, 130)))
    assert np.corrcoef(before.ravel(), after.ravel())[0, 1] > 0.9  # neighbours resemble each other as much as there


def test_untrained_positions_of_another_start_are_told_of_until_they_are_trained(data_dir, tmp_path, capsys):
    result = electra_paddle.pretrain(data_dir=data_dir, model_name="short", **SETTINGS)
    line = "discriminator: positions 32 to 511, longer than the sequences of this training, have their first values"
    assert line in capsys.readouterr().out
    config = json.loads((result.discriminator / "config.json").read_text())
    assert config["trained_positions"] == 32
    more = electra_paddle.pretrain(data_dir=data_dir, model_name="more", init_from=result.model_dir, **SETTINGS)
    assert line in capsys.readouterr().out
    rows = tmp_path / "finetuning_data/own"
    rows.mkdir(parents=True)
    (rows / "train.tsv").write_text("label\ttext_a\n" + "0\t天\n1\t地\n" * 4, encoding="utf-8")
    task = electra_paddle.TaskDescription("own", labels=("0", "1"))
    options = {"data_dir": tmp_path, "init_checkpoint": more.discriminator, "num_train_epochs": 1, "do_test": False}
    for length, is_told in ((32, False), (64, True)):
        found = electra_paddle.finetune(task, output_dir=tmp_path / str(length), max_seq_length=length, **options)
        assert ("with at most 32 tokens: later positions begin untrained" in capsys.readouterr().err) == is_told
        config = json.loads((found.models[0] / "config.json").read_text())
        assert ("trained_positions" in config) != is_told


def test_settings_are_a_configuration_or_names_and_unknown_ones_are_refused(data_dir):
    with pytest.raises(ConfigError, match="num_train_step: found an unknown hyper-parameter, expected 'num_t"):
        electra_paddle.pretrain(data_dir=data_dir, num_train_step=3)
    with pytest.raises(ConfigError, match="seed: found given beside a PretrainingConfig, expected one of both"):
        electra_paddle.pretrain(electra_paddle.PretrainingConfig(data_dir=data_dir), seed=3)


def test_callback_of_ones_own_is_told_every_event_and_can_end_the_run(data_dir):
    options = {**SETTINGS, "save_checkpoints_steps": 2, "eval_steps": 3}
    Diary.events.clear()
    electra_paddle.pretrain(data_dir=data_dir, model_name="by-name", callbacks=[Diary()], **options)
    assert Diary.events == [
        ("start", 0),
        ("step", 1),
        ("step", 2),
        ("checkpoint", "step_00000002"),
        ("evaluation", 3, True),
        ("step", 3),
        ("checkpoint", "step_00000003"),
        ("end", 3),
    ]


def test_logger_of_ones_own_gets_figures_and_texts(data_dir):
    options = {**SETTINGS, "loggers": ["jsonl", "own_parts:Notebook"], "samples_steps": 4}
    electra_paddle.pretrain(data_dir=data_dir, model_name="noted", **options)
    rows = [json.loads(line) for line in (data_dir / "models/noted/notebook.jsonl").read_text().splitlines()]
    assert [row[:3] for row in rows if row[0] == "scalars" and row[1] == "pretrain"] == [
        ["scalars", "pretrain", step] for step in (1, 2, 3, 4)
    ]
    assert any(row[0] == "scalars" and row[1] == "eval" for row in rows)
    assert any(row[0] == "text" and "original" in row[3] for row in rows)
    assert rows[-1] == ["closed", "noted", 4, None]
    with pytest.raises(ConfigError, match="loggers: found 'visualdll', expected 'visualdl', perhaps"):
        electra_paddle.pretrain(data_dir=data_dir, model_name="wrong", **{**SETTINGS, "loggers": ["visualdll"]})


def test_schedule_of_ones_own_sets_the_learning_rate(data_dir):
    electra_paddle.pretrain(data_dir=data_dir, model_name="halved", lr_schedule="own_parts:halves", **SETTINGS)
    rates = [row["learning_rate"] for row in read_metrics(data_dir / "models/halved/metrics.jsonl")]
    assert rates == pytest.approx([1e-2, 5e-3, 2.5e-3, 1.25e-3])


def test_objective_of_ones_own_is_trained_and_its_metrics_are_logged(data_dir):
    result = electra_paddle.pretrain(
        data_dir=data_dir, model_name="small-states", objective="own_parts:SmallStates", **SETTINGS
    )
    squares = [row["square"] for row in read_metrics(data_dir / "models/small-states/metrics.jsonl")]
    assert squares[-1] < squares[0]
    assert (result.discriminator / "model.safetensors").is_file()


def test_settings_of_another_experiment_are_refused_on_a_run_that_goes_on(data_dir, capsys):
    folder = data_dir / "models/told"
    pretrain = functools.partial(electra_paddle.pretrain, data_dir=data_dir, model_name="told")
    pretrain(**SETTINGS)
    message = r"other settings than 4 updates were made with \(learning_rate 0.01 -> 0.02, .*, seed 0 -> 1\)"
    with pytest.raises(ConfigError, match=message + ".*--allow-changes true goes on all the same"):
        pretrain(**{**SETTINGS, "learning_rate": 2e-2, "seed": 1, "num_train_steps": 6})
    with pytest.raises(ConfigError, match="num_train_steps: found 3 for a run that has made 4 updates"):
        pretrain(**{**SETTINGS, "num_train_steps": 3})
    capsys.readouterr()
    pretrain(**{**SETTINGS, "num_train_steps": 6, "log_steps": 2})
    assert "changed after update 4: log_steps 1 -> 2, num_train_steps 4 -> 6\n" in sorted_changes(capsys)
    assert "log_steps 1 -> 2" in (folder / "discriminator/README.md").read_text()
    pretrain(**{**SETTINGS, "num_train_steps": 8, "log_steps": 2, "seed": 1}, allow_changes=True)
    history = json.loads((folder / "pretraining_config.json").read_text())["history"]
    assert {"after_update": 6, "name": "seed", "before": 0, "now": 1} in history
    assert load_config(electra_paddle.PretrainingConfig, folder / "pretraining_config.json").seed == 1
    pretrain(**{**SETTINGS, "num_train_steps": 9, "log_steps": 2, "seed": 1})  # what is recorded is no change


def sorted_changes(capsys):
    """The output, with the changes of a line in alphabetical order."""
    lines = []
    for line in capsys.readouterr().out.splitlines():
        head, colon, changes = line.partition(": ")
        is_change = head.startswith("changed after update")
        lines.append(head + colon + (", ".join(sorted(changes.split(", "))) if is_change else changes))
    return "\n".join(lines) + "\n"


def test_checkpoint_of_an_earlier_version_is_compared_by_what_it_says(data_dir, capsys):
    pretrain = functools.partial(electra_paddle.pretrain, data_dir=data_dir, model_name="earlier")
    pretrain(**SETTINGS)
    (folder,) = (data_dir / "models/earlier/checkpoints").glob("step_*")
    state = json.loads((folder / "state.json").read_text())
    state["progress"] = {"initialization": "informed"}
    (folder / "state.json").write_text(json.dumps(state))
    sums = [f"{sha256(path)}  {path.name}\n" for path in folder.iterdir() if path.name != "SHA256SUMS"]
    (folder / "SHA256SUMS").write_text("".join(sums))
    with pytest.raises(ConfigError, match="made with .initialization informed -> original., expected the same exper"):
        pretrain(**{**SETTINGS, "num_train_steps": 6})
    assert "does not say which settings it was made with, so few can be compared" in capsys.readouterr().out


def test_other_shards_are_another_experiment(data_dir, tmp_path):
    pretrain = functools.partial(electra_paddle.pretrain, data_dir=data_dir, model_name="shards")
    pretrain(**SETTINGS)
    electra_paddle.build_shards(
        data_dir / "corpus.txt", data_dir / "vocab.txt", tmp_path / "other", max_seq_length=32, seed=7
    )
    with pytest.raises(ConfigError, match=r"updates were made with \(shards \w+ -> \w+\)"):
        pretrain(**SETTINGS, pretrain_shards=tmp_path / "other")


def test_weights_that_a_run_began_with_are_compared_by_their_bytes(data_dir, tmp_path):
    for seed, name in enumerate(("first", "second")):
        electra_paddle.pretrain(data_dir=data_dir, model_name=name, **SETTINGS, seed=seed)
    begin = functools.partial(electra_paddle.pretrain, data_dir=data_dir, model_name="begun", **SETTINGS)
    begin(init_from=data_dir / "models/first")
    begin()  # its weights come from the checkpoint
    shutil.copytree(data_dir / "models/first", tmp_path / "copy")
    begin(init_from=tmp_path / "copy")
    with pytest.raises(ConfigError, match="init_weights"):
        begin(init_from=data_dir / "models/second")


class StopAfterFour(Callback):
    def on_step(self, session):
        session.should_stop = session.step == 4


def test_metrics_of_an_interrupted_run_are_those_of_a_whole_one(data_dir):
    """The interval from update 4 to 6 was begun before the interruption."""
    options = {**SETTINGS, "log_steps": 3, "num_train_steps": 6}
    electra_paddle.pretrain(data_dir=data_dir, model_name="whole", **options)
    stopped = electra_paddle.pretrain(data_dir=data_dir, model_name="parts", callbacks=[StopAfterFour()], **options)
    assert stopped.num_steps == 4
    electra_paddle.pretrain(data_dir=data_dir, model_name="parts", **options)
    times = ("sequences_per_second", "tokens_per_second", "share_of_peak", "memory_gib")
    rows = {
        run: [
            {name: value for name, value in row.items() if name not in times}
            for row in read_metrics(data_dir / f"models/{run}/metrics.jsonl")
        ]
        for run in ("whole", "parts")
    }
    assert [row["step"] for row in rows["whole"]] == [3, 6] and rows["parts"] == rows["whole"]


@pytest.mark.parametrize("at_once", [False, True])
def test_a_damaged_token_ends_the_run(data_dir, tmp_path, at_once):
    shutil.copytree(data_dir / "pretrain_shards", tmp_path / "shards")
    path = next((tmp_path / "shards").glob("*.tokens.npy"))
    content = bytearray(path.read_bytes())
    content[-40] ^= 1  # one token is another of the vocabulary
    path.write_bytes(content)
    options = {**SETTINGS, "pretrain_shards": tmp_path / "shards", "model_dir": tmp_path / "model"}
    with pytest.raises(DataError, match=rf"{path.name} changed, expected the files that the manifest describes"):
        electra_paddle.pretrain(data_dir=data_dir, verify_shards=at_once, **options)
    assert not (tmp_path / "model/discriminator").exists()
    assert (tmp_path / "model/metrics.jsonl").read_text() == "" or not at_once


def test_case_travels_from_shards_to_networks_and_fine_tuning(data_dir, tmp_path):
    folder = tmp_path / "cased"
    settings = {"max_seq_length": 32, "do_lower_case": False, "strip_accents": True}
    electra_paddle.build_shards(
        data_dir / "corpus.txt", folder / "vocab.txt", folder / "pretrain_shards", build_vocab=150, **settings
    )
    result = electra_paddle.pretrain(data_dir=folder, model_name="cased", **SETTINGS)
    case = {"do_lower_case": False, "strip_accents": True}
    for network in (result.generator, result.discriminator):
        tokenizer = json.loads((network / "tokenizer_config.json").read_text())
        assert {name: tokenizer[name] for name in case} == case
    message = r"do_lower_case: found true, expected false, as in .*manifest.json; leave it out"
    with pytest.raises(ConfigError, match=message):
        electra_paddle.pretrain(data_dir=folder, model_name="lower", do_lower_case=True, **SETTINGS)

    task = folder / "finetuning_data/moods"
    task.mkdir(parents=True)
    (task / "train.tsv").write_text("good\tA好\nbad\tb坏\n" * 4, encoding="utf-8")
    options = {"data_dir": folder, "init_checkpoint": result.discriminator, "loggers": ["jsonl"]}
    description = electra_paddle.TaskDescription("moods", labels=("bad", "good"))
    tuned = electra_paddle.finetune(description, output_dir=folder / "tuned", **options)
    tokenizer = json.loads((tuned.models[0] / "tokenizer_config.json").read_text())
    assert {name: tokenizer[name] for name in case} == case
    assert not electra_paddle.from_finetuned(tuned.models[0]).tokenizer.do_lower_case
    with pytest.raises(ConfigError, match="do_lower_case: found true, expected false, as in .*tokenizer_config.json"):
        electra_paddle.finetune(description, output_dir=folder / "lower", do_lower_case=True, **options)
    with pytest.raises(ConfigError, match="do_lower_case: found true, expected false, as in .*tokenizer_config.json"):
        electra_paddle.pretrain(
            data_dir=folder, vocab_file=folder / "vocab.txt", model_name="other", init_from=result.discriminator.parent,
            pretrain_shards=lowered(data_dir, folder), **SETTINGS,
        )  # fmt: skip


def lowered(data_dir, folder):
    """Shards of the same vocabulary with text in lower case."""
    electra_paddle.build_shards(data_dir / "corpus.txt", folder / "vocab.txt", folder / "lower", max_seq_length=32)
    return folder / "lower"

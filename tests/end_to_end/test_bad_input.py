"""Every mistake ends in one line, exit status 2, and nothing written."""

import json
import lzma
import shutil
from pathlib import Path

import pytest

BUILD = ["tasks/build_pretraining_data.py", "--output-dir", "new/shards", "--max-seq-length", "32"]
PRETRAIN = ["tasks/run_pretrain.py", "--data-dir", "."]
FRESH = [*PRETRAIN, "--model-name", "fresh", "--max-seq-length", "32"]
SHAPE = ["--embedding-size", "8", "--model-hparam-overrides", '{"hidden_size": 16, "num_hidden_layers": 1}']
FINETUNE = [
    "tasks/run_finetuning.py",
    "--data-dir",
    ".",
    "--max-seq-length",
    "32",
    "--model-name",
    "base",
    "--output-dir",
    "models/new",
]


@pytest.fixture
def broken(project):
    """The project's folder with broken files in it, which go afterwards."""
    folder = project.folder
    (folder / "empty.txt").write_text("")
    (folder / "bad.txt").write_bytes("一\n".encode() + b"\xff\n")
    (folder / "bad.jsonl").write_text('{"text": "一"}\n{"body": "一"}\n', encoding="utf-8")
    (folder / "bad.txt.xz").write_bytes(lzma.compress("一\n".encode())[:-20])
    (folder / "no_mask.txt").write_text("[PAD]\n[UNK]\n[CLS]\n[SEP]\n一\n", encoding="utf-8")
    (folder / "hparams.json").write_text('{"learning_rte": 1e-4}')
    (folder / "mood.yaml").write_text("labels: [sad, glad]\n")
    for name in ("foreign", "finetuned"):
        shutil.copytree(folder / "models/base/discriminator", folder / name)
    with open(folder / "foreign/vocab.txt", "a", encoding="utf-8") as stream:
        stream.write("新\n")
    (folder / "finetuned/config.json").write_text('{"architectures": ["ElectraClassifier"]}')
    head = folder / "three/finetuning_models/chnsenticorp_model_1"
    head.mkdir(parents=True)
    (head / "config.json").write_text('{"id2label": {"0": "0", "1": "1", "2": "2"}}')
    shutil.copytree(folder / "pretrain_shards", folder / "cut_shards")
    tokens = max((folder / "cut_shards").rglob("*tokens*"))
    tokens.write_bytes(tokens.read_bytes()[:-10])
    (folder / "finetuning_data/mood").mkdir()
    (folder / "finetuning_data/mood/train.tsv").write_text("label\ttext_a\nangry\t一\n", encoding="utf-8")
    yield project
    for name in ("empty.txt", "bad.txt", "bad.jsonl", "bad.txt.xz", "no_mask.txt", "hparams.json", "mood.yaml"):
        (folder / name).unlink()
    for name in ("finetuning_data/mood", "foreign", "finetuned", "three", "cut_shards"):
        shutil.rmtree(folder / name)


def listing(folder):
    return {path: path.is_file() and path.stat().st_mtime_ns for path in folder.rglob("*")}


@pytest.mark.parametrize(
    ("command", "message"),
    [
        ([*BUILD, "--corpus-dir", "absent", "--vocab-file", "vocab.txt"], "absent: found no such file or folder, expected a .txt or .jsonl file"),
        ([*BUILD, "--corpus-dir", "empty.txt", "--vocab-file", "vocab.txt"], "empty.txt: found an empty file"),
        ([*BUILD, "--corpus-dir", "bad.txt", "--vocab-file", "vocab.txt"], "bad.txt: found invalid UTF-8 at byte 4, expected UTF-8 text; mend or"),
        ([*BUILD, "--corpus-dir", "bad.jsonl", "--vocab-file", "vocab.txt"], "bad.jsonl:2: found 'body', expected text under 'text'; give --text-field"),
        ([*BUILD, "--corpus-dir", "bad.txt.xz", "--vocab-file", "vocab.txt"], "bad.txt.xz: found damaged .xz data after"),
        ([*BUILD, "--corpus-dir", "corpus.txt", "--vocab-file", "no_mask.txt"], "no_mask.txt: found no [MASK] in 5 lines"),
        ([*BUILD, "--corpus-dir", "corpus.txt", "--vocab-file", "absent.txt"], "absent.txt: found no such file or directory"),
        ([*PRETRAIN, "--hparams", "hparams.json"], "hparams.json: learning_rte: found an unknown hyper-parameter, expected 'learning_rate'"),
        ([*PRETRAIN, "--model-name", "base", "--max-seq-length", "32"], "state.json: found discriminator.embedding_size 8, expected 128"),
        ([*PRETRAIN, "--max-seq-length", "64"], "max_seq_length: found 64, expected 32, as the shards"),
        ([*PRETRAIN, "--max-seq-length", "32", "--whole-word-mask", "true"], "whole_word_mask: found true, expected shards built with --word-starts"),
        ([*PRETRAIN, "--do-eval", "true"], "do_eval: found true as do_train, expected one of them true"),
        ([*FRESH, "--do-eval", "true", "--do-train", "false"], "checkpoints: found no checkpoint, expected one to evaluate; train first"),
        ([*FRESH, "--do-eval", "true", "--do-train", "false", "--eval-fraction", "0"], "eval_fraction: found 0 with do_eval, expected a share above 0, or eval_shards"),
        ([*FRESH, "--eval-shards", "none"], "none/manifest.json: found no such file, expected shards"),
        ([*PRETRAIN, "--mask-sampling", "often"], "mask_sampling: found 'often'"),
        ([*FRESH, "--init-from", "corpus.txt"], "corpus.txt: found no config.json, generator/ or discriminator/, expected pretrained"),
        ([*FRESH, "--init-from", "foreign", *SHAPE], "foreign/vocab.txt: found another vocabulary (46 entries), expected this run's (45 entries)"),
        ([*FRESH, "--init-from", "finetuned"], "finetuned/config.json: found architecture ElectraClassifier, expected ElectraGenerator or ElectraDiscriminator"),
        ([*FRESH, "--init-from", "models/base"], "generator/config.json: found embedding_size 8, expected 128, as this run has it"),
        ([*FRESH, "--init-from", "models/base", "--uniform-generator", "true"], "models/base/generator: found a generator, expected a network that this objective has"),
        ([*PRETRAIN, "--max-seq-length", "600"], "max_seq_length: found 600, expected at most max_position_embeddings 512"),
        ([*FRESH, "--vocab-file", "foreign/vocab.txt"], "manifest.json: found shards of another vocabulary"),
        ([*FRESH, "--pretrain-shards", "cut_shards"], "cut_shards/shard_00000.tokens.npy: found a damaged or missing shard"),
        ([*FRESH, "--train-batch-size", "8", "--gradient-accumulation-steps", "3"], "train_batch_size: found 8, expected a multiple of the 1 processes x 3 parts"),
        ([*FRESH, "--precision", "fp8"], "precision: found 'fp8', expected fp32 or tf32 or bf16 or bf16_o2 or fp16"),
        ([*FRESH, "--sharding-stage", "3"], "sharding_stage: found 3, expected 0 or 1"),
        ([*FRESH, "--init-step", "5"], "init_step: found 5, expected 0, or less than num_train_steps 1000000 and an init_from"),
        ([*FRESH, "--initialization", "clever"], "initialization: found 'clever', expected original or informed"),
        ([*FRESH, "--initialization", "informed", *SHAPE], "initialization: found informed with embedding_size 8, hidden_size 4 and 1 heads, expected embeddings and hidden states of at least 32"),
        ([*FRESH, "--initialization", "informed", "--init-from", "models/base"], "initialization: found informed together with init_from models/base, expected one of them"),
        ([*PRETRAIN, "--model-name", "base", "--initialization", "informed", "--max-seq-length", "32", *SHAPE], "updates were made with (initialization original -> informed, "),
        ([*FRESH, "--lr-schedule", "warmup_stable_decay"], "num_decay_steps: found 0 with lr_schedule warmup_stable_decay, expected at least 1"),
        ([*FRESH, "--num-decay-steps", "5"], "num_decay_steps: found 5 with lr_schedule linear"),
        ([*FRESH, "--lr-schedule", "sine"], "lr_schedule: found 'sine', expected 'cosine', perhaps"),
        ([*FRESH, "--generator-learning-rate", "1e-3", "--untied-generator", "false"], "generator_learning_rate: found 0.001 where there are no two networks of their own"),
        (["tools/begin_decay.py", "models/base"], "lr_schedule: found linear, expected warmup_stable_decay"),
        (["tools/begin_decay.py", "models"], "models/pretraining_config.json: found no such file"),
        (["tools/mix_corpus.py", ".", "new", "--mixture", "mood.yaml"], "mood.yaml: files: found"),
        ([*PRETRAIN, "--vocab-size", "21128"], "vocab_size: found 21128, expected 45, the lines of vocab.txt"),
        ([*PRETRAIN, "--vocab-file", "no_mask.txt"], "no_mask.txt: found no [MASK]"),
        ([*PRETRAIN, "--pretrain-shards", "none"], "none/manifest.json: found no such file, expected shards"),
        ([*FINETUNE, "--task-names", "mood.yaml"], "train.tsv:2: found label 'angry', expected sad or glad"),
        ([*FINETUNE, "--task-names", "mood"], "task_names: found 'mood', expected bqcorpus or cail2018 or cail2018_multi"),
        ([*FINETUNE, "--task", "lcqmc"], "finetuning_data/lcqmc: found no such folder, expected the files of lcqmc; --data-dir leads there"),
        ([*FINETUNE, "--suite", "none.yaml"], "none.yaml: found No such file or directory"),
        ([*FINETUNE, "--model-size", "base"], "hidden_size: found 768, expected 16 as in models/base/discriminator/config.json"),
        ([*FINETUNE, "--do-train", "false"], "models/new/finetuning_models/chnsenticorp_model_1/config.json: found no readable configuration"),
        ([*FINETUNE, "--do-train", "false", "--output-dir", "three"], "chnsenticorp_model_1/config.json: found a head of 3 labels (0, 1, 2), expected 2 (0, 1)"),
        ([*FINETUNE, "--hparams", "hparams.json"], "hparams.json: learning_rte: found an unknown hyper-parameter"),
        ([*FINETUNE, "--folds", "100"], "folds: found 100, expected at most "),
        ([*FINETUNE, "--ensemble", "true"], "command line: ensemble: found true with num_trials 1, expected 2 trials or folds at least"),
        ([*FINETUNE, "--search", "none.yaml"], "none.yaml: found No such file or directory"),
        ([*FINETUNE, "--search", '{"space": {"seed": [0, 1]}}'], "space.seed: found an unknown key, expected"),
        ([*FINETUNE, "--search", '{"space": {"doc_stride": [9, 8]}}', "--doc-stride", "7"], "--doc-stride: found 7, expected no value: doc_stride is searched"),
        ([*FINETUNE, "--init-checkpoint", "corpus"], "corpus: found no such file or folder"),
        (["tools/export_hub_module.py", "models/none", "out", "--name", "a-b"], "models/none: found no such file or folder"),
        (["tools/export_hub_module.py", "models/base", "out", "--name", "A.b"], "--name: found 'A.b', expected lower-case words"),
        (["tools/install_hub_module.py", "corpus.txt"], "corpus.txt: found no readable archive ("),
        (["tools/install_hub_module.py", "models/base"], "models/base: found no module in it (no module.py), expected a module's archive or folder"),
    ],
)  # fmt: skip
def test_mistake_ends_in_one_line(broken, command, message):
    before = listing(broken.folder)
    result = broken.run(*command, check=False)
    assert result.returncode == 2
    assert message in result.stderr
    lines = [line for line in result.stderr.splitlines() if line.strip() and "build shards" not in line]
    assert len(lines) == 1 and lines[0].startswith("error: ")
    assert result.stdout == ""
    assert listing(broken.folder) == before


def test_checkpoint_with_weights_of_another_shape_is_refused(broken):
    folder = broken.folder / "other"
    shutil.copytree(broken.folder / "models/base/discriminator", folder)
    settings = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**settings, "intermediate_size": 8}))
    result = broken.run(*FINETUNE, "--init-checkpoint", "other", check=False)
    shutil.rmtree(folder)
    assert result.returncode == 2
    assert "other/config.json: found intermediate_size 8, expected 64, as in model.safetensors" in result.stderr
    assert "Traceback" not in result.stderr
    assert not (broken.folder / "models/new").exists()


def test_unknown_command_lists_the_known_ones(project):
    import subprocess
    import sys

    result = subprocess.run([sys.executable, "-m", "electra_paddle", "train"], capture_output=True, text=True)
    assert result.returncode == 2
    assert "train: found an unknown command" in result.stderr and "run-pretrain" in result.stderr


@pytest.mark.skipif(not Path("/sys/kernel").is_dir(), reason="needs a file system in which nobody can write")
@pytest.mark.parametrize(
    "command",
    [
        [*BUILD, "--corpus-dir", "corpus.txt", "--vocab-file", "vocab.txt", "--output-dir", "/sys/out"],
        [*PRETRAIN, "--model-name", "base", "--model-dir", "/sys/out"],
        [*FINETUNE, "--output-dir", "/sys/out"],
        ["tools/export_hub_module.py", "models/base", "/sys/out", "--name", "a-b"],
        ["tools/convert_hf.py", "models/base", "/sys/out", "--to", "hf"],
        ["tools/convert_tf.py", "models/base", "/sys/out", "--to", "tf"],
    ],
    ids=lambda command: command[0],
)
def test_folder_that_cannot_be_written_is_one_line(broken, command):
    result = broken.run(*command, check=False)
    assert result.returncode == 2, result.stderr
    (line,) = [line for line in result.stderr.splitlines() if line.startswith("error")]
    assert "/sys/" in line and len(line) < 300 and "Traceback" not in result.stderr


def test_files_of_others_stay_wherever_something_is_written_beside_them(broken):
    """Folders called OUT.partial and OUT.old were emptied as if they were ours."""
    folder = broken.folder
    outs = {
        "built": [*BUILD, "--corpus-dir", "corpus.txt", "--vocab-file", "vocab.txt", "--output-dir", "built"],
        "module": ["tools/export_hub_module.py", "models/base", "module"],
    }
    outs["hf"] = ["tools/convert_hf.py", "models/base", "hf", "--to", "hf"]
    outs["tf"] = ["tools/convert_tf.py", "models/base", "tf", "--to", "tf"]
    for name, command in outs.items():
        for other in (".partial", ".old"):
            (folder / f"{name}{other}").mkdir()
            (folder / f"{name}{other}/thesis.txt").write_text("mine")
        more = ["--overwrite"] if name in ("built", "module") else []
        for options in ([], more) if more else ([],):
            result = broken.run(*command, *options, check=False)
            assert result.returncode == 0, result.stderr
    for name in outs:
        for other in (".partial", ".old"):
            assert (folder / f"{name}{other}/thesis.txt").read_text() == "mine"
            shutil.rmtree(folder / f"{name}{other}")
        shutil.rmtree(folder / name)

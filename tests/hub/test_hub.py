"""The module in processes of its own, as PaddleHub loads it, with a HUB_HOME of the test's."""

import ast
import json
import os
import subprocess
import sys
from itertools import chain
from pathlib import Path

import pytest

from electra_paddle.config.geometry import discriminator_geometry
from electra_paddle.errors import ConfigError
from electra_paddle.hub.export import export_module
from electra_paddle.text import Vocabulary

WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *(chr(0x4E00 + number) for number in range(45))]
TEXTS = [WORDS[5] * 3, "".join(WORDS[6:20]), WORDS[9] + "～" + WORDS[10], ""]


@pytest.fixture(scope="module")
def encoder(tmp_path_factory):
    """A small discriminator's pretrained directory."""
    from paddlenlp.transformers import ElectraConfig, ElectraDiscriminator

    from electra_paddle.models.initialization import initialize
    from electra_paddle.models.pretrained_directory import save_pretrained

    shape = discriminator_geometry("small", len(WORDS), 16, {"hidden_size": 32, "num_hidden_layers": 2})
    model = ElectraDiscriminator(ElectraConfig(**vars(shape)))
    initialize(model, seed=1, std=0.1)
    folder = tmp_path_factory.mktemp("encoder") / "discriminator"
    save_pretrained(model, folder, Vocabulary(WORDS), True, "# card\n")
    return folder


@pytest.fixture(scope="module")
def hub_home(encoder, tmp_path_factory):
    """A HUB_HOME into which the real `hub install` has put the module."""
    home = tmp_path_factory.mktemp("hub")
    folder = export_module(encoder, home / "folder" / "chinese_electra_tiny", "chinese-electra-tiny")
    environment = {**os.environ, "HUB_HOME": str(home / "home")}
    hub = Path(sys.executable).with_name("hub")
    result = subprocess.run([hub, "install", folder], env=environment, capture_output=True, text=True, check=True)
    assert "Successfully installed chinese-electra-tiny-1.0.0" in result.stdout + result.stderr
    return home / "home"


def in_process(hub_home, code):
    """Run code in a process of its own; returns what it assigns to `result`."""
    lines = ["import json, sys", "import paddlehub as hub", "import numpy as np", f"TEXTS = {TEXTS!r}", code]
    lines.append("print('RESULT' + json.dumps(result, default=float))")
    environment = {**os.environ, "HUB_HOME": str(hub_home)}
    command = [sys.executable, "-c", "\n".join(lines)]
    finished = subprocess.run(command, env=environment, capture_output=True, text=True, cwd=hub_home)
    assert finished.returncode == 0, finished.stderr
    return json.loads(finished.stdout.rpartition("RESULT")[2])


def test_embeddings_are_the_same_at_every_batch_size_and_without_padding(hub_home):
    one, four = in_process(
        hub_home,
        """
model = hub.Module(name="chinese-electra-tiny")
result = [model.predict([[text] for text in TEXTS], batch_size=size) for size in (1, 4)]
""",
    )
    lengths = [5, 16, 5, 2]  # [CLS] and [SEP] included; the reference takes ～ together with what follows
    for pooled, tokens in one:
        assert tokens[0] == pytest.approx(pooled)
    lengths[2] = len(one[2][1])
    assert [len(tokens) for _, tokens in one] == [len(tokens) for _, tokens in four] == lengths
    for (pooled, tokens), (other_pooled, other_tokens) in zip(one, four, strict=True):
        assert pooled == pytest.approx(other_pooled, abs=1e-5)
        assert list(chain(*tokens)) == pytest.approx(list(chain(*other_tokens)), abs=1e-5)


def test_module_computes_what_the_exported_encoder_computes(hub_home, encoder):
    result = in_process(
        hub_home,
        f"""
import paddle
from paddlenlp.transformers import ElectraModel
model, stock = hub.Module(name="chinese-electra-tiny"), ElectraModel.from_pretrained({str(encoder)!r})
stock.eval()
expected = stock(paddle.to_tensor([[2, 5, 5, 5, 3]]))[0].numpy()
result = float(np.abs(expected - np.array(model.get_embedding([[TEXTS[0]]])[0][1])).max())
""",
    )
    assert result < 1e-5


def test_trainer_learns_and_its_checkpoint_loads_again(hub_home):
    result = in_process(
        hub_home,
        """
import paddle, warnings
labels = {"0": "bad", "1": "good"}
model = hub.Module(name="chinese-electra-tiny", task="seq-cls", label_map=labels)
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    model.predict([[TEXTS[0]]])
untrained = any("untrained" in str(warning.message) for warning in caught)
rng = np.random.default_rng(0)
ids = rng.integers(5, 50, (64, 12)); ids[:, 0], ids[:, -1] = 2, 3
ids[:32, 1:-1], ids[32:, 1:-1] = 5 + ids[:32, 1:-1] % 20, 27 + ids[32:, 1:-1] % 20
rows = [(row, row * 0, np.int64(number >= 32)) for number, row in enumerate(ids)]
optimizer = paddle.optimizer.Adam(2e-3, parameters=model.parameters())
trainer = hub.Trainer(model, optimizer, checkpoint_dir="ckpt", use_vdl=False)
trainer.train(rows, epochs=6, batch_size=16, eval_dataset=rows, save_interval=6)
words = model.get_tokenizer().vocab.idx_to_token
texts = [["".join(words[i] for i in row[1:-1])] for row in ids]
trained, probabilities = model.predict(texts, batch_size=8, return_prob=True)
loaded = hub.Module(
    name="chinese-electra-tiny", task="seq-cls", label_map=labels,
    load_checkpoint="ckpt/epoch_6/model.pdparams"
)
again, other = loaded.predict(texts, batch_size=64, return_prob=True)
difference = np.abs(np.array(probabilities) - np.array(other)).max()
result = [untrained, trained, again, difference, trainer.best_metrics["acc"]]
""",
    )
    untrained, trained, again, difference, best = result
    assert untrained
    assert trained == again == ["bad"] * 32 + ["good"] * 32
    assert difference < 1e-5
    assert best == 1.0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ('task="seq-clss"', "task: found 'seq-clss', expected None or 'seq-cls'"),
        ('task="seq-cls", load_checkpoint="nowhere.pdparams"', "nowhere.pdparams: found no readable parameters"),
    ],
)
def test_wrong_argument_is_told_in_one_sentence(hub_home, arguments, message):
    result = in_process(
        hub_home,
        f"""
try:
    hub.Module(name="chinese-electra-tiny", {arguments})
except ValueError as error:
    result = str(error)
""",
    )
    assert message in result


def test_device_stays_as_it_was_and_a_missing_gpu_is_said(hub_home):
    result = in_process(
        hub_home,
        """
import paddle
model = hub.Module(name="chinese-electra-tiny")
before = paddle.device.get_device()
if paddle.device.is_compiled_with_cuda():
    message = "no GPU support"
else:
    try:
        model.predict([[TEXTS[0]]], use_gpu=True)
    except ValueError as error:
        message = str(error)
result = [message, before == paddle.device.get_device()]
""",
    )
    assert "no GPU support" in result[0] and result[1]


def test_tokenizer_has_the_reference_rules(hub_home):
    tokens, ids = in_process(
        hub_home,
        """
tokenizer = hub.Module(name="chinese-electra-tiny").get_tokenizer()
result = [tokenizer.tokenize("[MASK]" + TEXTS[0]), tokenizer(TEXTS[0], max_seq_len=4)["input_ids"]]
""",
    )
    assert tokens[-3:] == [WORDS[5]] * 3 and ids == [2, 5, 5, 3]


def test_folder_is_not_overwritten_and_its_decorator_has_literals_only(encoder, tmp_path):
    folder = export_module(encoder, tmp_path / "m", "chinese-electra-tiny", summary='with "quotes"')
    tree = ast.parse((folder / "module.py").read_text())
    (decorator,) = (node for node in ast.walk(tree) if isinstance(node, ast.Call) and node.func.id == "moduleinfo")
    assert {keyword.arg for keyword in decorator.keywords if isinstance(keyword.value, ast.Constant)} == {
        "name", "version", "summary", "author", "author_email", "type",
    }  # fmt: skip
    before = (folder / "module.py").read_bytes()
    with pytest.raises(ConfigError, match="--overwrite"):
        export_module(encoder, folder, "other-name")
    assert (folder / "module.py").read_bytes() == before
    export_module(encoder, folder, "other-name", overwrite=True)
    assert b"other-name" in (folder / "module.py").read_bytes()


def test_positions_and_case_are_those_that_the_caller_and_the_assets_say(hub_home, encoder, tmp_path):
    import shutil

    cased = tmp_path / "cased"
    shutil.copytree(encoder, cased)
    Vocabulary([*WORDS[:-2], "a", "A"]).save(cased / "vocab.txt")
    (cased / "tokenizer_config.json").write_text('{"do_lower_case": false}')
    shifted, ids, tokens = in_process(
        hub_home,
        f"""
import paddle
model = hub.Module(name="chinese-electra-tiny", task="seq-cls", pretrained_dir={str(cased)!r})
model.eval()
ids = paddle.to_tensor([[2, 7, 8, 3]])
rows = [model(ids, position_ids=paddle.to_tensor([row])).numpy().tolist() for row in ([0, 1, 2, 3], [4, 5, 6, 7])]
tokens = model.get_tokenizer().tokenize("aA")
result = [abs(rows[0][0][0] - rows[1][0][0]), model.text_tokenizer.encode("a A"), tokens]
""",
    )
    assert shifted > 1e-6
    assert ids == [len(WORDS) - 2, len(WORDS) - 1] and tokens == ["[UNK]"]

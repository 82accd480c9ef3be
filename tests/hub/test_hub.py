"""The module in processes of its own, as PaddleHub loads it; this package cannot be imported there."""

import json
import os
import re
import signal
import socket
import subprocess
import sys

import pytest
import requests
from browser import wait_for
from conftest import ROOT
from hub.conftest import NAME, WORDS

TEXTS = [WORDS[5] * 3, "".join(WORDS[6:20]), WORDS[9] + "～" + WORDS[10]]


def test_trainer_learns_and_its_checkpoint_loads_again(hub):
    result = hub.python(
        """
import paddle, warnings
labels = {"0": "bad", "1": "good"}
model = hub.Module(name="chinese-electra-tiny", version="1.0.0", task="seq-cls", label_map=labels)
rng = np.random.default_rng(0)
ids = rng.integers(5, 50, (64, 12)); ids[:, 0], ids[:, -1] = 2, 3
ids[:32, 1:-1], ids[32:, 1:-1] = 5 + ids[:32, 1:-1] % 20, 27 + ids[32:, 1:-1] % 20
rows = [(row, row * 0, np.int64(number >= 32)) for number, row in enumerate(ids)]
paddle.seed(0)
optimizer = paddle.optimizer.Adam(2e-3, parameters=model.parameters())
trainer = hub.Trainer(model, optimizer, checkpoint_dir="ckpt", use_vdl=False)
trainer.train(rows, epochs=20, batch_size=16, eval_dataset=rows, save_interval=20)
words = model.get_tokenizer().vocab.idx_to_token
texts = [["".join(words[i] for i in row[1:-1])] for row in ids]
trained, probabilities = model.predict(texts, batch_size=8, return_prob=True)
loaded = hub.Module(name="chinese-electra-tiny", load_checkpoint="ckpt/best_model")  # with its task and labels
again, other = loaded.predict(texts, batch_size=64, return_prob=True)
difference = np.abs(np.array(probabilities) - np.array(other)).max()
before = paddle.device.get_device()
messages = []
for act in (
    lambda: hub.Module(name="chinese-electra-tiny", task="seq-clss"),
    lambda: hub.Module(name="chinese-electra-tiny", load_checkpoint="nowhere.pdparams"),
    lambda: model.predict(texts, use_gpu=True),
):
    try:
        act()
    except ValueError as error:
        messages.append(str(error))
has_gpu_build = paddle.device.is_compiled_with_cuda()
result = [trained, again, difference, trainer.best_metrics["acc"], messages, has_gpu_build]
result += [paddle.device.get_device() == before, "electra_paddle" in sys.modules]
"""
    )
    trained, again, difference, best, messages, has_gpu_build, same_device, is_imported = result
    assert trained == again == ["bad"] * 32 + ["good"] * 32
    assert difference < 1e-5
    assert best == 1.0
    assert messages[0].startswith("task: found 'seq-clss', expected None or 'embedding' or 'seq-cls'")
    assert messages[1].startswith("nowhere.pdparams: found no readable parameters")
    assert has_gpu_build or "no GPU support" in messages[2]
    assert same_device and not is_imported


def test_earlier_versions_that_scripts_pin_are_understood():
    from paddlehub.module.module import moduleinfo

    from electra_paddle.hub.module import ElectraModule

    def version(number):
        told = {"author": "", "author_email": "", "summary": "", "type": "nlp", "name": "pinned", "version": number}
        return moduleinfo(**told)(type("Pinned", (ElectraModule,), {})).version

    found = version("2.0.2")
    assert [found.match(each) for each in ("2.0.0", "==2.0.1", "2.0.2", ">=2.0.0", None)] == [True] * 5
    assert not any(found.match(each) for each in ("1.0.0", "2.1.0", ">2.0.2", "<2.0.2"))
    assert not version("1.0.0").match("2.0.0")


def test_tagger_trains_with_the_data_sets_of_paddlehub(hub):
    (hub.home / "tags.tsv").write_text(
        "".join(
            "\002".join(pair) + "\t" + "B-X\002O\n" for pair in zip(WORDS[5:25], [*WORDS[26:45], "\u3000"], strict=True)
        )
    )
    predicted, after, names, f1 = hub.python(
        """
import paddle
from paddlehub.datasets.base_nlp_dataset import SeqLabelingDataset
labels = ["O", "B-X", "I-X"]
model = hub.Module(name="chinese-electra-tiny", task="token-cls", label_map=dict(enumerate(labels)))
data = SeqLabelingDataset(
    base_path=".", tokenizer=model.get_tokenizer(), max_seq_len=8, data_file="tags.tsv", label_list=labels
)
paddle.seed(0)
optimizer = paddle.optimizer.Adam(5e-3, parameters=model.parameters())
trainer = hub.Trainer(model, optimizer, checkpoint_dir="tags", use_vdl=False)
trainer.train(data, epochs=24, batch_size=4, eval_dataset=data, save_interval=24)
texts = [["\\002".join("".join(line.split("\\t")[0]).split("\\002"))] for line in open("tags.tsv", encoding="utf-8")]
result = [model.predict(texts), texts, sorted(model.state_dict())[:2], trainer.best_metrics["f1_score"]]
"""
    )
    assert predicted == [["B-X", "O"]] * 20
    assert after[0] == ["\002".join([WORDS[5], WORDS[26]])]  # the caller's data are as they were
    assert names == ["model.classifier.bias", "model.classifier.weight"]
    assert f1 == 1.0


@pytest.mark.slow
def test_classifier_and_matcher_train_with_the_data_sets_of_paddlehub(hub):
    """In the way of PaddleHub's own examples."""
    kinds = WORDS[5:25], WORDS[25:45]  # of characters, which the labels follow
    texts = [[half[number % 13 : number % 13 + 6] for number in range(24)] for half in kinds]
    bad, good = (["".join(text) for text in each] for each in texts)
    rows = [f"{label}\t{text}" for label, each in enumerate((bad, good)) for text in each]
    (hub.home / "reviews.tsv").write_text("\n".join(["label\ttext_a", *rows]) + "\n", encoding="utf-8")
    pairs = [f"{one}\t{other}\t1" for each in (bad, good) for one, other in zip(each, each[5:], strict=False)]
    pairs += [f"{one}\t{other}\t0" for one, other in zip(bad + good, good + bad, strict=True)]
    (hub.home / "pairs.tsv").write_text("\n".join(["text_a\ttext_b\tlabel", *pairs]) + "\n", encoding="utf-8")
    answers = hub.python(
        f"""
import paddle
from paddlehub.datasets.base_nlp_dataset import TextClassificationDataset, TextMatchingDataset
result = []
for task, kind, file in (
    ("sequence_classification", TextClassificationDataset, "reviews.tsv"),
    ("text-matching", TextMatchingDataset, "pairs.tsv"),
):
    paddle.seed(0)
    model = hub.Module(name={NAME!r}, version="1.0.0", task=task)
    data = kind(
        base_path=".", tokenizer=model.get_tokenizer(tokenize_chinese_chars=True), max_seq_len=16, mode="train",
        data_file=file, label_list=["0", "1"], is_file_with_header=True,
    )
    optimizer = paddle.optimizer.AdamW(learning_rate=3e-3, parameters=model.parameters())
    trainer = hub.Trainer(model, optimizer, checkpoint_dir=task, use_gpu=False)
    trainer.train(data, epochs=20, batch_size=16, eval_dataset=data, save_interval=10)
    checkpoint = task + "/best_model/model.pdparams"
    trained = hub.Module(
        name={NAME!r}, task=task, load_checkpoint=checkpoint, label_map={{0: "0", 1: "1"}}
    )
    rows = [line.rstrip("\\n").split("\\t") for line in open(file, encoding="utf-8")][1:]
    place = 2 if task == "text-matching" else 0  # of the label
    items = [[cell for number, cell in enumerate(row) if number != place] for row in rows]
    predicted = trained.predict(data=items, max_seq_len=50, batch_size=1, use_gpu=False)
    right = np.mean([answer == row[place] for answer, row in zip(predicted, rows)])
    result.append([right, trainer.best_metrics["acc"]])
"""
    )
    for right, best in answers:
        assert right == pytest.approx(best) and best > 0.95


@pytest.mark.slow
def test_all_commands_work_without_this_package(hub, tiny_run, hidden_package, tmp_path):
    from electra_paddle.hub.packaging.module_archive import export_module

    other = export_module(tiny_run, tmp_path / "chinese_electra_other.tar.gz", summary="of another kind")
    assert "Successfully installed" in hub.install(other)
    assert "chinese-electra-other" in hub.command("list")
    assert "of another kind" in hub.command("show", "chinese-electra-other")
    (hub.home / "texts.txt").write_text(f"{TEXTS[0]}\n{TEXTS[1]}\n", encoding="utf-8")
    suspicious = hub.command(
        *("run", "chinese-electra-other", "--task", "replaced-token-detection", "--input_file", "texts.txt")
    )
    assert [line for line in suspicious.splitlines() if line.startswith(f'[["{TEXTS[0][0]}", 0.')]
    run = ("run", "chinese-electra-other", "--task", "replaced-token-detection", "--input_file", "texts.txt")
    printed = hub.command(*run, "--output_file", "out.jsonl")
    assert printed.splitlines()[-1] == "out.jsonl: 2 answers"
    assert (hub.home / "out.jsonl").read_text(encoding="utf-8").splitlines() == suspicious.splitlines()[-2:]
    filled = hub.command(
        *("run", "chinese-electra-other", "--task", "fill-mask", "--top_k", "1"), "--input_text", "[MASK]" + TEXTS[1]
    )
    assert filled.count('"score"') == 1
    assert "error: --task" not in filled
    wrong = hub.command("run", "chinese-electra-other", "--input_file", "nowhere.txt", status=2)
    assert "error: nowhere.txt: found no such file or directory" in wrong
    hub.command("uninstall", "chinese-electra-other")
    assert "chinese-electra-other" not in hub.command("list")


def test_service_answers_at_the_port_of_the_command_line(hub, port, tmp_path):
    """Which PaddleHub hands on as text."""
    service = hub.start(tmp_path / "log.txt", "serving", "start", "-m", NAME, "-p", port)
    try:
        address = f"http://127.0.0.1:{port}/predict/{NAME}"
        wait_for(lambda: requests.post(address, json={"data": [[TEXTS[0]]]}, timeout=60).ok, "the service")
        answer = requests.post(address, json={"data": [[TEXTS[0]]]}, timeout=60).json()
        assert answer["status"] == "000" and len(answer["results"]) == 1
    finally:
        service.terminate()
        service.wait(timeout=60)
    refused = hub.command("serving", "start", "-m", NAME, "-p", 70000, status=2)
    assert refused.splitlines()[-1] == "error: --port: found 70000, expected a number from 1 to 65535"


@pytest.mark.slow
def test_published_module_runs_with_the_weights_of_an_option_and_says_what_it_lacks(hub, tiny_run, port, tmp_path):
    from electra_paddle.hub.packaging.module_archive import export_module

    archive = export_module(ROOT / "hub_modules/chinese_electra_small", tmp_path / "chinese_electra_small.tar.gz")
    assert "Successfully installed" in hub.install(archive)
    run = ("run", "chinese-electra-small", "--input_text", TEXTS[0])
    printed = hub.command(*run, "--task", "similarity", "--pretrained", tiny_run, status=2)
    assert "error: --input_text: found 1 text, expected 2: text and second text" in printed
    answer = hub.command(*run, "--task", "replaced-token-detection", "--pretrained", tiny_run).splitlines()[-1]
    assert [character for character, _ in json.loads(answer)] == list(TEXTS[0])
    serving = ("serving", "start", "-m", "chinese-electra-small", "-p", port)
    for without in (hub.command(*run, status=2), hub.command(*serving, status=2)):
        assert without.splitlines()[-1].startswith("error: chinese-electra-small: found no weights (HF_HUB_OFFLINE set")
        assert "or give pretrained=DIR" in without and "Traceback" not in without
    assert "--pretrained DIR" in hub.command("run", "chinese-electra-small", "--help")


@pytest.mark.slow
def test_every_command_and_script_of_a_module_s_readme_runs(hub, tiny_run, tmp_path):
    """In their order, in a folder with nothing but the archive and somebody's CSV."""
    from electra_paddle.hub.packaging.module_archive import export_module

    folder = tmp_path / "work"
    folder.mkdir()
    archive = export_module(tiny_run, folder / "chinese_electra_read.tar.gz")
    hub.install(archive)
    readme = (hub.home / "modules/chinese_electra_read/README.md").read_text(encoding="utf-8")
    half = [WORDS[5:25], WORDS[25:45]]
    rows = [f"{'好坏'[number % 2]},{''.join(half[number % 2][number % 13 :][:6])}" for number in range(80)]
    (folder / "reviews.csv").write_text("\n".join(["label,text", *rows]) + "\n", encoding="utf-8-sig")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = str(probe.getsockname()[1])
    environment = hub.environment | {"PATH": f"{hub.program.parent}:{os.environ['PATH']}"}
    service, said = None, []
    for language, block in re.findall(r"```(bash|python)\n(.*?)```", readme, re.DOTALL):
        block = block.replace("8866", port)
        if "hub install" in block:  # done above, for Paddle 2.6 in another way
            assert block.split() == ["hub", "install", archive.name]
            continue
        command = ["bash", "-ec", block] if language == "bash" else [sys.executable, "-c", block]
        if "hub serving start" in block:
            service = subprocess.Popen(command, cwd=folder, env=environment, start_new_session=True)
            wait_for(lambda: requests.get(f"http://127.0.0.1:{port}", timeout=10).ok, "the service")
            continue
        done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
        assert done.returncode == 0, block + done.stderr
        said.append(done.stdout)
    os.killpg(service.pid, signal.SIGTERM)
    service.wait(timeout=60)
    first, trained, ran, answered = said
    assert "'embedding': [" in first and "'label': '" in trained and len(ran.splitlines()) > 0
    assert answered.startswith("000 ") and "'embedding': [" in answered
    assert len((folder / "answers.jsonl").read_text(encoding="utf-8").splitlines()) == 2

import json
import random
import subprocess
import sys

import pytest
from conftest import ROOT, assert_close

from electra_paddle import from_finetuned
from electra_paddle.tensors import read_tensors

CHARACTERS = [chr(0x4E00 + number) for number in range(40)]
OPTIONS = [
    "--data-dir", ".", "--model-name", "base", "--task-names", "cmrc2018", "--max-seq-length", "32",
    "--max-query-length", "4", "--doc-stride", "10", "--learning-rate", "1e-2", "--train-batch-size", "8",
]  # fmt: skip


def write_questions(path, count, rng, is_labelled=True):
    """Texts of the first 30 characters with one of the last ten in each, which is asked for."""
    paragraphs = []
    for number in range(count):
        start, length = rng.randint(0, 30), rng.randint(1, 2)
        answer = "".join(rng.choices(CHARACTERS[30:], k=length))
        text = "".join(rng.choices(CHARACTERS[:30], k=40))
        entry = {"id": f"Q{number}", "question": "".join(rng.choices(CHARACTERS[:30], k=3))}
        if is_labelled:
            entry["answers"] = [{"text": answer, "answer_start": start}]
        paragraphs.append({"context": text[:start] + answer + text[start:], "qas": [entry]})
    content = {"version": "v1.0", "data": [{"paragraphs": paragraphs}]}
    path.write_text(json.dumps(content, ensure_ascii=False), encoding="utf-8")


@pytest.fixture(scope="module")
def reader(project):
    """The project with a reader trained on a task of the name cmrc2018, and what was printed then."""
    rng = random.Random(0)
    task = project.folder / "finetuning_data/cmrc2018"
    task.mkdir()
    for split, count in (("train", 100), ("dev", 20), ("eval", 10)):
        write_questions(task / f"{split}.json", count, rng, is_labelled=split != "eval")
    arguments = ["--output-dir", "models/reader", "--num-train-epochs", "10", "--write-probabilities", "true"]
    return project, project.run("tasks/run_finetuning.py", *OPTIONS, *arguments)


def test_reader_learns_predicts_and_is_scored_as_the_script_scores(reader):
    project, result = reader
    folder = project.folder / "models/reader/results"
    scores = json.loads((folder / "cmrc2018_results.json").read_text())["trials"][0]["dev"]
    assert scores["em"] > 50 and scores["em_ceiling"] == 100
    predictions = folder / "cmrc2018_qa/cmrc2018_dev_preds.json"
    printed = project.run("tasks/evaluate_cmrc.py", "finetuning_data/cmrc2018/dev.json", predictions).stdout
    line = json.loads(printed)
    assert list(line) == ["AVERAGE", "F1", "EM", "TOTAL", "SKIP", "FILE"]
    assert line["EM"] == f"{scores['em']:.3f}" and line["F1"] == f"{scores['f1']:.3f}" and line["SKIP"] == 0
    assert f"em: {scores['em']:.2f}" in result.stdout


def test_questions_without_labels_are_answered(reader):
    project, _ = reader
    folder = project.folder / "models/reader/results/cmrc2018_qa"
    texts = json.loads((folder / "cmrc2018_eval_preds.json").read_text())
    n_best = json.loads((folder / "cmrc2018_eval_nbest.json").read_text())
    assert list(texts) == [f"Q{number}" for number in range(10)] == list(n_best)
    for name, answers in n_best.items():
        assert answers[0]["text"] == texts[name]
        assert sum(answer["probability"] for answer in answers) == pytest.approx(1)


def test_wrong_training_data_is_told_with_its_question(reader, tmp_path):
    project, _ = reader
    data = json.loads((project.folder / "finetuning_data/cmrc2018/train.json").read_text(encoding="utf-8"))
    data["data"][0]["paragraphs"][3]["qas"][0]["answers"][0]["text"] = "没有"
    data["data"][0]["paragraphs"][5]["qas"][0]["id"] = "Q4"
    task = tmp_path / "finetuning_data/cmrc2018"
    task.mkdir(parents=True)
    (task / "train.json").write_text(json.dumps(data), encoding="utf-8")
    arguments = [*OPTIONS[2:], "--data-dir", tmp_path, "--init-checkpoint", "models/base"]
    arguments += ["--output-dir", tmp_path / "out", "--num-train-epochs", "0.1"]
    stopped = project.run("tasks/run_finetuning.py", *arguments, check=False)
    assert stopped.returncode == 2 and not (tmp_path / "out").exists()
    assert "train.json: question Q4: found this id again" in stopped.stderr
    skipped = project.run("tasks/run_finetuning.py", *arguments, "--on-error", "skip")
    assert "2 rows skipped" in skipped.stderr
    assert "question Q3: found answer '没有', expected an answer that stands in the text" in skipped.stderr


def test_reference_mode_runs(reader):
    project, _ = reader
    arguments = ["--output-dir", "models/as_original", "--compat", "reference", "--num-train-epochs", "0.1"]
    result = project.run("tasks/run_finetuning.py", *OPTIONS, *arguments, "--num-trials", "2")
    names = {path.name for path in (project.folder / "models/as_original/results/cmrc2018_qa").iterdir()}
    assert {"cmrc2018_dev_preds.json", "cmrc2018_dev_1_preds.json", "cmrc2018_dev_2_preds.json"} <= names
    assert "em_ceiling" in result.stdout


@pytest.mark.parametrize("name", ["reader", "as_original"])
def test_fine_tuned_reader_is_used_in_one_call(name, reader):
    project, _ = reader
    context = "".join(CHARACTERS[:20]) + CHARACTERS[35] + "".join(CHARACTERS[:20])
    (answer,) = from_finetuned(project.folder / f"models/{name}/finetuning_models/cmrc2018_model_1").predict(
        [(context, "".join(CHARACTERS[:3]))]
    )
    assert answer["text"] == context[answer["start"] : answer["end"]]
    if name == "reader":
        assert answer["text"] == CHARACTERS[35]


def test_module_answers_as_the_run_predicted(reader):
    from electra_paddle.hub.module import ElectraModule

    class Reader(ElectraModule):
        name, summary, directory = "reader", "reader", "nowhere"

    project, _ = reader
    module = Reader(pretrained=project.folder / "models/reader/finetuning_models/cmrc2018_model_1")
    for split in ("dev", "eval"):
        data = json.loads((project.folder / f"finetuning_data/cmrc2018/{split}.json").read_text(encoding="utf-8"))
        paragraphs = data["data"][0]["paragraphs"]
        items = [[paragraph["context"], paragraph["qas"][0]["question"]] for paragraph in paragraphs]
        predictions = project.folder / f"models/reader/results/cmrc2018_qa/cmrc2018_{split}_preds.json"
        expected = json.loads(predictions.read_text(encoding="utf-8"))
        answers = [answer["answer"] for answer in module.predict(items, max_seq_len=32)]
        assert answers == list(expected.values())


@pytest.mark.slow
def test_two_processes_give_the_single_process_s_weights_and_scores(reader):
    project, _ = reader
    common = [
        "--num-train-epochs",
        "0.5",
        "--model-hparam-overrides",
        '{"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}',
    ]
    project.run("tasks/run_finetuning.py", *OPTIONS, *common, "--output-dir", "models/one")
    launcher = ["-m", "paddle.distributed.launch", "--nproc_per_node", "2", "--log_dir", "log_reader"]
    command = [sys.executable, *launcher, ROOT / "tasks/run_finetuning.py", *OPTIONS, *common]
    subprocess.run(
        [*map(str, command), "--output-dir", "models/two"], cwd=project.folder, check=True, capture_output=True
    )
    one, two = (
        read_tensors(project.folder / f"models/{name}/finetuning_models/cmrc2018_model_1/model.safetensors")
        for name in ("one", "two")
    )
    for name, array in one.items():
        if name not in ("reading.start.bias", "reading.end.bias"):  # softmax ignores them: their gradient is rounding
            assert_close(two[name], array)
    texts = [
        (project.folder / f"models/{name}/results/cmrc2018_qa/cmrc2018_eval_preds.json").read_text()
        for name in ("one", "two")
    ]
    assert texts[0] == texts[1]

"""What every task that configs/task describes must do, from its files to a model in use."""

import argparse
import json
import random

import pytest
from finetuning.conftest import CHARACTERS

from electra_paddle import from_finetuned
from electra_paddle.config import FinetuningConfig, add_entries, resolve
from electra_paddle.errors import CheckpointError, DataError
from electra_paddle.finetuning.description import built_in_tasks, load_description
from electra_paddle.finetuning.job import prepare

COUNTS = {"train": 20, "dev": 7, "test": 5}
TASKS = built_in_tasks()


def text(rng, least=3, most=12):
    return "".join(rng.choices(CHARACTERS, k=rng.randint(least, most)))


def write_tsv(layout, rng, labels, count):
    """Lines in which the columns that the description does not name hold nothing."""
    names = [name for name, column in layout.columns.items() if isinstance(column, str)]
    columns = dict(layout.columns)
    if names:  # they may stand anywhere
        columns = {name: 2 * number for number, name in enumerate(names)}
    width = max(columns.values()) + 1
    head = [""] * width
    for name, column in columns.items():
        head[column] = layout.columns[name] if names else name
    lines = ["\t".join(cell or f"unused_{number}" for number, cell in enumerate(head))]
    for number in range(count):
        cells = [""] * width
        for name, column in columns.items():
            cells[column] = {"label": labels[number % len(labels)], "language": layout.language}.get(name) or text(rng)
        lines.append("\t".join(cells))
    return "\n".join(lines) + "\n"


def write_json(layout, rng, labels, count):
    lines = []
    for number in range(count):
        row = {}
        for name, key in layout.columns.items():
            *outer, last = key.split(".")
            inner = row
            for part in outer:
                inner = inner.setdefault(part, {})
            inner[last] = [labels[number % len(labels)]] if name == "label" else text(rng)
        lines.append(json.dumps(row, ensure_ascii=False))
    return "\n".join(lines) + "\n"


def write_bio(layout, rng, labels, count):
    lines = []
    for _ in range(count):
        lines += [f"{character} {rng.choice(labels)}" for character in text(rng, 3, 40)] + [""]
    return "\n".join(lines)


def write_squad(layout, rng, labels, count):
    paragraphs = []
    for number in range(count):
        context = text(rng, 20, 60)
        answer = {"text": context[5:8], "answer_start": 5}
        question = {"id": f"Q{number}", "question": text(rng), "answers": [answer]}
        paragraphs.append({"id": f"P{number}", "context": context, "qas": [question]})
    return json.dumps({"version": "v1.0", "data": [{"paragraphs": paragraphs}]}, ensure_ascii=False)


WRITERS = {"tsv": write_tsv, "json": write_json, "jsonl": write_json, "bio": write_bio, "squad": write_squad}


def make_data(folder, description):
    """Files of all splits; the labels are the description's, and some of its aliases."""
    rng = random.Random(0)
    labels = [*(description.labels or ("一", "二")), *description.aliases]
    for split, count in COUNTS.items():
        layout = description.of_split(split)
        path = folder / description.names(split)[0]
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(WRITERS[layout.format](layout, rng, labels, count), encoding="utf-8")


@pytest.mark.parametrize("task", TASKS)
def test_task_is_read_trained_predicted_scored_written_and_used(task, model_dir, tmp_path):
    from electra_paddle.finetuning.run import run_task

    description = load_description(task)
    make_data(tmp_path / "finetuning_data" / (description.folder or task), description)
    config = FinetuningConfig(
        data_dir=tmp_path,
        init_checkpoint=model_dir,
        output_dir=tmp_path / "out",
        max_seq_length=32,
        doc_stride=8,
        train_batch_size=10,
        num_train_epochs=1.0,
        log_steps=1,
        write_test_outputs=True,
    )
    job = prepare(config, description)
    assert {split: len(examples) for split, examples in job.examples.items()} == COUNTS
    results = run_task(job)
    assert set(results.summary) == {"dev", "test"}
    assert {row["seed"] for row in results.rows} == {0}
    for split in ("dev", "test"):
        assert set(job.kind.metrics) <= set(results.rows[0][split])
        paths = (tmp_path / "out").rglob(f"{task}_{job.files[split].stem}_*pred*")
        (path,) = [path for path in paths if path.is_file() and path.suffix != ".jsonl"]
        assert path.read_text(encoding="utf-8").strip()

    finetuned = from_finetuned(job.model_dir(1))
    given = [CHARACTERS[0] * 3, CHARACTERS[1] * 90]
    if description.kind == "reading_comprehension":
        given = [(CHARACTERS[1] * 90, CHARACTERS[0] * 3)]
    if "text_b" in description.columns:
        given = [(one, one) for one in given]
    answers = finetuned.predict(given)
    assert len(answers) == len(given)
    if description.kind == "classification":
        for answer, (label, probabilities) in zip(
            answers, finetuned.predict(given, with_probabilities=True), strict=True
        ):
            assert answer == label == max(probabilities, key=probabilities.get)
            assert tuple(probabilities) == finetuned.labels
            assert sum(probabilities.values()) == pytest.approx(1)
    if description.kind == "multi_label":
        for answer, (labels, probabilities) in zip(
            answers, finetuned.predict(given, with_probabilities=True), strict=True
        ):
            assert answer == labels == [name for name, p in probabilities.items() if p >= finetuned.kind.threshold]
            assert tuple(probabilities) == finetuned.labels
    if description.kind == "tagging":
        assert [len(tags) for tags in answers] == [3, 90]
        assert [[tag for tag, _ in tags] for tags in finetuned.predict(given, with_probabilities=True)] == answers
    twice = from_finetuned([job.model_dir(1)] * 2)  # the mean of one and the same
    for answer, of_both in zip(answers, twice.predict(given), strict=True):
        if isinstance(answer, dict):
            answer["score"] = pytest.approx(answer["score"], abs=1e-6)
        assert of_both == answer
    assert finetuned.predict([]) == []
    for wrong in (CHARACTERS[0], [7], [""]):
        with pytest.raises(DataError, match="texts"):
            finetuned.predict(wrong)


@pytest.mark.parametrize("task", built_in_tasks())
@pytest.mark.parametrize("size", ["nano", "small", "base", "large"])
def test_recommended_values_are_hyper_parameters(task, size):
    parser = argparse.ArgumentParser()
    add_entries(parser, FinetuningConfig)
    recommended = load_description(task).recommended
    config = resolve(FinetuningConfig, parser.parse_args([]), {**recommended["all"], **recommended[size]})
    assert config.learning_rate == float(recommended[size]["learning_rate"])


def test_folder_that_is_no_fine_tuned_model_is_refused(model_dir):
    with pytest.raises(CheckpointError, match="task.json: found no readable description"):
        from_finetuned(model_dir)

import json

import pytest

from electra_paddle.errors import ConfigError, DataError
from electra_paddle.finetuning.description import TaskDescription, load_description
from electra_paddle.finetuning.reading import (
    ClassificationExample,
    collate,
    find_split,
    read_rows,
    training_batches,
)
from electra_paddle.finetuning.report import markdown_table, summarize, write_results

CHNSENTICORP = TaskDescription("chnsenticorp")
PAIRS = TaskDescription("pairs", columns={"text_a": 0, "text_b": 1, "label": 2}, labels=("no", "yes"))


def test_built_in_description_is_found_and_a_users_own_file_too(tmp_path):
    assert load_description("chnsenticorp") == CHNSENTICORP
    (tmp_path / "mood.yaml").write_text("labels: [sad, glad]\nheader: false\n")
    mine = load_description(str(tmp_path / "mood.yaml"))
    assert (mine.name, mine.labels, mine.header) == ("mood", ("sad", "glad"), False)


def test_unknown_task_lists_the_known_ones():
    with pytest.raises(ConfigError, match="'chnsenticrop', expected chnsenticorp"):
        load_description("chnsenticrop")


def test_rows_are_read_without_a_meaning_of_quotes(tmp_path):
    (tmp_path / "t.tsv").write_text('label\ttext_a\n1\t他说"好\n\n0\t坏\n', encoding="utf-8")
    assert read_rows(tmp_path / "t.tsv", CHNSENTICORP) == [('他说"好', None, 1), ("坏", None, 0)]
    (tmp_path / "p.tsv").write_text("a\tb\tlabel\n甲\t乙\tyes\n", encoding="utf-8")
    assert read_rows(tmp_path / "p.tsv", PAIRS) == [("甲", "乙", 1)]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("label\ttext_a\n1\t好\n2\t坏\n", r"t.tsv:3: found label '2', expected 0 or 1"),
        ("label\ttext_a\n1\n", r"t.tsv:2: found 1 columns, expected 2"),
        ("label\ttext_a\n", r"t.tsv: found no examples"),
    ],
)
def test_wrong_row_names_its_line(tmp_path, content, message):
    (tmp_path / "t.tsv").write_text(content, encoding="utf-8")
    with pytest.raises(DataError, match=message):
        read_rows(tmp_path / "t.tsv", CHNSENTICORP)


def test_third_split_may_be_called_eval_as_in_the_original(tmp_path):
    assert find_split(tmp_path, "test") is None
    (tmp_path / "eval.tsv").touch()
    assert find_split(tmp_path, "test").name == "eval.tsv"


def test_every_epoch_trains_on_every_example_once_in_a_new_order():
    examples = [ClassificationExample([2, 5 + n, 3], 3, n % 2) for n in range(10)]
    batches = list(training_batches(examples, 4, 6, seed=1))
    assert [len(batch.labels) for batch in batches] == [4, 4, 2] * 2
    epochs = [[int(row[1]) for batch in batches[i : i + 3] for row in batch.input_ids] for i in (0, 3)]
    assert sorted(epochs[0]) == sorted(epochs[1]) == list(range(5, 15))
    assert epochs[0] != epochs[1]


def test_batch_is_padded_to_its_longest_example():
    batch = collate([ClassificationExample([2, 5, 3], 3, 1), ClassificationExample([2, 5, 6, 7, 3], 5, 0)])
    assert batch.input_ids.shape == (2, 5) and batch.labels.tolist() == [1, 0]
    assert batch.attention_mask.tolist() == [[1, 1, 1, 0, 0], [1] * 5]


def test_summary_is_maximum_mean_and_deviation(tmp_path):
    trials = [{"dev": {"accuracy": 80.0, "loss": 0.5}}, {"dev": {"accuracy": 84.0, "loss": 0.4}}]
    summary = summarize(trials, "accuracy")
    assert summary == {"dev": {"max": 84.0, "mean": 82.0, "std": pytest.approx(8**0.5)}}
    assert markdown_table("m", summary).splitlines()[-1] == "| m | 84.00 (82.00) |"
    write_results(tmp_path / "results", "t", "accuracy", trials, [0, 1])
    assert "t dev trial 2: accuracy: 84.00 - loss: 0.40" in (tmp_path / "results/t_results.txt").read_text()
    saved = json.loads((tmp_path / "results/t_results.json").read_text())
    assert saved["summary"]["dev"]["mean"] == 82 and saved["trials"][1]["seed"] == 1

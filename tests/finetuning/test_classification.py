import pytest

from electra_paddle.config import FinetuningConfig
from electra_paddle.errors import ConfigError, DataError
from electra_paddle.finetuning.description import TaskDescription, load_description
from electra_paddle.finetuning.kinds.base import make_kind
from electra_paddle.finetuning.problems import Problems

REVIEWS = TaskDescription("reviews", labels=("0", "1"))
PAIRS = TaskDescription("pairs", columns={"text_a": 0, "text_b": 1, "label": 2}, labels=("no", "yes"))


def read(path, content, description=REVIEWS, split="train", on_error="stop"):
    """(examples, Problems) of a file with this content."""
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    problems = Problems(on_error)
    return make_kind(description, FinetuningConfig()).read(path, split, problems), problems


def rows(examples):
    return [(example.text_a, example.text_b, example.label) for example in examples]


def test_a_users_own_description_is_found_by_its_path(tmp_path):
    (tmp_path / "mood.yaml").write_text("labels: [sad, glad]\nheader: false\n")
    mine = load_description(str(tmp_path / "mood.yaml"))
    assert (mine.name, mine.labels, mine.header) == ("mood", ("sad", "glad"), False)


def test_unknown_task_lists_the_known_ones():
    with pytest.raises(ConfigError, match="'chnsenticrop', expected .*chnsenticorp"):
        load_description("chnsenticrop")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("kind: clasification", "kind: found 'clasification', expected classification or tagging"),
        ("labls: [a]", "labls: found an unknown key, expected 'labels'"),
        ("columns: {lable: 0}", "columns.lable: found an unknown key, expected 'label'"),
        ("splits: {dev: {hedder: true}}", "splits.dev.hedder: found an unknown key, expected 'header'"),
        ("labels: [a, a]", "labels: found a label twice"),
        ("{labels: [a, b], aliases: {c: d}}", "aliases.c: found 'd', expected a or b"),
    ],
)
def test_mistake_in_a_description_names_the_entry(tmp_path, text, message):
    (tmp_path / "t.yaml").write_text(text)
    with pytest.raises(ConfigError, match=message):
        load_description(str(tmp_path / "t.yaml"))


def test_metric_of_another_kind_is_refused():
    with pytest.raises(ConfigError, match="metric: found 'em', expected accuracy"):
        make_kind(TaskDescription("t", labels=("a", "b"), metric="em"), FinetuningConfig())


def test_rows_are_read_without_a_meaning_of_quotes(tmp_path):
    examples, _ = read(tmp_path / "t.tsv", 'label\ttext_a\n1\t他说"好\n\n0\t坏\u2028了\n')
    assert rows(examples) == [('他说"好', None, 1), ("坏\u2028了", None, 0)]
    examples, _ = read(tmp_path / "p.tsv", "a\tb\tlabel\n甲\t乙\tyes\r\n", PAIRS)
    assert rows(examples) == [("甲", "乙", 1)]


@pytest.mark.parametrize("header", ["", "label\ttext_a\n", "\ufefflabel\ttext_a\n"])
def test_header_is_told_from_a_first_row(tmp_path, header):
    assert rows(read(tmp_path / "t.tsv", f"{header}1\t好\n")[0]) == [("好", None, 1)]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("label\ttext_a\n1\t好\n2\t坏\n", r"t.tsv:3: found label '2', expected 0 or 1"),
        ("label\ttext_a\n1\n", r"t.tsv:2: found 1 columns, expected 2"),
        ("1\t好\n0\t坏\t了\n", r"t.tsv:2: found 3 columns, expected 2, tab-separated"),
        ("label\ttext_a\n1\t \n", r"t.tsv:2: found an empty text"),
        ("1\t好\n1\t".encode() + b"\xc4\xe3\n", r"t.tsv:2: found invalid UTF-8 at byte 2 of the line"),
    ],
)
def test_wrong_row_names_its_line_or_is_skipped_and_listed(tmp_path, content, message, capsys):
    with pytest.raises(DataError, match=message):
        read(tmp_path / "t.tsv", content)
    _, problems = read(tmp_path / "t.tsv", content, on_error="skip")
    (error,) = problems.errors
    problems.report("t.tsv")
    assert "t.tsv: 1 rows skipped:" in capsys.readouterr().err


def test_repeated_id_names_both_lines(tmp_path):
    description = TaskDescription("t", columns={"id": 0, "label": 1, "text_a": 2}, labels=("0", "1"), header=False)
    with pytest.raises(DataError, match=r"t.tsv:3: found id 'x', as in .*t.tsv:1, expected each id once"):
        read(tmp_path / "t.tsv", "x\t1\t好\ny\t1\t好\nx\t0\t坏\n", description)


@pytest.mark.parametrize("content", ["好\n坏\n", "text_a\n好\n坏\n"])
def test_test_split_may_lack_labels(tmp_path, content):
    examples, _ = read(tmp_path / "t.tsv", content, split="test")
    assert rows(examples) == [("好", None, -1), ("坏", None, -1)]
    assert not make_kind(REVIEWS, FinetuningConfig()).is_labelled(examples)


def test_row_of_another_width_is_no_unlabelled_one(tmp_path):
    with pytest.raises(DataError, match=r"t.tsv:2: found 2 columns, expected 1"):
        read(tmp_path / "t.tsv", "好\n1\t坏\n", split="test")


def test_other_languages_are_left_out_and_counted(tmp_path):
    description = TaskDescription(
        "t", columns={"language": "lang", "label": "gold", "text_a": "text"}, labels=("a", "b"), language="zh"
    )
    examples, problems = read(tmp_path / "t.tsv", "lang\tgold\ttext\nzh\ta\t好\nde\tb\tgut\n", description, "dev")
    assert rows(examples) == [("好", None, 0)]
    assert sum(problems.left_out.values()) == 1


def test_third_split_may_be_called_eval_as_in_the_original(tmp_path):
    assert REVIEWS.find_file(tmp_path, "test") is None
    (tmp_path / "eval.tsv").touch()
    assert REVIEWS.find_file(tmp_path, "test").name == "eval.tsv"


def test_labels_can_be_read_from_the_training_file(tmp_path):
    description = TaskDescription("t", header=False, aliases={"ok": "good"})
    (tmp_path / "t.tsv").write_text("good\t好\nbad\t坏\nok\t好\nbad\t坏\n", encoding="utf-8")
    kind = make_kind(description, FinetuningConfig())
    assert kind.find_labels(tmp_path / "t.tsv", Problems()) == ("bad", "good")


@pytest.mark.parametrize(
    "content",
    ['{"fact": "甲", "meta": {"accusation": ["盗窃"]}}\n', '[{"fact": "甲", "meta": {"accusation": "盗窃"}}]'],
)
def test_json_may_be_an_array_or_lines(tmp_path, content):
    description = TaskDescription(
        "t", format="json", columns={"text_a": "fact", "label": "meta.accusation"}, labels=("盗窃", "诈骗")
    )
    assert rows(read(tmp_path / "t.json", content, description)[0]) == [("甲", None, 0)]
    with pytest.raises(DataError, match=r"t.json:1: found 2 labels, expected one"):
        read(tmp_path / "t.json", '{"fact": "甲", "meta": {"accusation": ["盗窃", "诈骗"]}}', description)


def test_numbers_as_labels_are_text_and_words_that_yaml_takes_for_truth_are_explained(tmp_path):
    path = tmp_path / "task.yaml"
    path.write_text("labels: [0, 1]\naliases: {2: 1}\n")
    assert load_description(str(path)).labels == ("0", "1")
    path.write_text("labels: [yes, no]\n")
    with pytest.raises(ConfigError, match="labels: found .True, False.*; quote yes, no, on and off: YAML reads"):
        load_description(str(path))
    for text in ("labels: yes", "positive_label: on", "name: no", "aliases: {no: '0'}"):
        path.write_text(text)
        with pytest.raises(ConfigError, match="; quote yes, no, on and off"):
            load_description(str(path))
    for text in ("labels: [a, null]", "labels: [2020-01-01, b]"):
        path.write_text(text)
        with pytest.raises(ConfigError, match="; quote words that YAML reads as dates or as nothing"):
            load_description(str(path))
    path.write_text("lables: [a, b]\n")
    with pytest.raises(ConfigError, match="'labels', perhaps"):
        load_description(str(path))
    path.write_text("zzz: 1\n")
    with pytest.raises(ConfigError, match="expected name or kind or format or encoding"):
        load_description(str(path))


def test_many_bad_rows_are_shown_in_part_and_counted(capsys):
    problems = Problems("skip")
    for number in range(37):
        problems.add(f"t.tsv:{number}", "x", "y")
    problems.report("t.tsv")
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 12 and lines[0] == "t.tsv: 37 rows skipped:" and lines[-1] == "  and 27 more"


def test_one_label_is_nothing_to_learn():
    with pytest.raises(ConfigError, match="labels: found 'a' alone, expected two labels at least"):
        make_kind(TaskDescription(labels=("a",)), FinetuningConfig())

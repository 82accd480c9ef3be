"""Files as spreadsheets, pandas, annotation tools and data sets write them."""

import csv
import io
import json
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from electra_paddle.config import FinetuningConfig
from electra_paddle.errors import ConfigError, DataError
from electra_paddle.finetuning.description import TaskDescription, check_layout, load_description
from electra_paddle.finetuning.formats import read_records, read_rows, read_sentences
from electra_paddle.finetuning.kinds.base import make_kind
from electra_paddle.finetuning.problems import Problems
from electra_paddle.text.tag_schemes import about, scheme_of

NAMED = {"label": "label", "text_a": "text"}
CELLS = st.text(st.characters(blacklist_categories=["Cs"], blacklist_characters="\0"), max_size=12)


def cells(path, layout=None, needs_label=True, **entries):
    """The cells of a file's rows, and the notes on it."""
    problems = Problems()
    rows = read_rows(path, layout or TaskDescription(**entries), needs_label, problems)
    return [row.cells for row in rows], problems.notes


def write(path, content, encoding="utf-8"):
    path.write_bytes(content.encode(encoding))
    return path


@given(st.lists(st.tuples(CELLS, CELLS), min_size=1, max_size=6), st.sampled_from(",;\t|"), st.booleans())
def test_any_cells_that_a_csv_writer_writes_come_back(tmp_path_factory, rows, delimiter, quotes_all):
    kept = [row for row in rows if any(cell.strip() for cell in row)]
    text = io.StringIO()
    writer = csv.writer(text, delimiter=delimiter, quoting=csv.QUOTE_ALL if quotes_all else csv.QUOTE_MINIMAL)
    writer.writerows([("label", "text"), *rows])
    path = tmp_path_factory.mktemp("csv") / "t.csv"
    path.write_bytes(("\ufeff" + text.getvalue()).encode())
    records = read_records(path, TaskDescription(format="csv", delimiter=delimiter), Problems())
    found = [tuple(record.cells.values()) for record in records]
    expected = [tuple(cell.replace("\r\n", "\n") for cell in row) for row in kept]
    assert [tuple(cell.replace("\r\n", "\n") for cell in row) for row in found] == expected


def test_csv_of_a_spreadsheet_in_gbk_is_named_and_read(tmp_path):
    path = write(tmp_path / "t.csv", '标签;评论\r\n1;"房间很大;很好"\r\n0;"他说""不""，的确是这样"\r\n', "gb18030")
    layout = TaskDescription(format="csv", columns={"label": "标签", "text_a": "评论"})
    with pytest.raises(
        DataError, match=r"t.csv: found text that is no UTF-8 but seems to be gb18030.*--encoding gb18030"
    ):
        cells(path, layout)
    rows, _ = cells(path, layout.with_encoding("gb18030"))
    assert rows == [
        {"label": "1", "text_a": "房间很大;很好"},
        {"label": "0", "text_a": '他说"不"，的确是这样'},
    ]


def test_unicode_text_of_a_spreadsheet_is_utf_16(tmp_path):
    path = write(tmp_path / "t.tsv", "label\ttext\r\n1\t好\r\n", "utf-16")
    assert cells(path, columns=NAMED, encoding="utf-16")[0] == [{"label": "1", "text_a": "好"}]
    with pytest.raises(DataError, match="seems to be utf-16"):
        cells(path, columns=NAMED)


def test_line_of_a_cell_that_spans_lines_is_where_it_begins(tmp_path):
    path = write(tmp_path / "t.csv", 'label,text\n1,"一\n二"\n0,三,四\n')
    with pytest.raises(DataError, match=r"t.csv:4: found 3 columns, expected 2"):
        cells(path, format="csv", columns=NAMED)
    path = write(tmp_path / "t.csv", 'label,text\n1,"一\n二\n')
    with pytest.raises(DataError, match=r"t.csv:2: found broken quotes"):
        cells(path, format="csv", columns=NAMED)


def test_quotes_in_a_tsv_are_text_and_said_to_be(tmp_path):
    path = write(tmp_path / "t.tsv", 'label\ttext_a\n1\t"好"\n')
    rows, notes = cells(path)
    assert rows == [{"label": "1", "text_a": '"好"'}]
    (note,) = notes
    assert "`format: csv` takes them" in note


def test_lines_that_end_with_a_carriage_return_alone_are_explained(tmp_path):
    for content in ("label,text\r好,一\r坏,二\r", 'label,text\r好,"一\n二"\r'):
        path = write(tmp_path / "t.csv", content)
        with pytest.raises(DataError, match=r"t.csv(:1)?: found .*(carriage return alone|new-line)"):
            cells(path, format="csv", columns=NAMED)


def test_columns_that_a_file_lacks_are_told_with_those_that_it_has(tmp_path):
    path = write(tmp_path / "t.csv", "标签^评论\n好^一\n")
    layout = {"format": "csv", "columns": {"label": "标签", "text_a": "评论"}}
    with pytest.raises(DataError, match=r"t.csv:1: found columns 标签\^评论, expected a header with .*; `delimiter`"):
        cells(path, **layout)
    assert cells(path, **layout, delimiter="^")[0] == [{"label": "好", "text_a": "一"}]


def test_parquet_and_objects_have_the_same_rows(tmp_path):
    import pyarrow
    from pyarrow import parquet

    table = {"text": ["好", "坏", "空"], "label": [1.0, 0.0, float("nan")]}
    parquet.write_table(pyarrow.table(table), tmp_path / "t.parquet")
    problems = Problems("skip")
    layout = TaskDescription(format="parquet", columns=NAMED)
    rows = [row.cells for row in read_rows(tmp_path / "t.parquet", layout, True, problems)]
    assert rows == [{"label": "1", "text_a": "好"}, {"label": "0", "text_a": "坏"}]
    assert "t.parquet[2]: found no 'label'" in str(problems.errors[0])
    write(tmp_path / "t.parquet", "no parquet")
    with pytest.raises(DataError, match="no readable Parquet"):
        cells(tmp_path / "t.parquet", layout)


def test_empty_label_column_is_an_unlabelled_file(tmp_path):
    path = write(tmp_path / "t.csv", "label,text\n,好\n,坏\n")
    assert cells(path, needs_label=False, format="csv", columns=NAMED)[0] == [{"text_a": "好"}, {"text_a": "坏"}]
    with pytest.raises(DataError, match=r"t.csv:2: found an empty label, expected one; `ignore_labels"):
        cells(path, format="csv", columns=NAMED)
    path = write(tmp_path / "t.csv", "label,text\n,好\n1,坏\n")
    with pytest.raises(DataError, match=r"t.csv:3: found label '1', expected none, as in the first row"):
        cells(path, needs_label=False, format="csv", columns=NAMED)


def test_labels_to_ignore_are_left_out_and_counted(tmp_path):
    path = write(tmp_path / "t.jsonl", '{"label": "-", "text": "一"}\n{"label": "中立", "text": "二"}\n')
    problems = Problems()
    layout = TaskDescription(format="jsonl", columns=NAMED, ignore_labels=("-",))
    assert [row.cells["label"] for row in read_rows(path, layout, True, problems)] == ["中立"]
    assert problems.left_out == {"of label '-' left out": 1}


@pytest.mark.parametrize("second", ['"1"', "true"])
def test_labels_of_several_json_types_are_refused(tmp_path, second):
    path = write(tmp_path / "t.jsonl", f'{{"label": 1, "text": "一"}}\n{{"label": {second}, "text": "二"}}\n')
    with pytest.raises(DataError, match=r"t.jsonl:2: found label .*, expected a number, as in .*t.jsonl:1"):
        cells(path, format="jsonl", columns=NAMED)


def test_whole_numbers_that_pandas_wrote_with_a_point_are_the_same_label(tmp_path):
    path = write(tmp_path / "t.jsonl", '{"label": 1.0, "text": "一"}\n{"label": 1, "text": "二"}\n')
    assert [row["label"] for row in cells(path, format="jsonl", columns=NAMED)[0]] == ["1", "1"]


def labels(path, content, **entries):
    kind = make_kind(TaskDescription(**entries), FinetuningConfig())
    return kind.find_labels(write(path, content), Problems())


def test_chinese_header_is_one_and_no_class(tmp_path):
    assert labels(tmp_path / "t.tsv", "标签\t评论\n好\t一\n坏\t二\n好\t三\n坏\t四\n") == ("坏", "好")


@pytest.mark.parametrize(
    ("content", "line", "label"),
    [
        ("好评标记\t客户的话\n好\t一\n好\t二\n坏\t三\n坏\t四\n", 1, "好评标记"),  # a header that no rule knows
        ("好\t一\n好\t二\n坏\t三\n坏\t四\n环\t五\n", 5, "环"),
    ],
)
def test_label_that_occurs_once_is_refused_with_advice(tmp_path, content, line, label):
    with pytest.raises(DataError, match=rf"t.tsv:{line}: found label '{label}' once .*header: true.*ignore_labels"):
        labels(tmp_path / "t.tsv", content)
    assert len(labels(tmp_path / "t.tsv", content, ignore_labels=(label,))) == 2


@pytest.mark.parametrize(
    ("label", "message"),
    [
        ("-", r"t.tsv:2: found label '-' 2 times.*ignore_labels: \['-'\]"),  # of OCNLI and SNLI
        (
            "标签",
            r"t.tsv:2: found label '标签', a header's word.*header: true.*ignore_labels: \[标签\]",
        ),  # of joined files
        ("Label", r"t.tsv:2: found label 'Label', a header's word"),
    ],
)
def test_what_is_no_label_makes_no_class_however_often_it_occurs(tmp_path, label, message):
    content = f"好\t一\n{label}\t二\n好\t三\n坏\t四\n坏\t五\n{label}\t六\n"
    with pytest.raises(DataError, match=message):
        labels(tmp_path / "t.tsv", content)
    assert labels(tmp_path / "t.tsv", content, ignore_labels=(label,)) == ("坏", "好")


def test_a_sign_beside_one_other_label_is_a_class(tmp_path):
    assert labels(tmp_path / "t.tsv", "+\t一\n-\t二\n+\t三\n-\t四\n") == ("+", "-")


def test_space_around_a_label_makes_no_other_class(tmp_path):
    assert labels(tmp_path / "t.tsv", "好\t一\n好 \t二\n 坏\t三\n坏\t四\n") == ("坏", "好")


@pytest.mark.parametrize("header", ["字\t标签", "token\ttag", "词语\t记号"])
def test_header_of_tokens_and_tags_makes_no_tag(tmp_path, header):
    entries = {"kind": "tagging", "format": "bio"}
    content = f"{header}\n北\tB-LOC\n京\tI-LOC\n\n在\tO\n海\tB-LOC\n"
    with pytest.raises(DataError, match=r"t.tsv:1: found label .*header: true"):
        labels(tmp_path / "t.tsv", content, **entries)
    assert labels(tmp_path / "t.tsv", content.replace("海\tB-LOC", "海\tO"), header=True, **entries) == (
        "B-LOC", "I-LOC", "O",
    )  # fmt: skip


def test_names_of_the_description_make_a_header_of_any_words(tmp_path):
    path = write(tmp_path / "t.csv", "The Label,顾客说的话（原文）\n好,一\n坏,二\n")
    layout = {"format": "csv", "columns": {"label": "The Label", "text_a": "顾客说的话（原文）"}}
    assert cells(path, **layout)[0] == [{"label": "好", "text_a": "一"}, {"label": "坏", "text_a": "二"}]


def test_rows_to_learn_from_need_a_column_of_labels(tmp_path):
    path = write(tmp_path / "t.csv", "score,text\n0.5,好\n")
    with pytest.raises(ConfigError, match="columns: found text_a, expected label among them, which train and dev need"):
        cells(path, format="csv", columns={"text_a": "text"})
    assert cells(path, needs_label=False, format="csv", columns={"text_a": "text"})[0] == [{"text_a": "好"}]


def test_header_that_names_the_columns_wins_over_numbers(tmp_path):
    path = write(tmp_path / "t.tsv", "qid\tlabel\ttext_a\n0\t1\t好\n1\t0\t坏\n")
    rows, notes = cells(path)
    assert rows == [{"label": "1", "text_a": "好"}, {"label": "0", "text_a": "坏"}]
    assert "columns as the header names them: label 1, text_a 2" in notes[0]
    write(path, "qid\ttext_a\n0\t好\n")
    assert cells(path, needs_label=False)[0] == [{"text_a": "好"}]


def test_header_that_contradicts_numbers_is_refused(tmp_path):
    path = write(tmp_path / "t.tsv", "text\tlabel\n好\t1\n")
    with pytest.raises(
        DataError, match=r"t.tsv:1: found label 0 and a header with 'label' as 1.*columns: .label: label"
    ):
        cells(path)
    assert cells(path, columns=NAMED)[0] == [{"label": "1", "text_a": "好"}]


def sentences(path, **entries):
    layout = TaskDescription(kind="tagging", **entries)
    check_layout(layout)
    return [(tokens, tags) for _, tokens, tags in read_sentences(path, layout, False, Problems())]


def test_spans_of_cluener_become_tags(tmp_path):
    row = {"text": "叶老桂去北京", "label": {"name": {"叶老桂": [[0, 2]]}, "address": {"北京": [[4, 5]]}}}
    path = write(tmp_path / "t.json", json.dumps(row) + '\n{"text": "无", "label": {}}\n')
    assert sentences(path, format="spans") == [
        (list("叶老桂去北京"), ["B-name", "I-name", "I-name", "O", "B-address", "I-address"]),
        (["无"], ["O"]),
    ]
    assert sentences(write(path, '{"text": "无"}\n'), format="spans") == [(["无"], None)]


@pytest.mark.parametrize(
    ("entities", "message"),
    [
        ({"name": {"甲": [[0, 9]]}}, "name from 0 to 9, expected characters of a text of 3"),
        ({"name": {"甲": [[1, 0]]}}, "name from 1 to 0"),
        ({"name": {"甲": [[0, 1]]}, "org": {"乙": [[1, 2]]}}, "org from 1 to 2 over another entity"),
        ({"name": 3}, "name from 3 to None"),
        ([1], "entities from"),
    ],
)
def test_spans_that_cannot_be_used_are_named(tmp_path, entities, message):
    path = write(tmp_path / "t.json", json.dumps({"text": "甲乙丙", "label": entities}) + "\n")
    with pytest.raises(DataError, match=message):
        sentences(path, format="spans")


def test_joined_tokens_of_paddlehubs_data_are_split(tmp_path):
    path = write(tmp_path / "t.tsv", "text_a\tlabel\n海\x02钓\tO\x02O\n北\x02京\tB-LOC\x02I-LOC\n")
    assert sentences(path, format="tsv", token_separator="\x02") == [
        (["海", "钓"], ["O", "O"]),
        (["北", "京"], ["B-LOC", "I-LOC"]),
    ]
    with pytest.raises(ConfigError, match="format: found tsv for tagging, expected bio.*token_separator"):
        sentences(path, format="tsv")


def test_a_space_is_a_token(tmp_path):
    path = write(tmp_path / "t.txt", "北\tB-LOC\n \tI-LOC\n\u3000\tI-LOC\n京\tI-LOC\n\n")
    assert sentences(path, format="bio") == [(["北", " ", "\u3000", "京"], ["B-LOC", "I-LOC", "I-LOC", "I-LOC"])]


@pytest.mark.parametrize(
    ("tags", "scheme"),
    [
        ("O B-PER I-PER", "BIO"),
        ("O I-PER", "IO"),
        ("O B-PER I-PER E-PER S-PER", "BIOES"),
        ("O B-PER M-PER E-PER S-LOC", "BMES"),
        ("NN VV", None),
        ("B-PER I-PER M-PER", "mixed"),
    ],
)
def test_scheme_of_tags_is_named(tags, scheme):
    assert scheme_of(tags.split()) == scheme


def test_entities_are_scored_as_wholes_in_every_scheme():
    assert about(["O", "B-PER", "M-PER", "E-PER", "S-LOC"]) == "tags: BMES, 2 classes of entities"
    for letters in ("BIES", "BMES"):
        begin, inside, end, single = letters
        tags = ("O", f"{begin}-P", f"{inside}-P", f"{end}-P", f"{single}-P")
        kind = make_kind(TaskDescription("t", "tagging", format="bio", labels=tags), FinetuningConfig())
        example = kind.example(0, "甲乙丙丁戊")._replace(tags=(1, 2, 3, 0, 4))
        right = kind.predict([example], [], [], None)[0]._replace(tags=[1, 2, 3, 0, 4], probabilities=[1.0] * 5)
        cut = right._replace(tags=[1, 3, 0, 0, 4])  # the first entity is too short, the second is right
        assert kind.score([example], [right])["f1"] == 100
        assert kind.score([example], [cut])["f1"] == 50


def test_memory_does_not_grow_with_a_file(tmp_path):
    path = tmp_path / "t.csv"
    with open(path, "w", encoding="utf-8") as stream:
        stream.write("label,text\n")
        for number in range(100_000):
            stream.write(f'{number % 2},"第{number}条评论"\n')
    tracemalloc.start()
    count = sum(1 for _ in read_records(path, TaskDescription(format="csv"), Problems()))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert count == 100_000 and peak < 2_000_000  # the file has 3 MB


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("encoding: gbk8", "encoding: found 'gbk8', expected utf-8, gb18030"),
        ("{format: csv, delimiter: ab}", "delimiter: found 'ab', expected one character"),
        ("delimiter: ','", "delimiter: found ',', expected none; the format is tsv"),
        ("format: bio", "format: found bio for classification"),
        ("{kind: tagging, format: tsv}", "format: found tsv for tagging"),
        ("{kind: tagging, format: bio, splits: {dev: {format: tsv}}}", "format: found tsv for tagging"),
        ("{kind: tagging, format: bio, columns: {token: word}}", "columns.token: found 'word', expected a number"),
        ("token_separator: x", "token_separator: found 'x', expected none"),
        ("{kind: regression, columns: {label: score}}", "columns: found label, expected text_a among them"),
        ("{kind: tagging, format: bio, ignore_labels: [x]}", "ignore_labels: found x, expected none"),
    ],
)
def test_layout_that_cannot_be_is_refused_in_the_description(tmp_path, text, message):
    path = write(tmp_path / "t.yaml", text)
    with pytest.raises(ConfigError, match=message):
        load_description(str(path))

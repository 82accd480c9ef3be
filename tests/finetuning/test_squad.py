import json

import pytest

from electra_paddle.errors import DataError
from electra_paddle.finetuning.comprehension.squad import NOWHERE, Question, answer_span, nearest, read_questions
from electra_paddle.finetuning.description import TaskDescription
from electra_paddle.finetuning.problems import Problems


def squad(*qas, context="北京是首都。"):
    return {"data": [{"paragraphs": [{"context": context, "qas": list(qas)}]}]}


def qa(name="Q1", question="哪里？", answers=({"text": "北京", "answer_start": 0},)):
    return {"id": name, "question": question, "answers": list(answers)}


@pytest.fixture
def read(tmp_path):
    """Reads a file with these contents: (questions, problems)."""

    def read(content, on_error="skip"):
        path = tmp_path / "t.json"
        path.write_bytes(content if isinstance(content, bytes) else json.dumps(content).encode())
        problems = Problems(on_error)
        return read_questions(path, problems), [str(error) for error in problems.errors]

    return read


def test_labelled_and_unlabelled_questions_are_read_in_order(read):
    unlabelled = {"id": " Q2 ", "question": "什么？"}
    questions, problems = read(squad(qa(), unlabelled))
    assert [question.id for question in questions] == ["Q1", "Q2"] and not problems
    assert questions[0].answers == ("北京",) and questions[0].answer_starts == (0,)
    assert questions[1].answers == () and questions[0].where.endswith("t.json: question Q1")


def test_other_layout_of_cmrc2018_is_read(read):
    entry = {"query_id": "Q1", "query_text": "什么？", "answers": ["首都", "城市"]}
    questions, _ = read([{"context_id": "1", "context_text": "北京是首都。", "qas": [entry]}])
    assert questions[0].answers == ("首都", "城市") and questions[0].answer_starts == (3, NOWHERE)


FLAT = {
    "id": 7,
    "title": "城市",
    "context": "北京是首都。",
    "question": "哪里？",
    "answers": {"text": ["北京", "京"], "answer_start": [0, 1]},
}
UNLABELLED = {"id": "8", "context": "北京是首都。", "question": "什么？", "answers": {"text": [], "answer_start": []}}


def test_layout_of_hugging_face_is_read_from_an_array_lines_and_parquet(read, tmp_path):
    import pyarrow
    from pyarrow import parquet

    expected, problems = read([FLAT, UNLABELLED])
    assert not problems and [question.id for question in expected] == ["7", "8"]
    assert expected[0].answers == ("北京", "京") and expected[0].answer_starts == (0, 1)
    assert expected[1].answers == ()
    lines = tmp_path / "t.jsonl"
    lines.write_text("\n".join(json.dumps(row) for row in (FLAT, UNLABELLED)) + "\n")
    rows = [{**FLAT, "id": "7"}, UNLABELLED]
    parquet.write_table(pyarrow.Table.from_pylist(rows), tmp_path / "t.parquet")
    for path, form in ((lines, "jsonl"), (tmp_path / "t.parquet", "parquet")):
        layout = TaskDescription(kind="reading_comprehension", format=form)
        found = read_questions(path, Problems(), layout)
        assert [question[2:] for question in found] == [question[2:] for question in expected]
    layout = TaskDescription(
        kind="reading_comprehension", format="jsonl", columns={"context": "passage", "question": "query.text"}
    )
    row = {"passage": "北京是首都。", "query": {"text": "哪里？"}, "answers": [{"text": "北京"}]}
    lines.write_text(json.dumps(row) + "\n")
    (question,) = read_questions(lines, Problems(), layout)
    assert question.text == "哪里？" and question.answer_starts == (0,) and not question.has_places


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"answers": {"text": ["北京"], "answer_start": [0, 1]}}, "1 answers and other places"),
        ({"answers": {"answer_start": [0]}}, "no 'text' among 'answer_start'"),
        ({"context": None}, "'context' that is a NoneType"),
        ({"question": 3}, "'question' that is a int"),
    ],
)
def test_objects_that_cannot_be_used_are_named(read, changes, message):
    questions, problems = read([{**FLAT, **changes}, UNLABELLED])
    assert [question.id for question in questions] == ["8"] and message in problems[0]


def test_tables_have_an_answer_in_a_cell(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text("原文,问题,答案\n北京是首都,哪里是首都,北京\n北京,几点,\n", encoding="gb18030")
    columns = {"context": "原文", "question": "问题", "answers": "答案"}
    layout = TaskDescription(kind="reading_comprehension", format="csv", encoding="gb18030", columns=columns)
    first, second = read_questions(path, Problems(), layout)
    assert (first.text, first.context, first.answers, first.answer_starts) == (
        "哪里是首都",
        "北京是首都",
        ("北京",),
        (0,),
    )
    assert not first.has_places and second.answers == ()


def test_encoding_of_the_description_is_that_of_nested_files(tmp_path):
    path = tmp_path / "t.json"
    entry = {"context": "北京是首都，有很多人", "qas": [{"id": "1", "question": "哪里是首都", "answers": []}]}
    path.write_text(json.dumps({"data": [{"paragraphs": [entry]}]}, ensure_ascii=False), encoding="gb18030")
    layout = TaskDescription(kind="reading_comprehension", format="squad")
    with pytest.raises(DataError, match=r"t.json: found text that is no UTF-8 but seems to be gb18030"):
        read_questions(path, Problems(), layout)
    assert read_questions(path, Problems(), layout.with_encoding("gb18030"))[0].text == "哪里是首都"


def test_names_of_a_nested_file_may_be_others(tmp_path):
    path = tmp_path / "t.json"
    entry = {"文": "北京是首都", "qas": [{"qid": 1, "问": "哪里", "答": [{"text": "北京", "answer_start": 0}]}]}
    path.write_text(json.dumps({"data": [{"paragraphs": [entry]}]}), encoding="utf-8")
    columns = {"context": "文", "question": "问", "answers": "答", "id": "qid"}
    layout = TaskDescription(kind="reading_comprehension", format="squad", columns=columns)
    (question,) = read_questions(path, Problems(), layout)
    assert (question.id, question.text, question.context, question.answers) == ("1", "哪里", "北京是首都", ("北京",))
    with pytest.raises(DataError, match=r"no questions, expected at least one; .*no 'context' among '文', 'qas'"):
        read_questions(path, Problems("skip"))


def test_lines_of_objects_in_a_json_file_are_explained(read):
    with pytest.raises(DataError, match="an object a line is `format: jsonl`"):
        read((json.dumps(FLAT) + "\n" + json.dumps(UNLABELLED)).encode())


def test_byte_order_mark_is_no_mistake(read):
    questions, _ = read(b"\xef\xbb\xbf" + json.dumps(squad(qa())).encode())
    assert questions[0].context == "北京是首都。"


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        (qa(), "question Q1: found this id again, expected an id of its own"),
        ({"question": "哪里？"}, "data[0].paragraphs[0].qas[1]: found no 'id' among 'question', expected 'id'"),
        ({"id": "Q2"}, "question Q2: found no 'question' among 'id', expected 'question'"),
        (qa("Q2", question=None), "question Q2: found 'question' that is a NoneType, expected a str"),
        (qa("Q2", answers=["北京"]), "question Q2: found a str, expected an object with 'text'"),
        (qa("Q2", answers=[{"text": "北", "answer_start": "0"}]), "question Q2: found answer_start '0', expected"),
        ({"id": "Q2", "question": "x", "answers": "北京"}, "question Q2: found answers that are a str, expected"),
        (3, "data[0].paragraphs[0].qas[1]: found a int, expected an object with 'id'"),
    ],
)
def test_unusable_question_is_told_and_left_out(entry, message, read):
    questions, problems = read(squad(qa(), entry))
    assert [question.id for question in questions] == ["Q1"]
    assert len(problems) == 1 and message in problems[0]
    with pytest.raises(DataError):
        read(squad(qa(), entry), on_error="stop")


def test_question_about_an_empty_context_is_read_for_scores_count_it(read):
    data = squad(qa())
    data["data"] += squad(qa("Q2"), context=" \n")["data"]
    questions, problems = read(data)
    assert [question.id for question in questions] == ["Q1", "Q2"] and not problems


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b'{"data": [\n{"paragraphs" 3}]}', r"t.json:2: found broken JSON"),
        (
            "{}".encode("utf-16"),
            "t.json: found text that is no UTF-8 but seems to be utf-16, expected UTF-8 text; give --encoding utf-16",
        ),
        ({"version": "v1.0"}, "t.json: found no 'data' among 'version', expected 'data'"),
        ({"data": [{"title": "x"}]}, r"t.json: data\[0\]: found no 'paragraphs' among 'title'"),
        ({"data": []}, "t.json: found no questions, expected at least one"),
        ([], "t.json: found no questions"),
        (3, "t.json: found a int, expected an object with 'data'"),
    ],
)
def test_file_that_is_none_of_questions_is_refused(content, message, read):
    with pytest.raises(DataError, match=message):
        read(content)


def test_missing_file_is_refused(tmp_path):
    with pytest.raises(DataError, match=r"none.json: found no such file or directory"):
        read_questions(tmp_path / "none.json", Problems())


def question(context, *answers):
    texts, starts = zip(*answers, strict=True)
    return Question("Q", "f: Q", "问", context, texts, starts)


def test_annotated_place_is_taken_not_the_first_occurrence():
    assert answer_span(question("甲乙甲乙甲乙", ("甲乙", 2))) == (2, 4)


def test_misplaced_answer_is_looked_for_nearby():
    assert answer_span(question("甲乙一甲乙丙", ("甲乙", 4))) == (3, 5)
    assert answer_span(question("甲乙一一一甲乙", ("甲乙", 1))) == (0, 2)
    assert answer_span(question("一二", ("二", 99))) == (1, 2)


def test_first_answer_that_stands_in_the_context_is_taken():
    assert answer_span(question("甲乙丙", ("没有", NOWHERE), ("乙", 1))) == (1, 2)
    assert answer_span(question("甲乙丙", ("没有", 0), (" ", 1))) is None


def test_nearest_occurrence():
    assert [nearest("甲一甲一一一甲", "甲", place) for place in (0, 1, 3, 4, 5, 9, -5)] == [0, 0, 2, 2, 6, 6, 0]
    assert nearest("甲", "乙", 0) == NOWHERE

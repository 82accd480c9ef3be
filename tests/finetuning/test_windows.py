"""Windows and labels against the original's, and by hand."""

import hashlib
import json

import pytest
from conftest import shared_file

from electra_paddle.finetuning.comprehension.reference import Words, rejection
from electra_paddle.finetuning.comprehension.squad import Question
from electra_paddle.finetuning.comprehension.windows import labelled_windows
from electra_paddle.text import Tokenizer, Vocabulary
from electra_paddle.text.windows import WindowSettings, question_length

CHARACTERS = "一二三四五六七八九十甲乙丙丁"


@pytest.fixture(scope="module")
def tokenizer():
    return Tokenizer(Vocabulary(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *CHARACTERS, "x", "##y"]))


def question(context, *answers, text="甲乙"):
    texts, starts = zip(*answers, strict=True) if answers else ((), ())
    return Question("Q", "f: Q", text, context, texts, starts)


def golden_lines(kind):
    lines = shared_file("golden/qa_features.jsonl").read_text(encoding="utf-8").strip().split("\n")
    return [line for line in map(json.loads, lines) if line["kind"] == kind]


def test_reference_windows_and_labels_agree_with_the_original():
    tokenizer = Tokenizer(Vocabulary.load(shared_file("data/vocab.txt")))
    contexts = {line["context_id"]: line["context"] for line in golden_lines("context")}
    for line in golden_lines("question"):
        answer = (line["answer"]["text"], line["answer"]["answer_start"])
        asked = question(contexts[line["context_id"]], answer, text=line["question"])
        assert rejection(asked) is None
        settings = WindowSettings(line["max_seq_length"], 64, line["doc_stride"])
        made = labelled_windows(0, asked, tokenizer, settings, is_reference=True)
        assert len(made) == line["n_windows"]
        for number, (window, expected) in enumerate(zip(made, line["windows"], strict=True)):
            ids = window.input_ids.tolist()
            assert expected.get("input_ids", ids) == ids and expected.get("input_ids_sha256", digest(ids)) == digest(
                ids
            )
            owned = [[window.own_start, window.own_stop - 1]] if window.own_start < window.own_stop else []
            assert owned == expected["max_context_ranges"]
            names = ("doc_start", "doc_length", "n_tokens", "n_type1", "start", "end", "eid_offset")
            lengths = (len(window.char_starts), len(ids), len(ids) - window.second)
            found = (window.doc_start, *lengths, window.start, window.end, number)
            assert found == tuple(expected[name] for name in names)


def digest(ids):
    return hashlib.sha256(" ".join(map(str, ids)).encode()).hexdigest()[:16]


def test_the_original_s_rejections_are_found():
    messages = {message for line in golden_lines("rejected") for message in line["messages"]}
    assert messages == {
        "Could not find answer: '短文本。' in doc vs. '没有' in provided answer",
        "End position is out of document!",
    }
    assert "stands in '短文本。'" in rejection(question("短文本。", ("没有", 0)))[1]
    assert "within the 4 characters" in rejection(question("短文本。", ("本。没有", 2)))[1]
    assert rejection(question("短文本。", ("本。", 2))) is None


def test_window_is_question_and_part_of_the_text(tokenizer):
    first, second = labelled_windows(7, question("一二三四五六", ("五六", 4)), tokenizer, WindowSettings(9, 2, 2))
    names = [tokenizer.vocabulary.tokens[token] for token in second.input_ids]
    assert names == ["[CLS]", "甲", "乙", "[SEP]", "三", "四", "五", "六", "[SEP]"]
    assert (first.example, first.second, first.doc_start, second.doc_start) == (7, 4, 0, 2)
    assert (first.start, first.end) == (0, 0) and (second.start, second.end) == (6, 7)
    assert second.char_starts.tolist() == [2, 3, 4, 5] and second.char_ends.tolist() == [3, 4, 5, 6]


def test_long_question_is_cut(tokenizer):
    (window,) = labelled_windows(0, question("一", text="甲" * 9), tokenizer, WindowSettings(20, 3))
    assert window.second == 5 and (window.start, window.end) == (-1, -1)


def test_annotated_occurrence_is_labelled_and_the_first_in_reference_mode(tokenizer):
    asked = question("一二甲一二乙", ("一二", 3))
    (window,) = labelled_windows(0, asked, tokenizer, WindowSettings(20))
    (as_original,) = labelled_windows(0, asked, tokenizer, WindowSettings(20), is_reference=True)
    assert (window.start - window.second, window.end - window.second) == (3, 4)
    assert (as_original.start - window.second, as_original.end - window.second) == (0, 1)


def test_answer_within_a_word_takes_its_pieces(tokenizer):
    (window,) = labelled_windows(0, question("一xyy二", ("yy", 2)), tokenizer, WindowSettings(20))
    assert (window.start - window.second, window.end - window.second) == (2, 3)


def test_text_without_tokens_has_one_window_without_answer(tokenizer):
    (window,) = labelled_windows(0, question("\u200b", ("\u200b", 0)), tokenizer, WindowSettings(20))
    assert len(window.char_starts) == 0 and (window.start, window.end) == (0, 0)
    assert window.own_start == window.own_stop


def test_words_are_what_stands_between_spaces():
    words = Words(" 一二 x\n\u202f三")
    assert words.texts == ["一二", "x", "三"] and words.of_char.tolist() == [-1, 0, 0, 0, 1, 1, 1, 2]
    assert words.join(0, 1) == "一二 x"


def test_question_that_leaves_no_room_is_cut_to_half(tokenizer):
    assert question_length(WindowSettings(68, 64)) == 64
    assert question_length(WindowSettings(67, 64)) == 31
    first, *_ = labelled_windows(0, question("一" * 9, text="甲" * 40), tokenizer, WindowSettings(20, 40))
    assert first.second == 10 and len(first.input_ids) == 20

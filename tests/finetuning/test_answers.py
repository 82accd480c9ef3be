"""Decoding against the original's, by hand, and how much of the real answers it can reach."""

import json

import numpy as np
import pytest
from conftest import shared_file

from electra_paddle.finetuning.comprehension.chinese_metric import exact_match
from electra_paddle.finetuning.comprehension.reference import ReferenceWriter
from electra_paddle.finetuning.comprehension.squad import Question, read_questions
from electra_paddle.finetuning.comprehension.windows import labelled_windows
from electra_paddle.finetuning.problems import Problems
from electra_paddle.models.answers import (
    MAX_ANSWER_LENGTH,
    Answer,
    SpanScores,
    annotated_spans,
    best_answers,
    best_of_logits,
    n_best_entries,
    original_text,
)
from electra_paddle.text import Tokenizer, Vocabulary
from electra_paddle.text.windows import WindowSettings


@pytest.fixture(scope="module")
def real_tokenizer():
    return Tokenizer(Vocabulary.load(shared_file("data/vocab.txt")))


def golden_scores(line):
    """SpanScores of each window of a line of the golden file."""
    for window in line["windows"]:
        if line["mode"] == "joint":
            names = ("start_index", "start_log_prob", "end_index", "end_log_prob")
            yield SpanScores(*(np.array(window[name]) for name in names))
        else:
            logits = [np.round(-12 - 0.01 * np.arange(line["max_seq_length"]), 3) for _ in range(2)]
            for values, name in zip(logits, ("start", "end"), strict=True):
                for place, value in window[name]:
                    values[place] = value
            yield best_of_logits(*logits, line["n_best_size"])


def golden_lines(name):
    return map(json.loads, shared_file(f"golden/{name}").read_text(encoding="utf-8").strip().split("\n"))


def test_reference_answers_agree_with_the_original(real_tokenizer):
    lines = golden_lines("qa_features.jsonl")
    contexts = {line["context_id"]: line["context"] for line in lines if line["kind"] == "context"}
    write = ReferenceWriter(real_tokenizer)
    for line in golden_lines("qa_decode.jsonl"):
        context = contexts[line["context_id"]]
        settings = WindowSettings(line["max_seq_length"], 64, line["doc_stride"])
        question = Question("Q", "f: Q", line["question"], context)
        made = labelled_windows(0, question, real_tokenizer, settings, is_reference=True)
        answers = best_answers(context, made, golden_scores(line), line["max_answer_length"], write=write)
        assert (answers[0].text if answers else "empty") == line["text"]


@pytest.mark.parametrize(
    ("file", "is_reference", "max_answer_length", "least", "most"),
    [
        ("cmrc2018/cmrc2018_dev.json", False, MAX_ANSWER_LENGTH, 99.9, 100),
        ("drcd/DRCD_dev.json", False, MAX_ANSWER_LENGTH, 99.9, 100),
        ("cmrc2018/cmrc2018_trial.json", True, 30, 64.16, 64.18),  # as measured with the original
        ("cmrc2018/cmrc2018_trial.json", True, 512, 94.10, 94.12),
    ],
)
def test_annotated_answers_survive_decoding(file, is_reference, max_answer_length, least, most, real_tokenizer):
    questions = read_questions(shared_file(f"data/{file}"), Problems())
    write = ReferenceWriter(real_tokenizer) if is_reference else original_text
    right = 0
    for number, question in enumerate(questions):
        made = labelled_windows(number, question, real_tokenizer, WindowSettings(512), is_reference)
        scores = [annotated_spans(window) for window in made]
        answers = best_answers(question.context, made, scores, max_answer_length, write=write)
        right += exact_match(answers[0].text if answers else "empty", question.answers)
    assert least <= 100 * right / len(questions) <= most


TOKENIZER = Tokenizer(Vocabulary(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *"一二三四五六甲é"]))
CONTEXT = "一二 三四É五"
(WINDOW,) = labelled_windows(0, Question("Q", "f: Q", "甲", CONTEXT), TOKENIZER, WindowSettings(20))
FIRST = WINDOW.second  # position of 一


def spans(*each):
    """SpanScores with one end for each start, from (start, end, score) with positions in the text."""
    starts, ends, scores = (np.array(column) for column in zip(*each, strict=True))
    return SpanScores(starts + FIRST, scores.astype(float), ends[:, None] + FIRST, np.zeros((len(each), 1)))


def texts(scores, max_answer_length=9, n_best_size=9):
    return [answer.text for answer in best_answers(CONTEXT, [WINDOW], [scores], max_answer_length, n_best_size)]


def test_best_span_is_cut_from_the_text_itself():
    assert texts(spans((0, 0, 1), (1, 4, 3), (2, 2, 2))) == ["二 三四É", "三", "一"]


def test_impossible_spans_are_left_out():
    assert texts(spans((2, 1, 9), (-2, 1, 9), (0, 6, 9), (0, 3, 9), (1, 1, 0)), max_answer_length=3) == ["二"]
    assert texts(spans((2, 1, 9))) == []


def test_only_the_window_that_owns_a_start_answers_from_it():
    window = WINDOW._replace(own_start=FIRST + 1, own_stop=FIRST + 3)
    scores = spans((0, 3, 9), (1, 3, 2), (2, 3, 1), (3, 3, 9))
    assert [answer.text for answer in best_answers(CONTEXT, [window], [scores], 9, 9)] == ["二 三四", "三四"]


def test_equal_texts_count_once():
    context = "一二一"
    (window,) = labelled_windows(0, Question("Q", "f: Q", "甲", context), TOKENIZER, WindowSettings(20))
    answers = best_answers(context, [window], [spans((0, 0, 1), (2, 2, 5), (1, 1, 0))], 9, 9)
    assert answers == [Answer("一", 5, 0, 2, 3), Answer("二", 0, 0, 1, 2)]


def test_probabilities_are_among_the_listed_answers():
    entries = n_best_entries([Answer("一", np.log(3.0), 0.0), Answer("二", 0.0, 0.0)])
    assert [entry["probability"] for entry in entries] == pytest.approx([0.75, 0.25])


def test_best_of_logits_are_the_largest():
    scores = best_of_logits(np.array([0.0, 5, 3]), np.array([1.0, 0, 2]), 2)
    assert scores.starts.tolist() == [1, 2] and scores.ends.tolist() == [[2, 0], [2, 0]]
    assert scores.end_scores.tolist() == [[2, 1], [2, 1]]

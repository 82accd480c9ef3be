"""Answers as dicts, entities with their places, and embeddings that are one vector."""

import json
from types import SimpleNamespace

import numpy as np
import pytest
from conftest import assert_close
from hub.conftest import NAME, WORDS

from electra_paddle.errors import ElectraPaddleError
from electra_paddle.hub.module import ElectraModule
from electra_paddle.hub.tasks.base import Options
from electra_paddle.hub.tasks.registry import BUILT_IN as TASKS
from electra_paddle.hub.tasks.tagging import entities
from electra_paddle.text import SPECIAL_TOKENS, Tokenizer, Vocabulary

OPTIONS = Options(128, "|", 5, {})
TOKENIZER = Tokenizer(Vocabulary([*SPECIAL_TOKENS, *"我在北京见", "a", "##b"]))
TEXT, LONG = "".join(WORDS[5:9]), "".join(WORDS[5:40])


class Tiny(ElectraModule):
    name, summary, directory = NAME, "tiny", "nowhere"


@pytest.fixture(scope="module")
def make(tiny_run):
    return lambda task=None, **arguments: Tiny(task, pretrained=tiny_run, **arguments)


def module_with(*labels, suffix=False):
    """What an answer's form depends on."""
    return SimpleNamespace(label_map=dict(enumerate(labels)), text_tokenizer=TOKENIZER, suffix=suffix)


def as_dict(task, texts, answer, *labels, **arguments):
    return TASKS[task].as_dict(module_with(*labels, **arguments), texts, answer, OPTIONS)


@pytest.mark.parametrize(
    ("task", "texts", "answer", "expected"),
    [
        ("seq-cls", ["x"], ("b", [0.25, 0.75]), {"label": "b", "score": 0.75, "probabilities": {"a": 0.25, "b": 0.75}}),
        ("pair-cls", ["x", "y"], ("a", [1, 0]), {"label": "a", "score": 1, "probabilities": {"a": 1, "b": 0}}),
        ("multi-label-cls", ["x"], ([], [0.1, 0.2]), {"labels": [], "probabilities": {"a": 0.1, "b": 0.2}}),
        ("regression", ["x"], 1.5, {"score": 1.5}),
        ("similarity", ["x", "y"], -0.5, {"similarity": -0.5}),
        ("embedding", ["x"], [[1.0], [[1.0], [2.0]]], {"embedding": [1.0], "token_embeddings": [[1.0], [2.0]]}),
        ("embedding", ["x"], np.array([1.0, 2.0]), {"embedding": [1.0, 2.0]}),
        ("fill-mask", ["[MASK]"], [[{"token": "x", "score": 1.0}]], {"masks": [[{"token": "x", "score": 1.0}]]}),
        ("replaced-token-detection", ["xy"], [0.1, 0.2], {"characters": ["x", "y"], "probabilities": [0.1, 0.2]}),
        *(
            (task, ["x", "y"], {"any": 1}, {"any": 1})
            for task in ("question-answering", "multiple-choice", "text-correction")
        ),
    ],
)
def test_every_part_of_an_answer_has_a_name(task, texts, answer, expected):
    assert as_dict(task, texts, answer, "a", "b") == expected


def test_tokens_and_entities_of_a_plain_text_have_places_in_it():
    text, labels = "我在 北 京ab见", ["O", "O", "B-LOC", "I-LOC", "B-X", "O", "O"]
    answer = labels, [[0.75, 0.25]] * 7
    given = as_dict("token-cls", [text], answer, "O", "B-LOC", "I-LOC", "B-X")
    assert given["text"] == text
    places = [(0, 1), (1, 2), (3, 4), (5, 6), (6, 7), (7, 8), (8, 9)]
    assert [(token["start"], token["end"]) for token in given["tokens"]] == places
    assert all(token["text"] == text[token["start"] : token["end"]] for token in given["tokens"])
    assert [token["label"] for token in given["tokens"]] == labels
    assert {token["probability"] for token in given["tokens"]} == {0.75}
    assert given["entities"] == [
        {"text": "北 京", "type": "LOC", "start": 3, "end": 6},
        {"text": "ab", "type": "X", "start": 6, "end": 8},  # a word goes by the label of its first piece
    ]


def test_places_of_the_callers_tokens_are_in_the_text_without_what_stands_between_them():
    answer = ["B", "E", "S", "B"], [[1.0]] * 4
    given = as_dict("token-cls", ["北|京|我|a在"], answer, "B", "M", "E", "S")
    assert given["text"] == "北京我a在" and [token["text"] for token in given["tokens"]] == ["北", "京", "我", "a在"]
    assert given["entities"] == [
        {"text": "北京", "type": None, "start": 0, "end": 2},
        {"text": "我", "type": None, "start": 2, "end": 3},
        {"text": "a在", "type": None, "start": 3, "end": 5},
    ]


def test_labels_that_mark_no_entities_and_a_text_without_a_token_have_none():
    assert as_dict("token-cls", ["我在"], (["NN", "VB"], [[1.0]] * 2), "NN", "VB")["entities"] == []
    given = as_dict("token-cls", ["\u200b"], ([0], [[1.0, 0.0]]), 0, 1)
    token = {"text": "\u200b", "start": 0, "end": 1, "label": 0, "probability": 1.0}
    assert given == {"text": "\u200b", "tokens": [token], "entities": []}


def test_letters_may_stand_behind_the_classes():
    expected = [{"text": "北京", "type": "LOC-A", "start": 0, "end": 2}]
    spans, labels = [(0, 1), (1, 2), (2, 3)], ["LOC-A-B", "LOC-A-I", "O"]
    assert entities("北京我", spans, labels, labels, suffix=True) == expected
    answer = labels, [[1.0]] * 3
    assert as_dict("token-cls", ["北京我"], answer, *labels, suffix=True)["entities"] == expected
    assert as_dict("token-cls", ["北京我"], answer, *labels)["entities"] == []


@pytest.mark.filterwarnings("ignore:.*untrained")
@pytest.mark.parametrize("task", TASKS)
def test_real_answers_of_every_task_are_dicts_that_json_has(make, task):
    model = make(task)
    further = {"text": TEXT + "[MASK]" if task == "fill-mask" else TEXT, "choices": f"{TEXT}|{LONG}"}
    texts = [further.get(name, LONG) for name in model.handler.text_names[: max(model.handler.num_texts)]]
    answers = model.predict([texts], return_prob=model.handler.has_classes)
    answer = tuple(part[0] for part in answers) if model.handler.has_classes else answers[0]
    given = model.handler.as_dict(model, texts, answer, OPTIONS)
    assert isinstance(given, dict) and given and all(isinstance(name, str) for name in given)
    assert json.loads(json.dumps(given)) == given


def pooled(model, pooling, **more):
    """What `keep` and `answer` make of two texts."""
    options = Options(128, "|", 5, {}, pooling=pooling, **more)
    model.handler.check_options(options)
    hidden = np.arange(24, dtype="float32").reshape(2, 4, 3)
    batch = SimpleNamespace(attention_mask=np.array([[1, 1, 1, 0], [1, 1, 1, 1]]))
    kept = model.handler.keep(model, options, [hidden], batch)
    return hidden, kept, [model.handler.answer(model, None, [value], options) for value in kept]


def test_pooling_makes_a_vector_of_the_states_without_padding():
    model = SimpleNamespace(handler=TASKS["embedding"])
    _, _, (first, second) = pooled(model, "mean")
    assert first.tolist() == [3, 4, 5] and second.tolist() == [16.5, 17.5, 18.5]
    hidden, kept, answers = pooled(model, "cls")
    assert [answer.tolist() for answer in answers] == [[0, 1, 2], [12, 13, 14]]
    assert not any(np.shares_memory(hidden, vector) for vector in kept)  # the states of a batch are not held
    for pooling in (None, "none"):
        _, _, (first, _) = pooled(model, pooling)
        assert first == [[0, 1, 2], [[0, 1, 2], [3, 4, 5], [6, 7, 8]]]


def test_mean_is_that_of_similarity(make):
    model = make()
    texts, vectors = [TEXT, LONG], []
    options = Options(128, "|", 5, {}, pooling="mean")
    for text in texts:
        ((_, states),) = model.predict([[text]])
        batch = SimpleNamespace(attention_mask=np.ones((1, len(states)), int))
        vectors += model.handler.keep(model, options, [np.array([states])], batch)
    first, second = (vector / np.linalg.norm(vector) for vector in vectors)
    assert_close(make("similarity").predict([texts])[0], first @ second)


def test_vectors_are_printed_and_shown_as_lists():
    vector = np.array([0.5, 1.0], "float32")
    assert TASKS["embedding"].show(None, ["x"], vector) == [0.5, 1.0]


@pytest.mark.parametrize(
    ("task", "pooling", "message"),
    [
        ("embedding", "max", "pooling: found 'max', expected 'cls', 'mean' or 'none'"),
        ("similarity", "mean", "pooling: found 'mean', expected None, this task has no use for it"),
    ],
)
def test_unknown_pooling_is_told_in_one_sentence(task, pooling, message):
    with pytest.raises(ElectraPaddleError) as caught:
        TASKS[task].check_options(Options(128, "|", 5, {}, pooling=pooling))
    assert str(caught.value) == message

"""Entities that tags mark."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from electra_paddle.text.tag_schemes import are_letters_alone, entities_of

TAGS = ["O", *(f"{letter}-{name}" for letter in "BIES" for name in ("PER", "LOC-X"))]


@pytest.mark.parametrize(
    ("tags", "entities"),
    [
        ("O B-P I-P O B-L", [("P", 1, 2), ("L", 4, 4)]),
        ("B-P B-P I-P", [("P", 0, 0), ("P", 1, 2)]),
        ("B-P M-P E-P S-L E-L", [("P", 0, 2), ("L", 3, 3), ("L", 4, 4)]),
        ("B-P I-L", [("P", 0, 0), ("L", 1, 1)]),
        ("I-P I-P O NN B- X-P", [("P", 0, 1)]),
        ("", []),
    ],
)
def test_entities_of_tags(tags, entities):
    assert entities_of(tags.split()) == entities


@pytest.mark.parametrize(
    ("tags", "entities"),
    [("B E S B M E", [(0, 1), (2, 2), (3, 5)]), ("B I O I B", [(0, 1), (3, 3), (4, 4)])],
)
def test_letters_alone_mark_entities_without_a_class(tags, entities):
    assert entities_of(tags.split(), has_classes=False) == [(None, first, last) for first, last in entities]


@pytest.mark.parametrize(
    ("tags", "are_letters"),
    [("B M E S", True), ("B I O", True), ("O B-P I-P", False), ("B E N V", False), ("S O", False), ("B", False)],
)
def test_letters_alone_are_told_from_other_labels(tags, are_letters):
    assert are_letters_alone(tags.split()) == are_letters


@given(st.lists(st.sampled_from(TAGS)))
def test_entities_are_those_of_seqeval(tags):
    from seqeval.metrics.sequence_labeling import get_entities

    assert entities_of(tags) == get_entities(tags)

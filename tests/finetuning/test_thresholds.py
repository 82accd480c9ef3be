"""The threshold of labels: by hand, and against every other one."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from electra_paddle.finetuning.thresholds import best_threshold

PROBABILITIES = st.sampled_from([0.0, 0.1, 0.2, 0.4, 0.5, 0.6, 0.9, 1.0])
DECISIONS = st.lists(st.tuples(PROBABILITIES, st.booleans()), min_size=1, max_size=12)


@pytest.mark.parametrize(
    ("probabilities", "gold", "expected"),
    [
        ([0.9, 0.3, 0.2, 0.1], [1, 1, 0, 0], 0.25),  # the middle between the last yes and the first no
        ([0.9, 0.6, 0.4, 0.1], [1, 1, 0, 0], 0.5),  # which may be anything between 0.4 and 0.6
        ([0.9, 0.8, 0.7], [1, 0, 0], 0.85),
        ([0.3, 0.2], [1, 1], 0.1),  # all are yes
        ([0.8, 0.6, 0.3], [1, 0, 1], 0.15),  # F1 of one, two and three: 2/3, 1/2, 4/5
        ([0.9, 0.7, 0.6, 0.3], [1, 0, 0, 1], 0.8),  # 2/3 of one and of four, whose 0.15 is farther from 0.5
        ([0.4, 0.4, 0.2], [1, 0, 0], 0.3),  # equal ones are decided alike
    ],
)
def test_threshold_is_the_one_found_by_hand(probabilities, gold, expected):
    found = best_threshold(np.array(probabilities), np.array(gold, bool))
    assert found == pytest.approx(expected)


def f1(probabilities, gold, threshold):
    yes = probabilities >= threshold
    return 2 * (yes & gold).sum() / (yes.sum() + gold.sum())


@given(DECISIONS.filter(lambda rows: any(is_right for _, is_right in rows)))
def test_no_other_threshold_has_a_higher_f1_and_none_as_good_is_nearer_to_a_half(rows):
    probabilities, gold = np.array([row[0] for row in rows]), np.array([row[1] for row in rows])
    found = best_threshold(probabilities, gold)
    best = f1(probabilities, gold, found)
    assert 0 <= found <= 1
    for other in np.linspace(0, 1, 201):
        assert f1(probabilities, gold, other) <= best
    if f1(probabilities, gold, 0.5) == best:
        assert found == 0.5

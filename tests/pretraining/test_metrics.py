"""Metrics against numbers of the reference, and by hand."""

import numpy as np
import pytest
from conftest import assert_close, shared_file

from electra_paddle.pretraining.metrics import (
    Answers,
    count,
    count_states,
    num_above,
    planted_ids,
    precision_and_recall,
    scores,
)


def golden_answers(golden, number):
    names = ("masked_lm_ids", "masked_lm_weights", "mlm_loss", "masked_lm_preds", "sampled_tokids", "input_mask")
    names += ("disc_labels", "disc_probs", "disc_loss")
    return Answers(*(golden[f"batch_{number}/{name}"] for name in names))


def added(all_sums):
    return {name: sum(sums[name] for sums in all_sums) for name in all_sums[0]}


def test_streaming_metrics_equal_the_reference():
    golden = np.load(shared_file("golden/metrics.npz"), allow_pickle=False)
    batches = [count(golden_answers(golden, number), with_padding=True) for number in range(3)]
    for number in range(3):
        result = scores(added(batches[: number + 1]))
        assert len(result) == 8
        for name, value in result.items():
            assert_close(value, golden[f"after_batch_{number}/{name}"], atol=1e-6)


def test_padding_raises_the_area_only():
    golden = np.load(shared_file("golden/metrics.npz"), allow_pickle=False)
    with_padding, without = (scores(count(golden_answers(golden, 0), flag)) for flag in (True, False))
    assert without.pop("disc_auc") < with_padding.pop("disc_auc")
    assert without == with_padding


@pytest.fixture
def answers():
    """Two rows of four and three tokens; by hand: 3 replaced, 4 judged so, 2 of them rightly."""
    return Answers(
        labels=np.array([[7, 8], [9, 0]]),
        weights=np.array([[1.0, 1.0], [1.0, 0.0]]),
        mlm_losses=np.array([[1.0, 2.0], [6.0, 50.0]]),
        mlm_ids=np.array([[7, 5], [9, 0]]),
        sampled_ids=np.array([[5, 5], [9, 0]]),
        attention_mask=np.array([[1, 1, 1, 1], [1, 1, 1, 0]]),
        is_replaced=np.array([[0, 1, 1, 0], [0, 0, 1, 0]]),
        probabilities=np.array([[0.1, 0.9, 0.3, 0.6], [0.8, 0.2, 0.7, 0.99]]),
        rtd_losses=np.array([0.5, 0.3]),
    )


def test_scores_by_hand(answers):
    expected = {
        "masked_lm_loss": 3.0,
        "masked_lm_accuracy": 2 / 3,
        "sampled_masked_lm_accuracy": 1 / 3,
        "disc_loss": 0.4,
        "disc_accuracy": 4 / 7,
        "disc_precision": 2 / 4,
        "disc_recall": 2 / 3,
        "disc_auc": 9 / 12,  # pairs in the right order: 0.9 beats 4 originals, 0.7 beats 3, 0.3 beats 2
    }
    result = scores(count(answers))
    assert result.keys() == expected.keys()
    for name, value in expected.items():
        assert_close(result[name], value, atol=2e-6)


def test_precision_and_recall_over_thresholds(answers):
    precision, recall = precision_and_recall(count(answers))
    assert (precision[0], recall[0]) == (3 / 7, 1)
    assert (precision[-1], recall[-1]) == (1, 1 / 3)
    at_half = num_above(np.array([0.9, 0.3, 0.7]))[100]  # the 101st threshold is 100/199
    assert at_half == 2 and (precision[100], recall[100]) == (2 / 4, 2 / 3)


def test_without_discriminator_or_slots_there_is_less_to_say(answers):
    alone = answers._replace(is_replaced=None, probabilities=None, rtd_losses=None)
    assert list(scores(count(alone))) == ["masked_lm_loss", "masked_lm_accuracy", "sampled_masked_lm_accuracy"]
    silent = answers._replace(probabilities=np.zeros((2, 4)), weights=np.zeros((2, 2)))
    result = scores(count(silent))
    assert result["disc_precision"] == result["masked_lm_loss"] == 0


@pytest.mark.parametrize(
    ("tokens", "expected"),
    [
        ([[5, 1, 0], [5, -1, 0]], 1.0),  # all that differs is one direction, and what they share does not count
        ([[1, 0, 0], [-1, 0, 0], [0, 1, 0], [0, -1, 0]], 2.0),
        ([[2, 0, 0], [-2, 0, 0], [0, 1, 0], [0, -1, 0]], 5 / 4**0.8),  # variances of 4 : 1
        ([[3, 3, 3], [3, 3, 3]], 1.0),
    ],
)
def test_effective_rank_counts_directions_in_which_states_of_tokens_differ(answers, tokens, expected):
    states = np.array([*tokens, [9.0, -7.0, 8.0]])  # the last is padding
    mask = np.array([1] * len(tokens) + [0])
    sums = count(answers) | count_states(states[None], mask[None]) | {"tokens": len(tokens)}
    assert_close(scores(sums)["disc_effective_rank"], expected, atol=1e-9)


def test_effective_rank_of_a_network_that_broke_down_is_no_number(answers):
    sums = count(answers) | count_states(np.full((1, 2, 3), np.nan), np.ones((1, 2)))
    assert np.isnan(scores(sums)["disc_effective_rank"])


def test_planted_tokens_are_those_of_the_other_half_of_the_used_slots():
    labels, used = np.array([[5, 6, 0], [7, 8, 9]]), np.array([[True, True, False], [True, True, False]])
    assert planted_ids(labels, used).tolist() == [[7, 8, 0], [5, 6, 9]]


def test_planted_area_is_that_of_the_two_counts():
    right, wrong = num_above(np.array([0.9, 0.8])), num_above(np.array([0.1, 0.2, 0.95, 0.05]))
    sums = {"slots": 0, "masked_lm_loss": 0, "masked_lm_right": 0, "sampled_masked_lm_right": 0}
    counts = {"rows": 1, "disc_loss": 0, "tokens": 6, "disc_right": 0, "judged": 0, "replaced": 0, "hits": 0}
    both = {"above_replaced": wrong, "above_original": wrong, "above_planted": right, "above_untouched": wrong}
    assert scores(sums | counts | both)["disc_planted_auc"] == pytest.approx(0.75, abs=0.01)  # 6 of 8 pairs

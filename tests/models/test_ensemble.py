"""Means of several networks' answers, by hand."""

import numpy as np
import paddle
from conftest import assert_close

from electra_paddle.models.ensemble import mean_beam, mean_of_sigmoid, mean_of_softmax, mean_reading_scores
from electra_paddle.models.reading_comprehension import Beam, ReadingScores


def test_softmax_is_the_mean_of_the_softmax_of_each():
    logits = [paddle.log(paddle.to_tensor([[0.9, 0.1]])) + 5, paddle.log(paddle.to_tensor([[0.3, 0.7]]))]
    assert_close(paddle.nn.functional.softmax(mean_of_softmax(logits)), [[0.6, 0.4]])  # (0.9 + 0.3) / 2


def test_sigmoid_is_the_mean_of_the_sigmoid_of_each():
    logits = [paddle.to_tensor([np.log(0.9 / 0.1), 100.0]), paddle.to_tensor([np.log(0.5 / 0.5), 100.0])]
    assert_close(paddle.nn.functional.sigmoid(mean_of_sigmoid(logits)), [0.7, 1.0])


def beam(starts, start_probs, ends, end_probs):
    logs = [np.log(np.array(probs)) for probs in (start_probs, end_probs)]
    return Beam(np.array(starts), logs[0], np.array(ends), logs[1])


FIRST = beam([4, 6], [0.5, 0.25], [[5, 4], [6, 7]], [[0.5, 0.25], [1.0, 0.125]])
SECOND = beam([6, 4], [0.75, 0.25], [[6, 7], [4, 5]], [[0.5, 0.25], [0.5, 0.25]])


def test_probability_of_a_span_is_the_mean_over_the_readers():
    mean = mean_beam([FIRST, SECOND])
    spans = list(zip(mean.starts.tolist(), mean.ends[:, 0].tolist(), strict=True))
    assert spans == [(6, 6), (4, 5), (4, 4), (6, 7)]
    # (0.25 * 1 + 0.75 * 0.5) / 2, (0.5 * 0.5 + 0.25 * 0.25) / 2, (0.5 * 0.25 + 0.25 * 0.5) / 2, ...
    assert_close(np.exp(mean.start_log_probs), [0.3125, 0.15625, 0.125, 0.109375])
    assert (mean.end_log_probs == 0).all()


def test_span_that_one_reader_lacks_has_no_probability_there_and_places_left_over_hold_none():
    other = SECOND._replace(starts=np.array([8, 4]))
    mean = mean_beam([FIRST, other])
    assert (mean.starts[0], mean.ends[0, 0]) == (8, 6)
    assert_close(np.exp(mean.start_log_probs[0]), 0.75 * 0.5 / 2)
    same = Beam(np.array([3, 3]), np.zeros(2), np.full((2, 2), 5), np.zeros((2, 2)))
    assert mean_beam([same]).starts.tolist() == [3, 0, 0, 0]
    assert np.isneginf(mean_beam([same]).start_log_probs[1:]).all()


def test_readers_without_joint_prediction_average_logits_and_answerability():
    scores = [
        ReadingScores(
            paddle.to_tensor([[1.0, 3.0]]), paddle.to_tensor([[0.0, 4.0]]), paddle.to_tensor([np.log(3.0)]), None
        ),
        ReadingScores(paddle.to_tensor([[2.0, 0.0]]), paddle.to_tensor([[2.0, 0.0]]), paddle.to_tensor([0.0]), None),
    ]
    mean = mean_reading_scores(scores)
    assert_close(mean.start_logits, [[1.5, 1.5]])
    assert_close(mean.end_logits, [[1.0, 2.0]])
    assert_close(paddle.nn.functional.sigmoid(mean.answerable_logit), [(0.75 + 0.5) / 2])


def test_windows_of_a_batch_keep_their_own_beams():
    first, second = (
        ReadingScores(None, None, None, Beam(*(np.stack(part) for part in zip(*beams, strict=True))))
        for beams in ((FIRST, SECOND), (SECOND, SECOND))
    )
    rows = mean_reading_scores([first, second]).beam
    assert_close(np.exp(rows.start_log_probs[0]), np.exp(mean_beam([FIRST, SECOND]).start_log_probs))
    assert_close(np.exp(rows.start_log_probs[1]), [0.375, 0.1875, 0.125, 0.0625])

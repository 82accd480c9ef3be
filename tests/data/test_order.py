import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from electra_paddle.data.order import shuffled

keys = st.lists(st.integers(0, 2**63), min_size=1, max_size=3)


def whole(length, key):
    return shuffled(np.arange(length), length, key)


@given(st.one_of(st.integers(1, 9), st.integers(1, 3000)), keys)
def test_every_number_comes_exactly_once(length, key):
    assert sorted(whole(length, key)) == list(range(length))


@pytest.mark.parametrize("length", [1, 2, 3, 4, 5, 255, 256, 257])
def test_every_number_comes_exactly_once_around_powers_of_two(length):
    for epoch in range(20):
        assert sorted(whole(length, [0, epoch])) == list(range(length))


@given(st.integers(1, 400_000_000), st.data())
def test_place_by_place_it_is_the_same_order(length, data):
    places = np.array(data.draw(st.lists(st.integers(0, length - 1), min_size=1, max_size=20)))
    together = shuffled(places, length, [3])
    assert together.dtype == np.int64 and ((together >= 0) & (together < length)).all()
    assert together.tolist() == [int(shuffled(places[n : n + 1], length, [3])[0]) for n in range(len(places))]


def test_another_key_gives_another_order():
    orders = [tuple(whole(100, key)) for key in ([0, 0], [0, 1], [1, 0], [1, 1], [2**40, 0])]
    assert len(set(orders)) == len(orders)


def test_a_long_order_looks_shuffled():
    length = 100_003
    order = whole(length, [1])
    places = np.arange(length)
    # Of random orders: displacement length / 3, deviation length / sqrt(22.5 length); correlation 0, 1 / sqrt(length).
    assert abs(np.abs(order - places).mean() / length - 1 / 3) < 4 / (22.5 * length) ** 0.5
    assert abs(np.corrcoef(order, places)[0, 1]) < 4 / length**0.5
    assert (np.diff(order) == 1).sum() < 10  # one pair of neighbours is expected to stay together
    blocks = np.histogram2d(order, places, 10)[0]  # which tenth goes to which tenth; 81 degrees of freedom
    expected = length / 100
    assert ((blocks - expected) ** 2 / expected).sum() < 81 + 4 * (2 * 81) ** 0.5


@pytest.mark.parametrize("length", [2, 3, 5, 9])
def test_short_orders_put_every_number_everywhere_equally_often(length):
    num_orders = 2000
    counts = np.zeros((length, length))
    for key in range(num_orders):
        counts[np.arange(length), whole(length, [key])] += 1
    expected, freedom = num_orders / length, (length - 1) ** 2
    assert ((counts - expected) ** 2 / expected).sum() < freedom + 4 * (2 * freedom) ** 0.5 + 4

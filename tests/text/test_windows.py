"""Where windows lie, and which of them shows a token best."""

import numpy as np

from electra_paddle.text.windows import own_ranges, place_windows


def test_windows_step_by_the_stride_until_one_reaches_the_end():
    assert place_windows(10, 10, 4)[0].tolist() == [0]
    assert place_windows(11, 10, 4)[0].tolist() == [0, 4]
    assert place_windows(18, 10, 4)[0].tolist() == [0, 4, 8]
    assert place_windows(9, 3, 4)[0].tolist() == [0, 3, 6]
    assert place_windows(0, 3, 4)[0].tolist() == [0]


def test_every_token_is_owned_by_the_window_that_shows_most_around_it():
    ranges = own_ranges(np.array([0, 4, 8]), np.array([10, 14, 15]))
    assert ranges.tolist() == [[0, 7], [7, 11], [11, 15]]  # token 10: 3 and 2 to the nearer edges


def test_windows_of_a_very_long_text_own_all_of_it():
    starts, room = place_windows(100_000, 60, 42)
    ranges = own_ranges(starts, np.minimum(starts + room, 100_000))
    assert ranges[0, 0] == 0 and ranges[-1, 1] == 100_000 and (ranges[1:, 0] == ranges[:-1, 1]).all()

"""Fixtures of other folders."""

from end_to_end.conftest import project  # noqa: F401
from hub.conftest import tiny_run, tiny_shape  # noqa: F401

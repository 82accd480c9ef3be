"""Names for the types of arrays."""

from typing import Any

import numpy.typing as npt

Array = npt.NDArray[Any]  # of numpy; shapes and dtypes stand in the docstrings
ArrayOrTensor = Any  # what a batch holds: numpy arrays as a loader makes them, Paddle tensors as a network takes them

"""The factor that keeps small gradients above the smallest number of half precision."""

import math
from collections.abc import Mapping
from typing import Any

INITIAL_SCALE = 2.0**15
GROWTH_INTERVAL = 2000  # updates in a row without overflow after which the scale is doubled


class LossScale:
    """A power of two: halved when gradients overflow, doubled after a while without. Inactive, it stays 1."""

    def __init__(self, is_active: bool = False) -> None:
        self.value, self.num_good = (INITIAL_SCALE if is_active else 1.0), 0
        self._is_active = is_active

    def update(self, global_norm: float) -> None:
        """Take note of an update's gradient norm."""
        if not self._is_active:
            return
        if not math.isfinite(global_norm):
            self.value, self.num_good = max(1.0, self.value / 2), 0
        else:
            self.num_good += 1
            if self.num_good == GROWTH_INTERVAL:
                self.value, self.num_good = self.value * 2, 0

    def state(self) -> dict[str, float]:
        """The state for a checkpoint; empty if there is no scaling."""
        return {"value": self.value, "num_good": self.num_good} if self._is_active else {}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on from a checkpoint's state; that of a run of another precision changes nothing."""
        if self._is_active and state:
            self.value, self.num_good = state["value"], state["num_good"]

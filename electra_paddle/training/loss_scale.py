"""The factor that keeps small gradients above the smallest number of half precision."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from paddle import Tensor

INITIAL_SCALE = 2.0**15
GROWTH_INTERVAL = 2000  # updates in a row without overflow after which the scale is doubled


class LossScale:
    """A power of two: halved when gradients overflow, doubled after a while without. Inactive, it stays 1.

    Attributes:
        value: the scale; once it was updated by a tensor, a tensor like that one.
    """

    def __init__(self, is_active: bool = False) -> None:
        self.value: float | Tensor = INITIAL_SCALE if is_active else 1.0
        self.num_good: float | Tensor = 0
        self.is_active = is_active

    def update(self, global_norm: float | Tensor) -> None:
        """Take note of an update's gradient norm; a tensor is not read."""
        if not self.is_active:
            return
        if not isinstance(global_norm, float):
            self._update_on_device(global_norm)
        elif not math.isfinite(global_norm):
            self.value, self.num_good = max(1.0, float(self.value) / 2), 0
        else:
            self.num_good += 1
            if self.num_good == GROWTH_INTERVAL:
                self.value, self.num_good = self.value * 2, 0

    def _update_on_device(self, global_norm: Tensor) -> None:
        import paddle

        is_finite = paddle.isfinite(global_norm).astype(global_norm.dtype)
        good = (is_finite * self.num_good) + is_finite
        grows = (good == GROWTH_INTERVAL).astype(global_norm.dtype)
        # 1/2, 1 or 2 times the scale: all of them powers of two, so that nothing is rounded.
        self.value = (self.value * (0.5 + 0.5 * is_finite + grows)).clip(min=1.0)
        self.num_good = good * (1 - grows)

    def state(self) -> dict[str, float]:
        """The state for a checkpoint; empty if there is no scaling."""
        return {"value": float(self.value), "num_good": int(self.num_good)} if self.is_active else {}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on from a checkpoint's state; that of a run of another precision changes nothing."""
        if self.is_active and state:
            self.value, self.num_good = state["value"], state["num_good"]

"""The optimizer for GPUs: a handful of large tensors in place of hundreds of parameters, and no word to the processor.

Starting a kernel takes the processor longer than most parameters take the GPU. Parameters that differ in their first
axis only become rows of one tensor, a block; the network's parameters are views of its rows. What decides about an
update, the norm of the gradients and whether it is finite, stays on the device.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import paddle

from electra_paddle import runtime
from electra_paddle.training.optimizer import CLIP_NORM, MOMENTS, AdamWithoutBiasCorrection, sum_of_squares

if TYPE_CHECKING:
    from paddle import Tensor

LARGEST = float(np.finfo(np.float32).max)


class Block:
    """Parameters as the rows of one tensor.

    Args:
        parameters: of the same shape but for the first axis, and of the same type. They keep their values, and from
            now on share the block's memory.
        rate_factor: of the learning rate.

    Attributes:
        values: [R, ...] all rows; what Paddle's optimizer takes for a parameter.
        updated: [R, 1, ...] 1 at rows that have a gradient and 0 at others; None where all have.
    """

    def __init__(self, parameters: Sequence[Any], rate_factor: float = 1.0) -> None:
        self.parameters = list(parameters)
        self.counts = [int(parameter.shape[0]) for parameter in self.parameters]
        first = self.parameters[0]
        self.values = paddle.create_parameter(
            [sum(self.counts), *first.shape[1:]], first.dtype, default_initializer=paddle.nn.initializer.Constant(0.0)
        )
        self.values.optimize_attr["learning_rate"] = rate_factor
        self.updated: Tensor | None = None
        self._views = self.rows(self.values)
        self._addresses = [view.data_ptr() for view in self._views]
        self._missing: list[bool] = []
        self.adopt()

    def rows(self, tensor: Tensor) -> list[Tensor]:
        """The parts of a tensor [R, ...] that belong to the parameters, as views of its memory."""
        ends = np.cumsum(self.counts).tolist()
        return [tensor._slice(end - count, end) for count, end in zip(self.counts, ends, strict=True)]

    def adopt(self) -> None:
        """Make the parameters views of the rows, where they are not; their values stay."""
        for parameter, view, address in zip(self.parameters, self._views, self._addresses, strict=True):
            if parameter.data_ptr() != address:  # new, or somebody gave it other memory
                paddle.assign(parameter.detach(), output=view)
                view._share_buffer_to(parameter)

    def gather(self) -> Tensor | None:
        """The gradients as one tensor like `values`, zeros where a parameter has none; None if none has."""
        gradients = [parameter.grad for parameter in self.parameters]
        missing = [gradient is None for gradient in gradients]
        if all(missing):
            return None
        if missing != self._missing:
            self._missing, self.updated = missing, self._mask(missing) if any(missing) else None
        pairs = zip(gradients, self.parameters, strict=True)
        rows = [paddle.zeros_like(parameter) if grad is None else grad for grad, parameter in pairs]
        return rows[0] if len(rows) == 1 else paddle.concat(rows)

    def _mask(self, missing: Sequence[bool]) -> Tensor:
        mask = np.repeat(np.logical_not(missing), self.counts).astype(np.float32)
        return paddle.to_tensor(mask.reshape([-1] + [1] * (len(self.values.shape) - 1)))


class FlatAdam(AdamWithoutBiasCorrection):
    """The same updates as AdamWithoutBiasCorrection's, which nothing waits for.

    The norm is added up in another order. Where it is not finite, the update is made with a learning rate of 0 and
    gradients of 0, and the moments are put back: nothing changes, as there.
    """

    def _prepare(self, options: dict[str, Any]) -> dict[str, Any]:
        decays = options["apply_decay_param_fun"]
        self._blocks = [make_blocks(share, decays) for share in self.shares]
        (self._own,) = (blocks for blocks, share in zip(self._blocks, self.shares, strict=True) if share is self.share)
        decaying = {block.values.name for block in self._own if decays(block.parameters[0].name)}
        self._is_finite = self._is_not = paddle.ones([])
        return {
            **options,
            "parameters": [block.values for block in self._own],
            "apply_decay_param_fun": lambda name: name in decaying,
        }

    def step(self) -> None:
        """Clip and update, unless the global norm is not finite."""
        with paddle.no_grad():
            blocks = [block for blocks in self._blocks for block in blocks]
            for block in blocks:
                block.adopt()
            gradients = [block.gather() for block in blocks]
            factor, bound = self._judge([gradient for gradient in gradients if gradient is not None])
            for block, gradient in zip(blocks, gradients, strict=True):
                if gradient is not None and any(block is own for own in self._own):
                    # Where the norm is not finite the bound is 0.
                    block.values.grad = paddle.fmax(paddle.fmin(gradient * factor, bound), -bound)
            del gradients
            paddle.optimizer.AdamW.step(self)
            for block in self._own:
                block.values.clear_gradient(False)
            for process, share in enumerate(self._blocks if len(self.shares) > 1 else []):
                for block in share:
                    runtime.send_whole(process, block.values)

    def _judge(self, gradients: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
        """(factor, bound): by what the gradients are multiplied, and the largest number that one may then be."""
        total = paddle.stack([sum_of_squares(gradient) for gradient in gradients]).sum().astype("float64")
        norm = paddle.sqrt(total) / self.loss_scale
        is_finite = paddle.isfinite(norm).astype("float64")
        self.global_norm = norm
        self._is_finite = is_finite.astype("float32")
        self._is_not = 1 - self._is_finite
        factor = (CLIP_NORM / norm).clip(max=1.0) / self.loss_scale
        return factor.astype("float32"), (is_finite * LARGEST).astype("float32")

    def _create_param_lr(self, param_and_grad: Any) -> Any:
        return super()._create_param_lr(param_and_grad) * self._is_finite

    def _append_optimize_op(self, block: Any, param_and_grad: Any) -> None:
        """Paddle's update of one of our blocks; `block` is of a program, in which nothing runs here."""
        values = param_and_grad[0]
        (rows,) = (own for own in self._own if own.values is values)
        kept, put_back = self._is_finite, self._is_not
        tensors = [self._get_accumulator_master(moment, values) for moment in MOMENTS]
        if rows.updated is not None:
            kept = kept * rows.updated
            put_back = 1 - kept
            tensors.append(values)
        before = [tensor.clone() for tensor in tensors]
        super()._append_optimize_op(block, param_and_grad)
        for tensor, old in zip(tensors, before, strict=True):
            tensor.multiply_(kept)
            tensor.add_(old.multiply_(put_back))

    def moments(self) -> dict[str, tuple[Tensor, ...]]:
        """Paddle's name of a parameter -> its MOMENTS, for those of `share` that have been updated."""
        state = self.state_dict()
        result: dict[str, tuple[Tensor, ...]] = {}
        for block in self._own:
            keys = [f"{block.values.name}_{moment}_0" for moment in MOMENTS]
            if keys[0] in state:
                parts = zip(*(block.rows(state[key]) for key in keys), strict=True)
                result.update(zip((parameter.name for parameter in block.parameters), parts, strict=True))
        return result

    def set_moments(self, moments: Mapping[str, Sequence[Any]]) -> None:
        """Begin with moments, arrays or tensors by Paddle's name of a parameter; before the first update only."""
        joint = {}
        for block in self._own:
            parts = zip(*(moments[parameter.name] for parameter in block.parameters), strict=True)
            joint[block.values.name] = [np.concatenate([np.asarray(row) for row in rows]) for rows in parts]
        super().set_moments(joint)


def make_blocks(parameters: Sequence[Any], decays: Any) -> list[Block]:
    """Blocks of parameters that are alike, in the order of the first of each.

    Args:
        decays: function of a parameter's name: whether its weights decay.
    """
    groups: dict[Any, list[Any]] = {}
    for parameter in parameters:
        factor = parameter.optimize_attr["learning_rate"]
        key = (tuple(parameter.shape[1:]), parameter.dtype, factor, decays(parameter.name), parameter.stop_gradient)
        groups.setdefault(key, []).append(parameter)
    return [Block(group, key[2]) for key, group in groups.items()]

"""The optimizer for GPUs: a few long tensors in place of hundreds of parameters, and no word to the processor.

Starting a kernel takes the processor longer than most parameters take the GPU. Parameters that are treated alike lie
one after the other in one tensor, a block, of which they are views. What decides about an update, the norm of the
gradients and whether it is finite, stays on the device.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import paddle

from electra_paddle import runtime
from electra_paddle.training.optimizer import CLIP_NORM, MOMENTS, AdamWithoutBiasCorrection

if TYPE_CHECKING:
    from paddle import Tensor

    from electra_paddle.arrays import Array

LARGEST = float(np.finfo(np.float32).max)


class Block:
    """Parameters one after the other in one tensor.

    Args:
        parameters: of the same type. They keep their values, and from now on share the block's memory.
        rate_factor: of the learning rate.

    Attributes:
        values: [N] all numbers; what Paddle's optimizer takes for a parameter.
        copies: [N] the same in another type, of which the parameters are views then; None where they are of `values`.
        updated: [N] 1 at numbers that have a gradient and 0 at others; None where all have.
    """

    def __init__(self, parameters: Sequence[Any], rate_factor: float = 1.0) -> None:
        by_rows: dict[tuple[int, ...], list[Any]] = {}
        for parameter in parameters:
            by_rows.setdefault(tuple(parameter.shape[1:]), []).append(parameter)
        self._groups = list(by_rows.values())  # those of a group differ in their first axis only
        self.parameters = [parameter for group in self._groups for parameter in group]
        self._ends = np.cumsum([int(parameter.size) for parameter in self.parameters]).tolist()
        self.values = paddle.create_parameter(
            self._ends[-1:], self.parameters[0].dtype, default_initializer=paddle.nn.initializer.Constant(0.0)
        )
        self.values.optimize_attr["learning_rate"] = rate_factor
        self.updated: Tensor | None = None
        self._missing: list[bool] = []
        self.copies: Tensor | None = None
        self._use(self.values)
        self.adopt()

    def _use(self, tensor: Tensor) -> None:
        self._views = self.parts(tensor)
        self._addresses = [view.data_ptr() for view in self._views]

    def parts(self, tensor: Tensor) -> list[Tensor]:
        """The parts of a tensor [N] that belong to the parameters, [n] each, as views of its memory."""
        return [tensor._slice(start, end) for start, end in zip([0, *self._ends[:-1]], self._ends, strict=True)]

    def adopt(self) -> None:
        """Make the parameters views of the block, where they are not; their values stay."""
        for number, (parameter, view) in enumerate(zip(self.parameters, self._views, strict=True)):
            if parameter.data_ptr() != self._addresses[number]:  # new, or somebody gave it other memory
                numbers = parameter.detach().flatten()
                for own in (view, self.parts(self.values)[number]) if self.copies is not None else (view,):
                    paddle.assign(numbers.astype(own.dtype), output=own)
                view._share_buffer_to(parameter)

    def lower(self, dtype: Any) -> None:
        """Make the parameters copies of the values in another type, until `restore`; gradients are forgotten."""
        self.adopt()
        self.copies = self.values.detach().astype(dtype)
        self._share(self.copies)

    def restore(self) -> None:
        """Make the parameters the values themselves again."""
        self.copies = None
        self._share(self.values)

    def _share(self, tensor: Tensor) -> None:
        self._use(tensor)
        for parameter, view in zip(self.parameters, self._views, strict=True):
            parameter.clear_gradient(False)
            view._share_buffer_to(parameter)  # with its type

    def refresh(self) -> None:
        """Bring the copies, if there are, up to the values."""
        if self.copies is not None:
            paddle.assign(self.values.astype(self.copies.dtype), output=self.copies)

    def gather(self) -> Tensor | None:
        """The gradients [N], zeros where a parameter has none; None if none has."""
        missing = [parameter.grad is None for parameter in self.parameters]
        if all(missing):
            return None
        if missing != self._missing:
            self._missing, self.updated = missing, self._mask(missing) if any(missing) else None
        # Those that differ in their first axis only can be joined as they are, which spares a launch for each.
        joined = [paddle.concat([gradient_of(parameter) for parameter in group]) for group in self._groups]
        whole = paddle.concat([rows.flatten() for rows in joined])
        return whole if whole.dtype == self.values.dtype else whole.astype(self.values.dtype)

    def join(self, arrays: Mapping[str, Array]) -> Array:
        """Arrays by Paddle's name of a parameter as one [N]."""
        return np.concatenate([np.ravel(arrays[parameter.name]) for parameter in self.parameters])

    def _mask(self, missing: Sequence[bool]) -> Tensor:
        counts = np.diff([0, *self._ends])
        return paddle.to_tensor(np.repeat(np.logical_not(missing), counts).astype(np.float32))


def gradient_of(parameter: Any) -> Tensor:
    """The gradient, zeros where there is none."""
    gradient: Tensor | None = parameter.grad
    return paddle.zeros_like(parameter) if gradient is None else gradient


class FlatAdam(AdamWithoutBiasCorrection):
    """The same updates as AdamWithoutBiasCorrection's, which nothing waits for.

    Weights and moments stay in float32, also where the network computes with copies of the weights in `copies_dtype`.
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
            blocks = self._adopted()
            gradients = [block.gather() for block in blocks]
            factor, bound = self._judge([gradient for gradient in gradients if gradient is not None])
            lower = -bound
            for block, gradient in zip(blocks, gradients, strict=True):
                if gradient is not None and any(block is own for own in self._own):
                    # Where the norm is not finite the bound is 0.
                    block.values.grad = paddle.fmax(paddle.fmin(gradient.multiply_(factor), bound), lower)
            del gradients
            paddle.optimizer.AdamW.step(self)
            for block in self._own:
                block.values.clear_gradient(False)
            for process, share in enumerate(self._blocks if len(self.shares) > 1 else []):
                for block in share:
                    runtime.send_whole(process, block.values)
            for block in blocks:
                block.refresh()

    def _judge(self, gradients: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
        """(factor, bound): by what the gradients are multiplied, and the largest number that one may then be."""
        total = paddle.stack([paddle.dot(gradient, gradient) for gradient in gradients]).sum().astype("float64")
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
        before = [tensor * put_back for tensor in tensors]
        super()._append_optimize_op(block, param_and_grad)
        for tensor, old in zip(tensors, before, strict=True):
            tensor.multiply_(kept)
            tensor.add_(old)

    def weights(self) -> list[Tensor]:
        return [block.values for block in self._adopted()]

    def _adopted(self) -> list[Block]:
        """The blocks of all processes; the parameters are views of them."""
        blocks = [block for blocks in self._blocks for block in blocks]
        for block in blocks:
            block.adopt()
        return blocks

    def set_weights(self, tensors: Sequence[Tensor]) -> None:
        super().set_weights(tensors)
        with paddle.no_grad():
            for block in self._adopted():
                block.refresh()

    @contextlib.contextmanager
    def updating(self) -> Iterator[None]:
        blocks = self._adopted() if self.copies_dtype else []
        with paddle.no_grad():
            for block in blocks:
                block.lower(self.copies_dtype)
        try:
            yield
        finally:
            for block in blocks:
                block.restore()

    def by_parameter(self, tensors: Sequence[Tensor]) -> dict[str, Tensor]:
        return {
            parameter.name: part.reshape(parameter.shape)
            for block, tensor in zip(self._adopted(), tensors, strict=True)
            for parameter, part in zip(block.parameters, block.parts(tensor), strict=True)
        }

    def joined(self, arrays: Mapping[str, Array]) -> list[Tensor]:
        return [paddle.to_tensor(block.join(arrays)) for block in self._adopted()]

    def moments(self) -> dict[str, tuple[Tensor, ...]]:
        """Paddle's name of a parameter -> its MOMENTS, for those of `share` that have been updated."""
        state = self.state_dict()
        result: dict[str, tuple[Tensor, ...]] = {}
        for block in self._own:
            keys = [f"{block.values.name}_{moment}_0" for moment in MOMENTS]
            if keys[0] in state:
                pairs = zip(*(block.parts(state[key]) for key in keys), strict=True)
                for parameter, pair in zip(block.parameters, pairs, strict=True):
                    result[parameter.name] = tuple(part.reshape(parameter.shape) for part in pair)
        return result

    def set_moments(self, moments: Mapping[str, Sequence[Any]]) -> None:
        """Begin with moments, arrays or tensors by Paddle's name of a parameter; before the first update only."""
        joint = {}
        for block in self._own:
            joint[block.values.name] = [
                block.join({name: pair[number] for name, pair in moments.items()}) for number in range(len(MOMENTS))
            ]
        super().set_moments(joint)


def make_blocks(parameters: Sequence[Any], decays: Callable[[str], bool]) -> list[Block]:
    """Blocks of parameters that are alike, in the order of the first of each.

    Args:
        decays: of a parameter's name: whether its weights decay.
    """
    groups: dict[Any, list[Any]] = {}
    for parameter in parameters:
        factor = parameter.optimize_attr["learning_rate"]
        key = (factor, parameter.dtype, decays(parameter.name), parameter.stop_gradient)
        groups.setdefault(key, []).append(parameter)
    return [Block(group, key[0]) for key, group in groups.items()]

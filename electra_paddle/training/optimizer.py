"""AdamW without bias correction, and the learning rates of layers."""

from __future__ import annotations

import contextlib
import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import paddle

from electra_paddle import runtime

if TYPE_CHECKING:
    from paddle import Tensor

    from electra_paddle.arrays import Array

NO_DECAY = ("norm", "bias")  # parts of parameter names
CLIP_NORM = 1.0
MOMENTS = ("moment1", "moment2")


class AdamWithoutBiasCorrection(paddle.optimizer.AdamW):
    """Paddle's fused AdamW with the powers of the betas held at 0, which leaves the correction factors at 1.

    Before an update the gradients are clipped by their global norm; if that is not finite, there is no update.
    With `shard` the moments are divided: each process updates its share of the parameters and gets the others' new
    values (ZeRO stage 1; fleet's own cannot tell a gradient that is not finite before it has spread).

    Source: `AdamWeightDecayOptimizer` and `clip_by_global_norm` of the original, whose hyper-parameters assume it.
    Deviation: the kernel takes 1 - beta of betas already rounded to float32, which makes the second moment 1.3e-5
    (relative) smaller; after 20 updates of up to 0.005 the parameters differ from the original's by at most 1.4e-6.

    Args:
        parameters: of the whole model.
        shard: whether the processes share the work.
        copies_dtype: in which the network computes with copies of the float32 weights; "" where with these themselves.

    Attributes:
        shares: a list of parameters for each process that has moments; `share` is this one's.
        global_norm: of the gradients of the last step, before clipping; a tensor (float64 scalar) where reading it
            would make the processor wait for the device.
        loss_scale: what the loss was multiplied with, a number or such a tensor; the gradients are divided by it.
    """

    def __init__(self, parameters: Sequence[Any], shard: bool = False, copies_dtype: str = "", **options: Any) -> None:
        self.all_parameters = list(parameters)
        self.shares = share_out(self.all_parameters, runtime.num_processes() if shard else 1)
        self.share = self.shares[runtime.rank() if shard else 0]
        self.copies_dtype = copies_dtype
        self.global_norm: float | Tensor = 0.0
        self.loss_scale: float | Tensor = 1.0
        super().__init__(**self._prepare(options))

    def _prepare(self, options: dict[str, Any]) -> dict[str, Any]:
        """The arguments of Paddle's optimizer."""
        return {**options, "parameters": self.share}

    @property
    def moment_bytes(self) -> list[int]:
        """Bytes of Adam's moments in each process that has any."""
        return [2 * sum(int(p.size) * p.element_size() for p in parameters) for parameters in self.shares]

    def _add_accumulator(self, name: str, param: Any, *args: Any, **kwargs: Any) -> Any:
        if name in (self._beta1_pow_acc_str, self._beta2_pow_acc_str):
            kwargs["fill_value"] = 0.0
        return super()._add_accumulator(name, param, *args, **kwargs)

    def state_dict(self) -> dict[str, Any]:
        """Paddle's, with the moments that were set and wait for the first update, which Paddle 2.6 does not tell."""
        return {**self._accumulators_holder, **super().state_dict()}

    def moments(self) -> dict[str, tuple[Tensor, ...]]:
        """Paddle's name of a parameter -> its MOMENTS, for those of `share` that have been updated."""
        state = self.state_dict()
        keys = {parameter.name: [f"{parameter.name}_{moment}_0" for moment in MOMENTS] for parameter in self.share}
        return {name: tuple(state[key] for key in pair) for name, pair in keys.items() if pair[0] in state}

    def set_moments(self, moments: Mapping[str, Sequence[Any]]) -> None:
        """Begin with moments, arrays or tensors by Paddle's name of a parameter; before the first update only."""
        state = {key: value for key, value in self.state_dict().items() if key == "LR_Scheduler"}  # 2.6 insists on it
        for name, pair in moments.items():
            for moment, value in zip(MOMENTS, pair, strict=True):
                state[f"{name}_{moment}_0"] = paddle.to_tensor(value)
            for power in ("beta1_pow_acc", "beta2_pow_acc"):
                state[f"{name}_{power}_0"] = paddle.zeros([1])
        self.set_state_dict(state)

    def weights(self) -> list[Tensor]:
        """All weights, in as few float32 tensors as hold them."""
        return self.all_parameters

    def set_weights(self, tensors: Sequence[Tensor]) -> None:
        """Replace the weights by tensors that are laid out as `weights` are."""
        with paddle.no_grad():
            for weight, tensor in zip(self.weights(), tensors, strict=True):
                paddle.assign(tensor, output=weight)

    @contextlib.contextmanager
    def updating(self) -> Iterator[None]:
        """Context of a run's updates, in which the model's parameters may be copies of the weights."""
        yield

    def by_parameter(self, tensors: Sequence[Tensor]) -> dict[str, Tensor]:
        """Paddle's name of a parameter -> its part of tensors that are laid out as `weights` are."""
        return {parameter.name: tensor for parameter, tensor in zip(self.all_parameters, tensors, strict=True)}

    def joined(self, arrays: Mapping[str, Array]) -> list[Tensor]:
        """Arrays by Paddle's name of a parameter as tensors that are laid out as `weights` are."""
        return [paddle.to_tensor(arrays[parameter.name]) for parameter in self.all_parameters]

    def step(self) -> None:
        """Clip and update, unless the global norm is not finite."""
        self.global_norm = clip_gradients(self.all_parameters, CLIP_NORM, float(self.loss_scale))
        if math.isfinite(self.global_norm):
            super().step()
            for process, parameters in enumerate(self.shares if len(self.shares) > 1 else []):
                runtime.send_from(process, parameters)

    def clear_grad(self, set_to_zero: bool = True) -> None:
        """Forget the gradients of all parameters."""
        for parameter in self.all_parameters:
            parameter.clear_gradient(set_to_zero)

    clear_gradients = clear_grad


def share_out(parameters: Sequence[Any], num_shares: int) -> list[list[Any]]:
    """Lists of parameters, together all of them, each as near to an equal number of numbers as it goes."""
    shares: list[list[Any]] = [[] for _ in range(num_shares)]
    sizes = [0] * num_shares
    for parameter in sorted(parameters, key=lambda parameter: -int(parameter.size)):
        smallest = sizes.index(min(sizes))
        shares[smallest].append(parameter)
        sizes[smallest] += int(parameter.size)
    order = {id(parameter): number for number, parameter in enumerate(parameters)}
    return [sorted(share, key=lambda parameter: order[id(parameter)]) for share in shares]


def clip_gradients(parameters: Iterable[Any], max_norm: float, loss_scale: float = 1.0) -> float:
    """Divide gradients by `loss_scale`, then by global norm / max_norm where that is above 1; in place.

    Returns:
        the global norm of the divided gradients, before clipping; where it is not finite, nothing is changed.
    """
    with paddle.no_grad():
        gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
        norm = math.sqrt(float(paddle.stack([sum_of_squares(gradient) for gradient in gradients]).sum())) / loss_scale
        factor = min(1.0, max_norm / norm if norm else 1.0) / loss_scale
        if math.isfinite(norm) and factor != 1.0:
            for gradient in gradients:
                gradient.scale_(factor)
    return norm


def sum_of_squares(tensor: Tensor) -> Tensor:
    values = tensor.astype("float32").flatten()
    return paddle.dot(values, values)


def build_optimizer(
    model: paddle.nn.Layer,
    schedule: Any,
    weight_decay_rate: float = 0.01,
    layer_factors: Mapping[str, float] | None = None,
    shard: bool = False,
    copies_dtype: str = "",
) -> AdamWithoutBiasCorrection:
    """The original's optimizer: betas 0.9 and 0.999, epsilon 1e-6, decay of all but biases and norms, clip at norm 1.

    Args:
        model: its parameters are optimized.
        schedule: an LRScheduler or a float.
        layer_factors: parameter name -> factor of the learning rate, for every parameter; see `layerwise_factors`.
        shard: whether the moments are divided among the processes.
        copies_dtype: in which the network computes with copies of the float32 weights, on GPUs; "": it has none.
    """
    names = {}
    for name, parameter in model.named_parameters():
        names[parameter.name] = name
        # Not AdamW's lr_ratio, which Paddle 3.3 lacks on CPUs, nor parameter groups.
        parameter.optimize_attr["learning_rate"] = layer_factors[name] if layer_factors else 1.0
    from electra_paddle.training.flat_optimizer import FlatAdam

    kind = AdamWithoutBiasCorrection if runtime.is_cpu() else FlatAdam
    return kind(
        model.parameters(),
        shard,
        copies_dtype,
        learning_rate=schedule,
        beta1=0.9,
        beta2=0.999,
        epsilon=1e-6,
        weight_decay=weight_decay_rate,
        apply_decay_param_fun=lambda name: not any(part in names[name].lower() for part in NO_DECAY),
    )


def layerwise_factors(parameter_names: Iterable[str], num_hidden_layers: int, decay: float) -> dict[str, float]:
    """Learning-rate factors that fall from the task head (1) to the embeddings.

    Encoder layer i of L gets decay ** (L + 1 - i), the embeddings and their projection decay ** (L + 2). The top
    layer so gets decay ** 2, not decay: an exponent left over from a removed layer, kept because the published
    learning rates were tuned with it. Source: `_get_layer_lrs` of the original.
    """
    factors = {}
    for name in parameter_names:
        layer = re.search(r"encoder\.layers\.(\d+)\.", name)
        if layer:
            depth = int(layer.group(1)) + 1
        elif "embeddings" in name:
            depth = 0
        else:
            depth = num_hidden_layers + 2
        factors[name] = decay ** (num_hidden_layers + 2 - depth)
    return factors

"""AdamW without bias correction, and the learning rates of layers."""

import re

import paddle

NO_DECAY = ("norm", "bias")  # parts of parameter names
CLIP_NORM = 1.0


class AdamWithoutBiasCorrection(paddle.optimizer.AdamW):
    """Paddle's fused AdamW with the powers of the betas held at 0, which leaves the correction factors at 1.

    Source: `AdamWeightDecayOptimizer` of the original, whose hyper-parameters assume it. Deviation: the kernel
    takes 1 - beta of betas already rounded to float32, which makes the second moment 1.3e-5 (relative) smaller;
    after 20 updates of up to 0.005 the parameters differ from the original's by at most 1.4e-6.
    """

    def _add_accumulator(self, name, param, *args, **kwargs):
        if name in (self._beta1_pow_acc_str, self._beta2_pow_acc_str):
            kwargs["fill_value"] = 0.0
        return super()._add_accumulator(name, param, *args, **kwargs)


def build_optimizer(model, schedule, weight_decay_rate=0.01, layer_factors=None):
    """The original's optimizer: betas 0.9 and 0.999, epsilon 1e-6, decay of all but biases and norms, clip at norm 1.

    Args:
        model: its parameters are optimized.
        schedule: an LRScheduler or a float.
        layer_factors: parameter name -> factor of the learning rate, for every parameter; see `layerwise_factors`.
    """
    names = {}
    for name, parameter in model.named_parameters():
        names[parameter.name] = name
        # Not AdamW's lr_ratio, which Paddle 3.3 lacks on CPUs, nor parameter groups, which are clipped one by one.
        parameter.optimize_attr["learning_rate"] = layer_factors[name] if layer_factors else 1.0
    return AdamWithoutBiasCorrection(
        learning_rate=schedule,
        beta1=0.9,
        beta2=0.999,
        epsilon=1e-6,
        parameters=model.parameters(),
        weight_decay=weight_decay_rate,
        apply_decay_param_fun=lambda name: not any(part in names[name].lower() for part in NO_DECAY),
        grad_clip=paddle.nn.ClipGradByGlobalNorm(CLIP_NORM),
    )


def layerwise_factors(parameter_names, num_hidden_layers, decay):
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

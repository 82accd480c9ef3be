"""Arrays under names: reading and writing safetensors, and filling a network strictly."""

import numpy as np

from electra_paddle.errors import CheckpointError


def save_tensors(tensors, path):
    """Write name -> Paddle tensor; PaddleNLP reads the file too."""
    from safetensors.numpy import save_file

    arrays = {name: np.ascontiguousarray(tensor.numpy()) for name, tensor in tensors.items()}
    save_file(arrays, path, metadata={"format": "np"})


def read_tensors(path):
    """name -> array of a .safetensors file.

    Raises:
        CheckpointError: no such file, or a damaged one.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    try:
        return load_file(path)
    except (OSError, SafetensorError) as error:
        reason = str(error).splitlines()[0]
        raise CheckpointError(path, f"no readable tensors ({reason})", "a safetensors file") from error


def assign(layer, arrays, source, prefix="", allow_extra=False):
    """Fill every parameter of a Layer from arrays[prefix + name]; only after all of them are found to fit.

    Args:
        source: the arrays' file, for messages.
        allow_extra: whether arrays without a parameter are passed over.

    Raises:
        CheckpointError: names the first parameter that is missing, left over or of another shape.
    """
    parameters = {prefix + name: parameter for name, parameter in layer.named_parameters()}
    for name, parameter in parameters.items():
        expected = f"{name} {list(parameter.shape)}"
        if name not in arrays:
            raise CheckpointError(source, f"no {name}", expected)
        if list(arrays[name].shape) != list(parameter.shape):
            raise CheckpointError(source, f"{name} {list(arrays[name].shape)}", expected)
    extra = sorted(set(arrays) - set(parameters))
    if extra and not allow_extra:
        raise CheckpointError(source, f"{extra[0]}, which this model lacks", f"{len(parameters)} parameters of the model")
    for name, parameter in parameters.items():
        parameter.set_value(arrays[name])

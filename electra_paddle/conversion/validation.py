"""Checks that converted networks compute what they should.

Shapes: B batch, L sequence, P masked positions, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from electra_paddle.batch import CorruptedBatch, MaskedBatch
from electra_paddle.config import Geometry
from electra_paddle.conversion.tensorflow import Layout
from electra_paddle.errors import CheckpointError, reason, some_of

if TYPE_CHECKING:
    from paddle.nn import Layer

    from electra_paddle.models.pretraining import ElectraForJointPretraining

TOLERANCE = 1e-5  # in float32, of up to 12 layers
LAYERS_OF_TOLERANCE = 12
HALF_TOLERANCE = 1e-2  # of logits that were stored in 16 bits
LENGTH = 16  # tokens of the sequences for a fingerprint
ROWS = ("input_ids", "segment_ids", "input_mask")  # [B, L], as the original names them
# network -> (names of its inputs in a file, name of its logits), after a case's prefix
PARTS = {
    "generator": (("gen_input_ids", "masked_lm_positions"), "gen_logits"),
    "discriminator": (("disc_input_ids",), "disc_logits"),
}


def load_networks(folder: Path, geometries: Mapping[str, Geometry], layout: Layout) -> ElectraForJointPretraining:
    """The joint model in evaluation mode, filled from the pretrained directories that were written.

    Args:
        folder: holds a pretrained directory for each network.
        geometries: network -> its Geometry.
        layout: says which parts the networks share.
    """
    from electra_paddle.models.pretraining import ElectraForJointPretraining, JointSettings
    from electra_paddle.models.warm_start import fill_networks

    model = ElectraForJointPretraining(
        geometries.get("generator"),
        geometries.get("discriminator"),
        JointSettings(
            untied_generator=layout.generator_body == "generator",
            untied_generator_embeddings=layout.generator_embeddings == "generator",
        ),
        seed=None,
    )
    fill_networks(model, {name: folder / name for name in geometries}, None)
    model.eval()
    return model


def fingerprint(model: ElectraForJointPretraining) -> list[str]:
    """Lines with statistics of each network's logits for fixed tokens, to compare two conversions."""
    ids, zeros, ones = fixed_rows(model.vocab_size)
    positions = np.tile(np.arange(LENGTH), (2, 1))
    logits = run(model, (ids, zeros, ones), ids, positions, ids)
    return [
        f"fingerprint of the {name}: logits from {values.min():.5f} to {values.max():.5f}, mean {values.mean():.5f}"
        for name, values in logits.items()
    ]


def fingerprint_of_task(network: Layer, task: str) -> list[str]:
    """Lines like those of `fingerprint`, of a task's network, for the same tokens."""
    ids, segments, mask = fixed_rows(network.electra.config.vocab_size)
    return [
        f"fingerprint of {task}: {name} from {values.min():.5f} to {values.max():.5f}, mean {values.mean():.5f}"
        for name, values in run_task(network, (ids, segments, mask)).items()
    ]


def check(model: ElectraForJointPretraining, path: str | Path, tolerance: float | None = None) -> list[str]:
    """Compare the logits of every network with those in a file.

    Args:
        path: .npz with `input_ids`, `input_mask` and `segment_ids` [B, L], and for some prefixes such as `B_`, or none,
            `gen_input_ids` [B, L], `masked_lm_positions` [B, P] and `gen_logits` [B, P, V] if there is a generator,
            `disc_input_ids` [B, L] and `disc_logits` [B, L] if there is a discriminator.
        tolerance: the largest difference of a logit; None: see `default_tolerance`.

    Returns:
        Lines with the largest differences.

    Raises:
        CheckpointError: the file cannot be read, lacks an array, or a logit differs by more.
    """
    golden = read_arrays(path)
    lines = []
    for network, (names, output) in PARTS.items():
        if getattr(model, network) is None:
            continue
        cases = sorted(name.removesuffix(names[0]) for name in golden if name.endswith(names[0]))
        if not cases:
            raise lacks(path, names[0], golden)
        for case in cases:
            sizes = getattr(model, network).electra.config
            inputs = integers(golden, [*ROWS, *(case + name for name in names)], path, sizes)
            rows, own = inputs[: len(ROWS)], inputs[len(ROWS) :]
            logits = run(model, rows, *(own if network == "generator" else [None, None, *own]))
            lines += compare({case + output: logits[network]}, golden, path, tolerance, num_layers(model))
    return lines


def check_task(network: Layer, path: str | Path, tolerance: float | None = None) -> list[str]:
    """Compare the logits of a task's network with those in a file, as `check` does.

    Args:
        path: .npz with `input_ids`, `input_mask` and `segment_ids` [B, L]; and `logits` [B, C] of classes, or
            `start_logits` [B, L] of a reader, and its `end_logits` where they do not depend on the start.
    """
    golden = read_arrays(path)
    logits = run_task(network, integers(golden, ROWS, path, network.electra.config))
    return compare(logits, golden, path, tolerance, len(network.electra.encoder.layers))


def default_tolerance(num_layers: int, stored: np.dtype[Any]) -> tuple[float, str]:
    """(the largest difference of a logit that rounding explains, why it is so much).

    Every layer rounds what the one before it rounded: networks of 12 layers stay below 1e-5, and one of 24 layers and
    512 hidden units was off by 1.1e-5.
    """
    if stored.itemsize < 4:
        return HALF_TOLERANCE, f"the file's logits are {stored}"
    if num_layers <= LAYERS_OF_TOLERANCE:
        return TOLERANCE, "float32"
    return TOLERANCE * num_layers / LAYERS_OF_TOLERANCE, f"float32, {num_layers} layers"


def compare(
    logits: Mapping[str, npt.NDArray[Any]],
    golden: Mapping[str, npt.NDArray[Any]],
    path: str | Path,
    tolerance: float | None,
    num_layers: int,
) -> list[str]:
    """Lines with the largest difference of each of the logits, which must be in the file under their names."""
    lines = []
    for name, values in logits.items():
        if name not in golden:
            raise lacks(path, name, golden)
        expected = golden[name]
        if expected.shape != values.shape:
            raise CheckpointError(path, f"{name} {list(expected.shape)}", f"{list(values.shape)}")
        if expected.dtype.kind != "f":
            raise CheckpointError(path, f"{name} {shown(expected)}", "logits in floating point")
        most, why = default_tolerance(num_layers, expected.dtype)
        if tolerance is not None:
            most, why = tolerance, "--tolerance"
        difference = np.abs(values - expected.astype("float64")).max()
        if not difference <= most:
            advice = "where more than rounding is no matter, --tolerance accepts it" if tolerance is None else ""
            raise CheckpointError(path, f"{name} off by {difference:.2g}", f"at most {most:.2g} ({why})", advice)
        lines.append(f"{path}: {name} within {difference:.2g} (at most {most:.2g}: {why})")
    return lines


def read_arrays(path: str | Path) -> dict[str, npt.NDArray[Any]]:
    """name -> array of a .npz file."""
    try:
        with np.load(path, allow_pickle=False) as file:
            return {name: file[name] for name in file.files}
    except Exception as error:  # numpy's reader raises any
        raise CheckpointError(path, f"no readable logits ({reason(error)})", "a .npz of inputs and logits") from error


def integers(golden: Mapping[str, npt.NDArray[Any]], names: Sequence[str], path: str | Path, sizes: Any) -> list[Any]:
    """Arrays of a file as whole numbers that a network takes.

    Args:
        names: of `ROWS` [B, L], token ids [B, L] and positions [B, P].
        sizes: of the network, an ElectraConfig.

    Raises:
        CheckpointError: one is missing, of another shape, or too large for the network.
    """
    for name in names:
        if name not in golden:
            raise lacks(path, name, golden)
        array = golden[name]
        if array.ndim != 2 or array.dtype.kind not in "iubf" or np.mod(array, 1).any():
            raise CheckpointError(path, f"{name} {shown(array)}", "whole numbers in rows")
    shape = golden[ROWS[0]].shape
    if shape[1] > sizes.max_position_embeddings:
        raise CheckpointError(path, f"{shape[1]} tokens a row", f"at most {sizes.max_position_embeddings}")
    limits = {"segment_ids": sizes.type_vocab_size, "input_mask": 2}
    for name in names:
        array, limit, expected = golden[name], limits.get(name, sizes.vocab_size), list(shape)
        if name.endswith("positions"):
            limit, expected = shape[1], [shape[0], array.shape[1]]
        if list(array.shape) != expected:
            raise CheckpointError(path, f"{name} {shown(array)}", f"{expected}, as {ROWS[0]} has")
        if array.size and not 0 <= array.min() <= array.max() < limit:
            raise CheckpointError(path, f"{name} from {array.min()} to {array.max()}", f"0 to {limit - 1}")
    return [golden[name].astype("int64") for name in names]


def shown(array: npt.NDArray[Any]) -> str:
    """An array's shape and type, for messages."""
    return f"{list(array.shape)} of {array.dtype}"


def lacks(path: str | Path, name: str, golden: Mapping[str, npt.NDArray[Any]]) -> CheckpointError:
    """The error of a file without an array that the comparison needs."""
    found = f"no {name} among {some_of(list(golden))}" if golden else "no arrays"
    return CheckpointError(path, found, f"{', '.join(ROWS)}, and inputs and logits of every network")


def num_layers(model: ElectraForJointPretraining) -> int:
    """The layers of the deeper network."""
    networks = [network for network in (model.generator, model.discriminator) if network is not None]
    return max(len(network.electra.encoder.layers) for network in networks)


def fixed_rows(vocab_size: int) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """(input_ids, token_type_ids, attention_mask) of a fingerprint, [2, LENGTH]."""
    ids = (np.arange(2 * LENGTH).reshape(2, LENGTH) * 7919 % vocab_size).astype("int64")
    return ids, np.zeros_like(ids), np.ones_like(ids)


def run_task(network: Layer, rows: Sequence[npt.NDArray[np.int64]]) -> dict[str, npt.NDArray[Any]]:
    """Name -> logits of a task's network: what does not depend on anything but (ids, segments, mask) [B, L]."""
    import paddle

    with paddle.no_grad():
        output = network(*(paddle.to_tensor(array) for array in rows))
    if not hasattr(output, "start_logits"):
        return {"logits": output.numpy()}
    logits = {"start_logits": output.start_logits.numpy()}
    if output.beam is None:  # else they depend on the start
        logits["end_logits"] = output.end_logits.numpy()
    return logits


def run(
    model: ElectraForJointPretraining,
    rows: Sequence[npt.NDArray[np.int64]],
    generator_ids: npt.NDArray[np.int64] | None,
    positions: npt.NDArray[np.int64] | None,
    discriminator_ids: npt.NDArray[np.int64] | None = None,
) -> dict[str, npt.NDArray[Any]]:
    """Network -> logits: [B, P, V] of the generator, [B, L] of the discriminator.

    Args:
        rows: (input_ids, token_type_ids, attention_mask), each [B, L].
        generator_ids: [B, L] input of the generator; None: it is not asked.
        positions: [B, P] positions of the generator's logits.
        discriminator_ids: [B, L] input of the discriminator; None: it is not asked.
    """
    import paddle

    input_ids, token_type_ids, attention_mask = (paddle.to_tensor(array) for array in rows)
    unused = paddle.zeros([1])  # in place of labels and weights, on which logits do not depend

    def tensor(array: npt.NDArray[np.int64] | None) -> Any:
        return unused if array is None else paddle.to_tensor(array)

    batch = MaskedBatch(
        input_ids,
        token_type_ids,
        attention_mask,
        masked_input_ids=tensor(generator_ids),
        masked_positions=tensor(positions),
        masked_labels=unused,
        masked_weights=unused,
        sampling_uniforms=unused,
        mlm_normalizer=unused,
        rtd_normalizer=unused,
    )
    logits = {}
    with paddle.no_grad():
        if model.generator is not None and generator_ids is not None:
            logits["generator"] = model.generate(batch).numpy()
        if model.discriminator is not None and discriminator_ids is not None:
            corrupted = CorruptedBatch(tensor(discriminator_ids), unused)
            logits["discriminator"] = model.discriminate(corrupted, batch)[0].numpy()
    return logits

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
from electra_paddle.errors import CheckpointError

if TYPE_CHECKING:
    from electra_paddle.models.pretraining import ElectraForJointPretraining

TOLERANCE = 1e-5
LENGTH = 16  # tokens of the sequences for a fingerprint


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
    ids = (np.arange(2 * LENGTH).reshape(2, LENGTH) * 7919 % model.vocab_size).astype("int64")
    ones, zeros = np.ones_like(ids), np.zeros_like(ids)
    positions = np.tile(np.arange(LENGTH), (2, 1))
    logits = run(model, (ids, zeros, ones), ids, positions, ids)
    return [
        f"fingerprint of the {name}: logits from {values.min():.5f} to {values.max():.5f}, mean {values.mean():.5f}"
        for name, values in logits.items()
    ]


def check(model: ElectraForJointPretraining, path: str | Path) -> list[str]:
    """Compare the logits of each network with those in a file.

    Args:
        path: .npz with `input_ids`, `input_mask` and `segment_ids` [B, L], and for some prefixes such as `B_`
            `gen_input_ids` [B, L], `masked_lm_positions` [B, P], `gen_logits` [B, P, V], `disc_input_ids` [B, L] and
            `disc_logits` [B, L].

    Returns:
        Lines with the largest differences.

    Raises:
        CheckpointError: the file cannot be read, or a logit differs by more than 1e-5.
    """
    try:
        with np.load(path, allow_pickle=False) as file:
            golden = {name: file[name] for name in file.files}
        cases = [name.removesuffix("gen_input_ids") for name in golden if name.endswith("gen_input_ids")]
        rows = [golden[name].astype("int64") for name in ("input_ids", "segment_ids", "input_mask")]
    except (OSError, ValueError, KeyError) as error:
        raise CheckpointError(path, f"no readable logits ({error})", "a .npz of inputs and logits") from error
    lines = []
    for case in cases:
        inputs = [golden[case + name] for name in ("gen_input_ids", "masked_lm_positions", "disc_input_ids")]
        logits = run(model, rows, *(array.astype("int64") for array in inputs))
        for name, short in (("generator", "gen"), ("discriminator", "disc")):
            if name in logits:
                difference = np.abs(logits[name] - golden[f"{case}{short}_logits"]).max()
                if not difference <= TOLERANCE:
                    raise CheckpointError(
                        path, f"{case}{short}_logits off by {difference:.2g}", f"at most {TOLERANCE:.0e}"
                    )
                lines.append(f"{path}: {case}{short}_logits within {difference:.2g}")
    return lines


def run(
    model: ElectraForJointPretraining,
    rows: Sequence[npt.NDArray[np.int64]],
    generator_ids: npt.NDArray[np.int64],
    positions: npt.NDArray[np.int64],
    discriminator_ids: npt.NDArray[np.int64],
) -> dict[str, npt.NDArray[Any]]:
    """Network -> logits: [B, P, V] of the generator, [B, L] of the discriminator.

    Args:
        rows: (input_ids, token_type_ids, attention_mask), each [B, L].
        generator_ids: [B, L] input of the generator.
        positions: [B, P] positions of the generator's logits.
        discriminator_ids: [B, L] input of the discriminator.
    """
    import paddle

    input_ids, token_type_ids, attention_mask = (paddle.to_tensor(array) for array in rows)
    unused = paddle.zeros([1])  # in place of labels and weights, on which logits do not depend
    batch = MaskedBatch(
        input_ids,
        token_type_ids,
        attention_mask,
        masked_input_ids=paddle.to_tensor(generator_ids),
        masked_positions=paddle.to_tensor(positions),
        masked_labels=unused,
        masked_weights=unused,
        sampling_uniforms=unused,
        mlm_normalizer=unused,
        rtd_normalizer=unused,
    )
    logits = {}
    with paddle.no_grad():
        if model.generator is not None:
            logits["generator"] = model.generate(batch).numpy()
        if model.discriminator is not None:
            corrupted = CorruptedBatch(paddle.to_tensor(discriminator_ids), unused)
            logits["discriminator"] = model.discriminate(corrupted, batch)[0].numpy()
    return logits

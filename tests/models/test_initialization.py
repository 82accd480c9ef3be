"""Initial weights by distribution: a Kolmogorov-Smirnov test of every parameter of both networks."""

import numpy as np
import pytest
from scipy import stats

from electra_paddle.config.geometry import discriminator_geometry, generator_geometry
from electra_paddle.models.pretraining import ElectraForJointPretraining

STD = 0.02
TRUNCATED_NORMAL = stats.truncnorm(-2, 2, scale=STD)
SMALLEST_P = 1e-4  # of about 60 parameters' p values; the numbers are the same in every run
GLOROT = {  # what the original leaves to TensorFlow's default
    "generator.electra.embeddings_project.weight",
    "discriminator.electra.embeddings_project.weight",
    "discriminator.discriminator_predictions.dense_prediction.weight",
}


@pytest.fixture(scope="module")
def weights():
    shape = discriminator_geometry("small", 500, 96, {"hidden_size": 128, "num_hidden_layers": 2})
    model = ElectraForJointPretraining(generator_geometry(shape), shape, seed=5)
    return {name: parameter.numpy() for name, parameter in model.named_parameters()}


def glorot(shape):
    limit = np.sqrt(6 / sum(shape))
    return stats.uniform(-limit, 2 * limit)


def is_norm(name):
    return "norm" in name.split(".")[-2]


def drawn(weights):
    """Those that are neither a bias nor a layer norm's."""
    return {name: array for name, array in weights.items() if not is_norm(name) and not name.endswith("bias")}


def p_value(array, distribution):
    return stats.kstest(array.ravel().astype("f8"), distribution.cdf, method="asymp").pvalue


def test_every_parameter_of_both_networks_has_the_distribution_of_the_original(weights):
    assert set(drawn(weights)) > GLOROT
    for name, array in weights.items():
        if name in GLOROT:
            assert p_value(array, glorot(array.shape)) > SMALLEST_P, name
        elif name in drawn(weights):
            assert p_value(array, TRUNCATED_NORMAL) > SMALLEST_P, name
            assert np.abs(array).max() <= np.float32(2 * STD), name
        else:
            assert (array == (1 if name.endswith("weight") else 0)).all(), name


def test_all_parameters_together_have_the_distribution_of_the_original(weights):
    arrays = drawn(weights)
    glorots = np.concatenate([(arrays[name] * np.sqrt(sum(arrays[name].shape) / 6)).ravel() for name in GLOROT])
    normals = np.concatenate([array.ravel() for name, array in arrays.items() if name not in GLOROT])
    assert p_value(glorots, stats.uniform(-1, 2)) > SMALLEST_P
    assert p_value(normals, TRUNCATED_NORMAL) > SMALLEST_P


@pytest.mark.parametrize(
    "other",
    [
        stats.norm(scale=STD),  # PaddleNLP's
        stats.norm(scale=TRUNCATED_NORMAL.std()),
        stats.truncnorm(-2, 2, scale=STD / TRUNCATED_NORMAL.std() * STD),  # cut, and then brought to the full spread
        glorot((128, 128)),
    ],
)
def test_other_distributions_would_be_noticed(weights, other):
    for name, array in drawn(weights).items():
        if name not in GLOROT and array.size >= 10_000:
            assert p_value(array, other) < SMALLEST_P, name
    for name in GLOROT:
        assert p_value(weights[name], TRUNCATED_NORMAL) < SMALLEST_P, name


def test_no_two_parameters_are_drawn_alike(weights):
    arrays = drawn(weights)
    assert len({array.ravel()[:16].tobytes() for array in arrays.values()}) == len(arrays)

import dataclasses

import pytest
from conftest import ROOT

from electra_paddle.config import PretrainingConfig, load_config
from electra_paddle.pretraining import cost


@pytest.mark.parametrize(
    ("size", "generator", "discriminator", "total"),
    [  # published: a generator by itself, a discriminator with its head, the whole graph
        ("small", 3_408_200, 12_346_625, 12_984_393),
        ("small_ex", 6_795_208, 24_561_153, 25_815_497),
        ("base", 22_279_496, 102_268_417, 107_925_321),
        ("large", 41_666_440, 325_523_457, 345_026_441),
    ],
)
def test_parameters_are_the_published_ones(size, generator, discriminator, total):
    config = load_config(PretrainingConfig, ROOT / f"configs/model/{size}.yaml")
    assert cost.num_parameters(config, *config.geometries(21128)) == (generator, discriminator, total)
    assert cost.checkpoint_bytes(total) == 12 * total


@pytest.mark.parametrize(
    "options",
    [
        {"untied_generator": False},
        {"untied_generator_embeddings": True},
        {"electra_objective": False},
        {"uniform_generator": True},
    ],
)
def test_parameters_of_the_other_objectives_are_the_models(options):
    from electra_paddle.models.initialization import num_parameters
    from electra_paddle.models.pretraining import ElectraForJointPretraining, JointSettings

    config = PretrainingConfig(
        embedding_size=8, model_hparam_overrides={"hidden_size": 16, "num_hidden_layers": 1}, **options
    )
    model = ElectraForJointPretraining(*config.geometries(50), JointSettings.of(config))
    of_networks = [num_parameters(net) if net else 0 for net in (model.generator, model.discriminator)]
    assert cost.num_parameters(config, *config.geometries(50)) == (*of_networks, num_parameters(model))


def test_memory_of_more_processes_is_that_of_fewer_sequences():
    config = load_config(PretrainingConfig, ROOT / "configs/model/small.yaml")
    shapes = config.geometries(21128)
    one, four = cost.memory(config, *shapes), cost.memory(config, *shapes, num_processes=4)
    assert (four.activations, four.logits) == (one.activations / 4, one.logits / 4)
    assert four.gradients == one.gradients == one.parameters == one.moments / 2
    assert one.total == pytest.approx(sum(vars(one).values()) - one.checkpoint - one.evaluation)


def test_accumulated_parts_recomputed_layers_and_shared_moments_take_less():
    config = load_config(PretrainingConfig, ROOT / "configs/model/small.yaml")
    shapes = config.geometries(21128)
    plain = cost.memory(config, *shapes, num_processes=4)
    parts = cost.memory(dataclasses.replace(config, gradient_accumulation_steps=2), *shapes, num_processes=4)
    assert (parts.activations, parts.logits) == (plain.activations / 2, plain.logits / 2)
    shared = cost.memory(dataclasses.replace(config, sharding_stage=1), *shapes, num_processes=4)
    assert shared.moments == plain.moments / 4
    again = cost.memory(dataclasses.replace(config, recompute=True), *shapes, num_processes=4)
    assert plain.activations / 12 < again.activations < plain.activations / 6  # one of twelve layers and all inputs


def test_the_highest_of_update_evaluation_and_checkpoint_decides():
    config = load_config(PretrainingConfig, ROOT / "configs/model/base.yaml")
    few = cost.memory(dataclasses.replace(config, train_batch_size=2), *config.geometries(21128))
    assert few.total == pytest.approx(few.runtime + 7 * few.parameters)  # twice the moments while they are written
    many = cost.memory(config, *config.geometries(21128))
    assert many.total == pytest.approx(many.runtime + 4 * many.parameters + many.activations + many.logits)
    tiny = dataclasses.replace(config, train_batch_size=1, embedding_size=8, model_hparam_overrides={"hidden_size": 8})
    tiny = cost.memory(tiny, *tiny.geometries(21128))
    assert tiny.total == pytest.approx(tiny.runtime + 3 * tiny.parameters + tiny.evaluation)

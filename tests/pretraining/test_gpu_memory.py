"""The estimate beside numbers computed by hand, and beside what Paddle's operators keep on a CPU in float32."""

import dataclasses

import pytest

from electra_paddle.config import PretrainingConfig
from electra_paddle.config.geometry import Geometry
from electra_paddle.pretraining import gpu_memory as estimate

TINY = Geometry(
    vocab_size=50,
    embedding_size=8,
    hidden_size=16,
    num_hidden_layers=2,
    num_attention_heads=2,
    intermediate_size=32,
    max_position_embeddings=16,
)
LENGTH = 10
CONFIG = PretrainingConfig(
    uniform_generator=True, max_seq_length=LENGTH, mask_prob=0.2, train_batch_size=8, eval_batch_size=1
)


def tiny(num_processes=1, **changes):
    return estimate.gpu_memory(dataclasses.replace(CONFIG, **changes), None, TINY, num_processes)


def test_layer_keeps_what_is_computed_by_hand():
    # float32: input, q, k, v, probabilities (20 a token), context, inputs of two feed-forward products: 148 numbers;
    # two norms with four statistics, GELU's input, the softmax: 88; a byte for each number that dropout sees: 52.
    assert estimate.layer_bytes(TINY, LENGTH) == 4 * 148 + 4 * 88 + 52 == 996
    # half: those 148 numbers in two bytes.
    assert estimate.layer_bytes(TINY, LENGTH, is_half=True) == 2 * 148 + 4 * 88 + 52 == 700


def test_recomputed_layers_keep_their_inputs_and_one_layer():
    embeddings = 3 * 8 + 4 * (16 + 2) + 8
    assert estimate.embedding_bytes(TINY) == embeddings == 104
    assert estimate.activation_bytes(TINY, LENGTH) == 2 * 996 + embeddings
    assert estimate.activation_bytes(TINY, LENGTH, recompute=True) == 996 + 2 * 4 * 16 + embeddings


def test_memory_is_the_sum_of_its_parts():
    memory = tiny()
    # word, position and type embeddings with a norm: (50 + 16 + 2 + 2) * 8; projection (8 + 1) * 16; two layers of
    # 4 * 17 * 16 + 2 * 16 * 32 + 16 + 32 + 4 * 16; head 17 * 16 + 17.
    numbers = 560 + 144 + 2 * 2224 + 289
    assert (memory.weights, memory.gradients, memory.moments) == (4 * numbers, 4 * numbers, 8 * numbers)
    assert memory.half_copies == memory.messages == 0
    assert memory.joined == 4 * 2 * (2 * 3 * 16 * 16 + 3 * 16)
    assert memory.activations == pytest.approx(1.1 * 8 * LENGTH * (2 * 996 + 104 + 3 * 4 * 32))
    assert memory.logits == pytest.approx(1.1 * 16 * 8 * 2 * 50)  # two masked positions in each of eight sequences
    assert memory.evaluation == pytest.approx(1.1 * 16 * 204 * 2 * 50)  # 2048 // 10 sequences at once
    assert memory.total == pytest.approx(
        1.2e9 + 16 * numbers + memory.joined + max(memory.activations + memory.logits, memory.evaluation)
    )


def test_half_precision_adds_copies_of_the_weights_and_processes_share_the_rest():
    whole, half = tiny(), tiny(precision="bf16")
    assert half.weights == whole.weights and half.half_copies == whole.weights / 2
    assert half.activations < whole.activations and half.logits == whole.logits
    two = tiny(2)
    assert (two.activations, two.logits) == (whole.activations / 2, whole.logits / 2)
    assert two.messages == two.gradients and tiny(2, recompute=True).messages == 0
    assert tiny(2, sharding_stage=1).moments == whole.moments / 2
    assert tiny(gradient_accumulation_steps=4).activations == whole.activations / 4


def test_master_weights_leave_half_of_the_gradients():
    half, masters = tiny(precision="bf16"), tiny(precision="bf16_o2")
    assert (masters.weights, masters.half_copies, masters.moments) == (half.weights, half.half_copies, half.moments)
    assert (masters.gradients, masters.joined) == (half.gradients / 2, half.joined / 2)
    assert (masters.activations, masters.logits) == (half.activations, half.logits)
    assert tiny(2, precision="bf16_o2").messages == masters.gradients


def test_layers_keep_what_paddle_s_operators_save(monkeypatch):
    """With the layers of a GPU, whose arithmetic is Paddle's own."""
    import paddle
    from paddlenlp.transformers import ElectraConfig, ElectraModel

    from electra_paddle.models import encoder

    monkeypatch.setattr(encoder, "runs_on_cpu", lambda x: False)
    saved = {}

    def note(tensor):
        saved[tensor.data_ptr()] = tensor
        return tensor

    network = ElectraModel(ElectraConfig(**dataclasses.asdict(TINY)))
    encoder.speed_up(network)
    network.train()
    ids = paddle.ones([3, LENGTH], "int64")
    with paddle.autograd.saved_tensors_hooks(note, lambda tensor: tensor):
        network(ids, token_type_ids=paddle.zeros_like(ids), attention_mask=paddle.ones_like(ids))
    weights = {parameter.data_ptr() for parameter in network.parameters()}
    kept = sum(t.element_size() * int(t.size) for place, t in saved.items() if place not in weights)
    of_mask = 4 * 3  # a number for each sequence
    expected = 3 * LENGTH * estimate.activation_bytes(TINY, LENGTH) + estimate.joined_bytes(TINY) + of_mask
    assert kept == expected


def test_largest_part_of_a_batch_that_fits_is_found():
    config = estimate.published_recipe("base")
    count = estimate.most_sequences(config, 24)
    shapes = config.geometries(estimate.VOCAB_SIZE)
    parts = {"gradient_accumulation_steps": config.train_batch_size // count}
    memory = estimate.gpu_memory(dataclasses.replace(config, **parts), *shapes)
    assert estimate.cards_that_fit(memory.total) == [24, 40, 80]
    more = {"gradient_accumulation_steps": config.train_batch_size // (2 * count)}
    assert estimate.cards_that_fit(estimate.gpu_memory(dataclasses.replace(config, **more), *shapes).total) == [40, 80]
    assert estimate.most_sequences(config, 3) == 0
    assert estimate.cards_that_fit(81e9) == []


def test_recipes_are_those_of_the_files():
    config = estimate.published_recipe("large")
    assert (config.model_size, config.train_batch_size, config.max_seq_length) == ("large", 96, 512)

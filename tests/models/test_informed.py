"""The informed initialisation by what it promises."""

import dataclasses

import numpy as np
import paddle
import pytest
from scipy import sparse

from electra_paddle.config.geometry import discriminator_geometry, generator_geometry
from electra_paddle.errors import ConfigError
from electra_paddle.models.informed import (
    continue_positions,
    frequencies,
    inform,
    num_frequencies,
    offset_of,
    position_table,
    rotation,
    word_vectors,
)
from electra_paddle.models.pretraining import ElectraForJointPretraining, JointSettings

VOCAB_SIZE = 300


@pytest.fixture(scope="module")
def counts():
    """Pairs of a text in which each token of the first half is followed by some of the second half, and back."""
    rng = np.random.default_rng(0)
    rows, columns = rng.integers(0, VOCAB_SIZE, (2, 20_000))
    return sparse.csr_array((np.ones(20_000), (rows, columns)), shape=(VOCAB_SIZE, VOCAB_SIZE))


def build(counts, hidden=64, embedding=64, heads=1, share=0.5, seed=0, **options):
    shape = discriminator_geometry(
        "small", VOCAB_SIZE, embedding, {"hidden_size": hidden, "num_hidden_layers": 3, "num_attention_heads": heads}
    )
    networks = (generator_geometry(shape, share, 1.0, options.get("untied_generator_embeddings", False)), shape)
    if options.pop("alone", False):
        networks = (shape, None)
    if options.pop("uniform", False):
        networks = (None, shape)
    if options.get("untied_generator") is False:
        networks = (shape, shape)
    model = ElectraForJointPretraining(*networks, JointSettings(**options), seed)
    inform(model, counts, seed)
    model.eval()
    return model


def test_head_numbers_become_offsets_from_near_to_far():
    assert [offset_of(head) for head in range(6)] == [-1, 1, -2, 2, -3, 3]


@pytest.mark.parametrize("offset", [-3, -1, 1, 2])
def test_rotation_moves_positions_by_the_offset(offset):
    table = position_table(512, 32, 16).astype("f8")
    moved = table @ rotation(offset, 16)
    places = np.arange(3, 509)
    assert np.abs(moved[places] - table[places + offset]).max() < 1e-6


def test_no_other_position_of_512_resembles_a_neighbour():
    angles = np.arange(512)[:, None] * frequencies(16)
    likeness = np.cos(angles - frequencies(16)).mean(axis=1)  # of each distance to distance 1
    assert likeness[1] == pytest.approx(1)
    assert np.delete(likeness, 1).max() < 0.75


def attention_of(electra, number, hidden):
    """[N, L, L] probabilities of one layer."""
    attention = electra.encoder.layers[number].self_attn
    query, key = (
        project(hidden).reshape([1, hidden.shape[1], attention.num_heads, attention.head_dim])
        for project in (attention.q_proj, attention.k_proj)
    )
    scores = paddle.einsum("bind,bjnd->bnij", query, key) / attention.head_dim**0.5
    return paddle.nn.functional.softmax(scores)[0].numpy()


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"hidden": 128, "heads": 2},
        {"hidden": 128, "heads": 4},
        {"hidden": 96, "embedding": 64, "heads": 3},
        {"hidden": 64, "embedding": 128},
        {"alone": True},
        {"uniform": True},
        {"untied_generator": False},
        {"untied_generator_embeddings": True, "hidden": 128, "embedding": 128},
    ],
    ids=str,
)
def test_heads_of_the_first_layer_look_at_their_neighbours(counts, options):
    model = build(counts, **options)
    for length, least in ((128, 0.5), (512, 0.3 if model.discriminator and options.get("hidden", 64) > 64 else 0.1)):
        ids = paddle.to_tensor(np.random.default_rng(1).integers(0, VOCAB_SIZE, (1, length)))
        for network in filter(None, (model.generator, model.discriminator)):
            electra = network.electra
            hidden = electra.embeddings(ids)
            if hasattr(electra, "embeddings_project"):
                hidden = electra.embeddings_project(hidden)
            for head, probabilities in enumerate(attention_of(electra, 0, hidden)):
                offset, places = offset_of(head), np.arange(4, length - 4)
                assert probabilities[places, places + offset].mean() > least, (head, offset)
                if length == 128:
                    assert (probabilities[places].argmax(axis=1) == places + offset).mean() > 0.9, (head, offset)


def test_values_arrive_in_about_the_size_of_what_stands_there(counts):
    model = build(counts, hidden=128, heads=2)
    for number, layer in enumerate(model.discriminator.electra.encoder.layers):
        spread = float(layer.self_attn.v_proj.weight.std())
        assert spread == pytest.approx(0.7 / 128**0.5 if number < 2 else 0.0176, rel=0.05)


def test_word_vectors_are_the_factors_of_what_hand_computation_says():
    table = np.array([[0, 30, 0, 6], [6, 0, 24, 0], [30, 0, 0, 6], [0, 6, 12, 0]], float)
    before, after = table.sum(axis=1), table.sum(axis=0)
    smoothed = after**0.75 / (after**0.75).sum()
    with np.errstate(divide="ignore"):
        information = np.maximum(np.log(table / before[:, None] / smoothed), 0)
    left, values, right = np.linalg.svd(information)
    vectors, is_known = word_vectors(sparse.csr_array(table), 6, 2.0)
    expected = np.concatenate([left[:, :3] * values[:3] ** 0.25, right.T[:, :3] * values[:3] ** 0.25], axis=1)
    expected *= 2 / np.linalg.norm(expected, axis=1, keepdims=True)
    assert is_known.all()
    assert np.abs(vectors @ vectors.T - expected @ expected.T).max() < 1e-5  # the factors' signs are free


def test_rare_words_keep_their_random_vectors(counts):
    few = counts.tolil()
    few[7, :] = 0
    few[7, 8] = 4
    shape = discriminator_geometry("small", VOCAB_SIZE, 64, {"hidden_size": 64, "num_hidden_layers": 3})
    random = ElectraForJointPretraining(generator_geometry(shape, 0.5), shape)
    before, after = (
        model.discriminator.electra.embeddings.word_embeddings.weight.numpy()[:, :48]
        for model in (random, build(few.tocsr()))
    )
    kept = (before == after).all(axis=1)
    assert kept[7]
    assert not kept[8:].any()


def test_shared_embeddings_stay_shared_and_seeds_fix_every_weight(counts):
    one, two, other = (build(counts, hidden=128, heads=2, seed=seed) for seed in (3, 3, 4))
    assert one.generator.electra.embeddings is one.discriminator.electra.embeddings
    pairs = zip(one.parameters(), two.parameters(), strict=True)
    assert all((a.numpy() == b.numpy()).all() for a, b in pairs)
    assert (one.discriminator.electra.encoder.layers[2].linear1.weight.numpy()
            != other.discriminator.electra.encoder.layers[2].linear1.weight.numpy()).any()  # fmt: skip


def test_untrained_positions_continue_the_waves_of_trained_ones():
    rng = np.random.default_rng(0)
    drift = rng.standard_normal((32, 48)) / 6  # training turns and moves the waves
    waves = np.concatenate([position_table(512, 48, 8)[:, 32:] @ drift[:16], np.zeros((512, 0))], axis=1) + 0.01
    trained = waves + 0.001 * rng.standard_normal(waves.shape)
    trained[128:] = position_table(512, 48, 8)[128:]
    trained[0] = 1  # [CLS] stands there
    continued, share = continue_positions(trained.astype("f4"), 128, 8)
    assert (continued[:128] == trained[:128].astype("f4")).all() and continued.dtype == np.float32
    assert 0.8 < share < 1 and np.abs(continued - waves)[128:].max() < 0.002


@pytest.mark.parametrize("num_trained", [30, 128])  # too few rows to tell, and rows without waves
def test_positions_without_waves_are_left_as_they_are(num_trained):
    table = np.random.default_rng(0).standard_normal((512, 48)).astype("f4")
    continued, share = continue_positions(table, num_trained, 8)
    assert continued is None and share < 0.3


def test_counts_of_another_vocabulary_and_narrow_networks_are_refused(counts):
    with pytest.raises(ConfigError, match="counts of 20 tokens"):
        build(sparse.csr_array((20, 20)))
    shape = discriminator_geometry("small", VOCAB_SIZE, 64, {"hidden_size": 64, "num_attention_heads": 16})
    with pytest.raises(ConfigError, match="16 heads"):
        num_frequencies([None, shape])
    with pytest.raises(ConfigError, match="embedding_size 24"):
        num_frequencies([dataclasses.replace(shape, embedding_size=24, num_attention_heads=1)])


def test_paddlenlp_loads_what_was_informed(counts, tmp_path):
    from paddlenlp.transformers import ElectraModel

    from electra_paddle.models.pretrained_directory import save_pretrained
    from electra_paddle.text import Vocabulary

    model = build(counts, hidden=128, heads=2)
    tokens = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *map(chr, range(0x4E00, 0x4E00 + VOCAB_SIZE - 5))]
    save_pretrained(model.discriminator, tmp_path / "net", Vocabulary(tokens), True, "card")
    theirs = ElectraModel.from_pretrained(str(tmp_path / "net"))
    theirs.eval()
    ids = paddle.to_tensor(np.arange(5, 69)[None])
    assert np.abs(theirs(ids).numpy() - model.discriminator.electra(ids).numpy()).max() < 1e-4

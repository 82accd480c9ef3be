import json

import numpy as np
import paddle
import pytest
from conftest import ROOT, assert_close
from paddlenlp.transformers import ElectraConfig, ElectraModel, ElectraTokenizer

from electra_paddle import runtime
from electra_paddle.batch import MaskedBatch
from electra_paddle.config.geometry import discriminator_geometry, generator_geometry
from electra_paddle.errors import CheckpointError
from electra_paddle.models import pretrained_directory as pretrained
from electra_paddle.models import sampling
from electra_paddle.models.heads import ElectraClassifier
from electra_paddle.models.initialization import initial_value, num_parameters
from electra_paddle.models.pretraining import ElectraForJointPretraining, JointSettings
from electra_paddle.models.sampling import corrupt, sample_by_gumbel, sample_tokens
from electra_paddle.models.task_losses import classification_loss
from electra_paddle.pretraining.batch_metrics import area_under_roc, pretraining_metrics
from electra_paddle.text import Vocabulary

WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *(chr(0x4E00 + number) for number in range(45))]


def tiny_shape(**overrides):
    shape = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, **overrides}
    return discriminator_geometry("small", len(WORDS), 16, shape)


@pytest.fixture
def joint():
    shape = tiny_shape()
    return ElectraForJointPretraining(generator_geometry(shape), shape)


def masked_batch(input_ids, positions, weights):
    ids = paddle.to_tensor(input_ids)
    positions = paddle.to_tensor(positions)
    weights = paddle.to_tensor(weights, dtype="float32")
    labels = paddle.take_along_axis(ids, positions, axis=1)
    ones = paddle.ones_like(ids)
    normalizers = weights.sum(), ones.astype("float32").sum()
    uniforms = paddle.rand(positions.shape)
    return MaskedBatch(ids, ids * 0, ones, ids, positions, labels, weights, uniforms, *normalizers)


def test_sampled_original_token_is_not_replaced():
    batch = masked_batch([[2, 10, 11, 12, 3]], [[1, 3, 0]], [[1, 1, 0]])
    ids, is_replaced = corrupt(batch, paddle.to_tensor([[10, 40, 41]]))
    assert ids.tolist() == [[2, 10, 11, 40, 3]]
    assert is_replaced.tolist() == [[0, 0, 0, 1, 0]]


@pytest.mark.usefixtures("both_branches")
def test_samples_follow_the_softmax():
    probabilities = np.array([0.1, 0.2, 0.7], "float32")
    logits = paddle.to_tensor(np.broadcast_to(np.log(probabilities), (100, 200, 3)))
    labels = paddle.full([100, 200], 2, dtype="int64")
    evenly = paddle.to_tensor((np.arange(20_000, dtype="float32") / 20_000).reshape(100, 200))
    gumbel = paddle.to_tensor(np.random.default_rng(1).random((100, 200, 3), "float32"))
    for sample, uniforms, tolerance in ((sample_tokens, evenly, 1e-4), (sample_by_gumbel, gumbel, 0.015)):
        shares = np.bincount(sample(logits, labels, uniforms).numpy().ravel(), minlength=3) / 20_000
        assert_close(shares, probabilities, atol=tolerance)
        colder = np.bincount(sample(logits, labels, uniforms, temperature=0.5).numpy().ravel(), minlength=3) / 20_000
        assert_close(colder, probabilities**2 / (probabilities**2).sum(), atol=tolerance)
        assert (sample(logits, labels, uniforms, disallow_correct=True).numpy() != 2).all()


@pytest.mark.usefixtures("both_branches")
@pytest.mark.parametrize("vocab_size", [1, 127, 128, 129, 257, 514, 1000])
def test_sampled_token_is_where_the_distribution_function_passes_the_number(vocab_size):
    rng = np.random.default_rng(vocab_size)
    logits = (3 * rng.standard_normal((3, 40, vocab_size))).astype("float32")
    uniforms = rng.random((3, 40), "float32")
    uniforms[0, :2] = 0, np.nextafter(np.float32(1), np.float32(0))
    found = sample_tokens(*map(paddle.to_tensor, (logits, np.zeros((3, 40), "int64"), uniforms))).numpy()
    cumulative = np.exp(logits.astype("f8")).cumsum(axis=-1)
    cumulative /= cumulative[..., -1:]
    upper = np.take_along_axis(cumulative, found[..., None], axis=-1)[..., 0]
    lower = np.where(found > 0, np.take_along_axis(cumulative, found[..., None] - 1, axis=-1)[..., 0], 0)
    nowhere = paddle.full([1, 1, vocab_size], float("nan"))
    token = sample_tokens(nowhere, paddle.zeros([1, 1], "int64"), paddle.to_tensor([[0.5]]))
    assert 0 <= int(token) < vocab_size  # a run that breaks down does so with its own message
    assert (uniforms <= upper + 1e-6).all() and (uniforms >= lower - 1e-6).all()


@pytest.mark.parametrize("vocab_size", [300, 1009, 21128])
def test_gpus_draw_the_same_tokens_in_another_way(gpu_branches, vocab_size):
    rng = np.random.default_rng(0)
    logits = (2 * rng.standard_normal((4, 50, vocab_size))).astype("float32")
    uniforms = rng.random((4, 50), "float32")
    expected = sampling.invert_on_cpu(logits, uniforms)
    found = sample_tokens(*map(paddle.to_tensor, (logits, np.zeros((4, 50), "int64"), uniforms))).numpy()
    assert (found == expected).mean() > 0.98 and np.abs(found - expected).max() <= 1  # rounding at a token's edge


def test_networks_share_the_whole_embedding_block_and_nothing_else(joint):
    generator, discriminator = joint.generator, joint.discriminator
    shared = {id(p) for p in generator.parameters()} & {id(p) for p in discriminator.parameters()}
    assert shared == {id(p) for p in discriminator.electra.embeddings.parameters()}
    assert len(shared) == 5
    assert generator.electra.embeddings_project.weight.shape == [16, 8]
    assert discriminator.electra.embeddings_project.weight.shape == [16, 32]


BATCH = [[2, *range(5, 15), 3]] * 2, [[1, 4, 6]] * 2, [[1, 1, 1]] * 2


def test_generator_may_have_embeddings_of_its_own_width():
    shape = tiny_shape()
    generator = generator_geometry(shape, has_own_embeddings=True)
    model = ElectraForJointPretraining(generator, shape, JointSettings(untied_generator_embeddings=True))
    assert model.generator.electra.embeddings.word_embeddings.weight.shape == [len(WORDS), 8]
    parts = (generator.num_embedding_parameters, generator.num_encoder_parameters, generator.num_mlm_head_parameters)
    parts += (shape.num_embedding_parameters, shape.num_encoder_parameters, shape.num_rtd_head_parameters)
    assert num_parameters(model) == sum(parts)
    model(masked_batch(*BATCH)).rtd_loss.backward()
    words = model.generator.electra.embeddings.word_embeddings.weight
    assert words.grad is None or not words.grad.numpy().any()


def test_one_encoder_may_serve_as_both_networks():
    shape = tiny_shape()
    model = ElectraForJointPretraining(shape, shape, JointSettings(untied_generator=False))
    assert model.generator.electra is model.discriminator.electra
    parts = (shape.num_embedding_parameters, shape.num_encoder_parameters)
    parts += (shape.num_mlm_head_parameters, shape.num_rtd_head_parameters)
    assert num_parameters(model) == sum(parts)
    model(masked_batch(*BATCH)).mlm_loss.backward()
    assert model.discriminator.electra.encoder.layers[0].linear1.weight.grad.numpy().any()


def test_replacements_may_be_drawn_uniformly_without_a_generator():
    shape = tiny_shape()
    model = ElectraForJointPretraining(None, shape)
    assert num_parameters(model) == (
        shape.num_embedding_parameters + shape.num_encoder_parameters + shape.num_rtd_head_parameters
    )
    batch = masked_batch(*BATCH)
    output = model(batch)
    assert output.mlm_loss.item() == pytest.approx(np.log(len(WORDS)), rel=1e-5)
    numbers = paddle.rand([200, *batch.sampling_uniforms.shape])
    drawn = [model(batch._replace(sampling_uniforms=uniforms)).sampled_ids.numpy() for uniforms in numbers]
    counts = np.bincount(np.concatenate(drawn).ravel(), minlength=len(WORDS))
    assert counts.sum() == 1200 and counts.min() > 5 and counts.max() < 50  # 24 each
    output.loss.backward()


def test_masked_language_model_may_be_trained_alone():
    shape = tiny_shape()
    model = ElectraForJointPretraining(shape, None, JointSettings(gen_weight=2.0))
    parts = (shape.num_embedding_parameters, shape.num_encoder_parameters, shape.num_mlm_head_parameters)
    assert num_parameters(model) == sum(parts)
    batch = masked_batch(*BATCH)
    output = model(batch)
    assert output.rtd_loss is None and output.corrupted is None
    assert output.loss.item() == pytest.approx(2 * output.mlm_loss.item())
    figures = {"loss", "mlm_loss", "mlm_accuracy", "sampled_accuracy", "tokens_per_sequence"}
    assert set(pretraining_metrics(batch, output)) == figures


def test_rtd_loss_does_not_reach_the_generator_but_both_losses_reach_the_embeddings(joint):
    batch = masked_batch([[2, *range(5, 15), 3]] * 2, [[1, 4, 6]] * 2, [[1, 1, 1]] * 2)
    output = joint(batch)
    output.rtd_loss.backward()
    assert all(
        parameter.grad is None or not parameter.grad.numpy().any()
        for name, parameter in joint.generator.named_parameters()
        if "electra.embeddings." not in name
    )
    assert joint.discriminator.electra.embeddings.word_embeddings.weight.grad.numpy().any()


@pytest.mark.parametrize(
    ("size", "embedding", "layers", "total"),
    [("small", None, 12, 12_984_393), ("small", 256, 24, 25_815_497)],
)
def test_whole_graph_has_the_published_number_of_parameters(size, embedding, layers, total):
    shape = discriminator_geometry(size, 21128, embedding, {"num_hidden_layers": layers})
    assert num_parameters(ElectraForJointPretraining(generator_geometry(shape), shape)) == total


def test_recomputed_layers_give_the_same_gradients_dropout_on(joint):
    batch = masked_batch(*BATCH)

    def gradients():
        paddle.seed(5)
        joint(batch).loss.backward()
        found = {name: parameter.grad.numpy() for name, parameter in joint.named_parameters()}
        joint.clear_gradients()
        return found

    expected = gradients()
    layers = joint.encoder_layers()
    assert len(layers) == 4
    calls = []
    layers[0].self_attn.out_proj.register_forward_post_hook(lambda *arguments: calls.append(1))
    runtime.recompute(layers)
    found = gradients()
    assert len(calls) == 2
    assert np.abs(expected["generator.electra.encoder.layers.0.linear1.weight"]).max() > 0
    for name in expected:
        assert (found[name] == expected[name]).all(), name


def test_a_batch_of_one_keeps_its_axis(joint):
    output = joint(masked_batch([[2, 7, 8, 3]], [[1]], [[1]]))
    assert output.rtd_logits.shape == [1, 4]


def test_initial_weights_follow_the_original_and_repeat():
    kernel = initial_value("electra.encoder.layers.0.linear1.weight", [200, 300], seed=1, std=0.02)
    assert np.abs(kernel).max() <= 0.04
    assert kernel.std() == pytest.approx(0.02 * 0.8796, rel=0.02)  # of a normal cut at two standard deviations
    assert (kernel == initial_value("electra.encoder.layers.0.linear1.weight", [200, 300], 1, 0.02)).all()
    assert not (kernel == initial_value("electra.encoder.layers.1.linear1.weight", [200, 300], 1, 0.02)).any()
    projection = initial_value("generator.electra.embeddings_project.weight", [128, 64], 1, 0.02)
    assert np.abs(projection).max() == pytest.approx((6 / 192) ** 0.5, rel=0.01)
    assert not initial_value("generator.generator_lm_head_bias", [50], 1, 0.02).any()
    assert (initial_value("electra.embeddings.layer_norm.weight", [16], 1, 0.02) == 1).all()


@pytest.mark.parametrize(("variant", "task"), [("two", "chnsenticorp"), ("three", "xnli")])
def test_classification_head_equals_the_reference(variant, task):
    golden = np.load(ROOT / "tests/golden/classification_head.npz", allow_pickle=False)
    kernel, bias = (golden[f"{variant}/var/task_specific/{task}/dense/{kind}"] for kind in ("kernel", "bias"))
    hidden = paddle.to_tensor(golden["final_hidden"], stop_gradient=False)  # [B, L, H]
    shape = discriminator_geometry("small", 50, 8, {"hidden_size": 24, "num_hidden_layers": 1})
    config = ElectraConfig(**vars(shape), num_labels=kernel.shape[1])
    model = ElectraClassifier(config)
    model.classifier.weight.set_value(kernel)
    model.classifier.bias.set_value(bias)
    model.electra.forward = lambda *args, **kwargs: hidden
    model.eval()
    logits = model(paddle.ones(hidden.shape[:2], dtype="int64"))
    rows = np.flatnonzero(golden[f"{variant}/task_id"] == 0)  # the others are padding rows, which do not count
    labels = paddle.to_tensor(golden[f"{variant}/label_ids/{task}"].astype("int64"))
    loss = classification_loss(
        paddle.gather(logits, paddle.to_tensor(rows)), paddle.gather(labels, paddle.to_tensor(rows))
    )
    loss.backward()
    assert_close(logits, golden[f"{variant}/eval/{task}/logits"])
    assert_close(loss, golden[f"{variant}/train/total_loss"])
    assert_close(model.classifier.weight.grad, golden[f"{variant}/grad/task_specific/{task}/dense/kernel"])
    assert_close(hidden.grad, golden[f"{variant}/grad/final_hidden"])


def test_pretrained_directories_load_with_stock_paddlenlp(joint, tmp_path):
    joint.eval()
    ids = paddle.to_tensor([[2, 7, 8, 9, 3, 0]])
    mask = (ids != 0).astype("int64")
    for name in ("generator", "discriminator"):
        network = getattr(joint, name)
        pretrained.save_pretrained(network, tmp_path / name, Vocabulary(WORDS), True, "# card\n")
        assert sorted(path.name for path in (tmp_path / name).iterdir()) == [
            "README.md", "config.json", "model.safetensors", "tokenizer_config.json", "vocab.txt",
        ]  # fmt: skip
        stock = ElectraModel.from_pretrained(str(tmp_path / name))
        stock.eval()
        assert_close(stock(ids, attention_mask=mask), network.electra(ids, attention_mask=mask).numpy(), atol=1e-6)
        tokenizer = ElectraTokenizer.from_pretrained(str(tmp_path / name))
        assert tokenizer(WORDS[7])["input_ids"] == [2, 7, 3]


def test_encoder_loads_strictly(joint, tmp_path):
    pretrained.save_pretrained(joint.discriminator, tmp_path / "d", Vocabulary(WORDS), True, "")
    config = pretrained.load_config(tmp_path / "d")
    model = ElectraClassifier(config)
    pretrained.load_encoder(model, tmp_path / "d")
    for name, parameter in model.electra.named_parameters():
        assert (parameter.numpy() == dict(joint.discriminator.electra.named_parameters())[name].numpy()).all()
    settings = json.loads((tmp_path / "d/config.json").read_text())
    (tmp_path / "d/config.json").write_text(json.dumps({**settings, "intermediate_size": 64}))
    with pytest.raises(CheckpointError, match=r"intermediate_size 64, expected 128, as in model.safetensors"):
        pretrained.load_config(tmp_path / "d")
    other = ElectraClassifier(ElectraConfig.from_dict({**settings, "intermediate_size": 64}))
    before = other.electra.encoder.layers[0].linear2.weight.numpy()
    with pytest.raises(CheckpointError, match=r"linear1.weight \[32, 128\], expected .*\[32, 64\]"):
        pretrained.load_encoder(other, tmp_path / "d")
    assert (other.electra.encoder.layers[0].linear2.weight.numpy() == before).all()


def test_damaged_weights_are_an_error(joint, tmp_path):
    pretrained.save_pretrained(joint.discriminator, tmp_path / "d", Vocabulary(WORDS), True, "")
    path = tmp_path / "d/model.safetensors"
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(CheckpointError, match="model.safetensors: found no readable tensors"):
        pretrained.load_encoder(joint.discriminator, tmp_path / "d")


def test_area_under_roc_is_the_share_of_pairs_in_order():
    logits = paddle.to_tensor([[0.1, 3.0, -1.0, 0.5], [2.0, -0.2, 1.0, 9.0]])
    is_replaced = paddle.to_tensor([[0.0, 1.0, 1.0, 0.0], [0.0, 0.0, 1.0, 0.0]])
    tokens = paddle.to_tensor([[1.0, 1.0, 1.0, 1.0], [1.0, 1.0, 1.0, 0.0]])
    assert_close(area_under_roc(logits, is_replaced, tokens), (4 + 0 + 3) / 12)
    assert_close(area_under_roc(logits, paddle.zeros_like(tokens), tokens), 0)

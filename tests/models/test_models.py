import json

import numpy as np
import paddle
import pytest
from conftest import ROOT, assert_close
from paddlenlp.transformers import ElectraConfig, ElectraModel, ElectraTokenizer

from electra_paddle.batch import MaskedBatch
from electra_paddle.config.geometry import discriminator_geometry, generator_geometry
from electra_paddle.errors import CheckpointError
from electra_paddle.models import pretrained_directory as pretrained
from electra_paddle.models.heads import ElectraClassifier, classification_loss
from electra_paddle.models.initialization import initial_value, num_parameters
from electra_paddle.models.pretraining import ElectraForJointPretraining
from electra_paddle.models.sampling import corrupt, sample_tokens
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
    return MaskedBatch(ids, ids * 0, ones, ids, positions, labels, weights, *normalizers)


def test_sampled_original_token_is_not_replaced():
    batch = masked_batch([[2, 10, 11, 12, 3]], [[1, 3, 0]], [[1, 1, 0]])
    ids, is_replaced = corrupt(batch, paddle.to_tensor([[10, 40, 41]]))
    assert ids.tolist() == [[2, 10, 11, 40, 3]]
    assert is_replaced.tolist() == [[0, 0, 0, 1, 0]]


def test_samples_follow_the_softmax():
    probabilities = np.array([0.1, 0.2, 0.7], "float32")
    logits = paddle.to_tensor(np.broadcast_to(np.log(probabilities), (100, 200, 3)))
    paddle.seed(1)
    labels = paddle.full([100, 200], 2, dtype="int64")
    shares = np.bincount(sample_tokens(logits, labels).numpy().ravel(), minlength=3) / 20_000
    assert_close(shares, probabilities, atol=0.015)
    colder = np.bincount(sample_tokens(logits, labels, temperature=0.5).numpy().ravel(), minlength=3) / 20_000
    assert_close(colder, probabilities**2 / (probabilities**2).sum(), atol=0.015)
    assert (sample_tokens(logits, labels, disallow_correct=True).numpy() != 2).all()


def test_sampling_repeats_under_the_same_seed():
    logits, labels = paddle.randn([4, 5, 50]), paddle.zeros([4, 5], dtype="int64")
    draws = []
    for seed in (3, 3, 4):
        paddle.seed(seed)
        draws.append(sample_tokens(logits, labels).tolist())
    assert draws[0] == draws[1] != draws[2]


def test_networks_share_the_whole_embedding_block_and_nothing_else(joint):
    generator, discriminator = joint.generator, joint.discriminator
    shared = {id(p) for p in generator.parameters()} & {id(p) for p in discriminator.parameters()}
    assert shared == {id(p) for p in discriminator.electra.embeddings.parameters()}
    assert len(shared) == 5
    assert generator.electra.embeddings_project.weight.shape == [16, 8]
    assert discriminator.electra.embeddings_project.weight.shape == [16, 32]


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
    other = ElectraClassifier(pretrained.load_config(tmp_path / "d"))
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

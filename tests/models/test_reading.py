"""The reading head against the reference's numbers, all four variants."""

import numpy as np
import paddle
import pytest
from conftest import assert_close, shared_file
from paddlenlp.transformers import ElectraConfig

from electra_paddle.models.encoder import speed_up
from electra_paddle.models.initialization import initialize
from electra_paddle.models.reading_comprehension import ElectraReader, ReadingHead, ReadingSettings, reading_loss

VARIANTS = ("joint", "nonjoint", "joint_plain_answerable", "joint_no_answerable")
LAYERS = {  # layers of the original in the order that it numbers them
    "joint": {"start": "dense", "end_hidden": "qa_hidden", "end": "dense_1"},
    "nonjoint": {"start": "dense", "end": "dense_1"},
}


def layer_names(settings):
    """Our name -> the original's, for the layers of a variant."""
    names = dict(LAYERS["joint" if settings.joint_prediction else "nonjoint"])
    if settings.answerable_classifier and settings.answerable_uses_start_logits:
        names |= {"answerable_hidden": "dense_2", "answerable": "dense_3"}
    elif settings.answerable_classifier:
        names |= {"answerable": "dense_2"}
    return names


class Golden:
    """One variant of the golden file, and our head with its weights."""

    def __init__(self, name):
        arrays = np.load(shared_file("golden/qa_head.npz"))
        self.arrays, self.name = arrays, name
        joint, answerable, uses_start_logits, beam_size = arrays[f"{name}/config"].tolist()
        settings = ReadingSettings(bool(joint), bool(answerable), bool(uses_start_logits), beam_size)
        self.names = layer_names(settings)
        self.head = ReadingHead(arrays["final_hidden"].shape[-1], settings)
        for name, parameter in self.head.named_parameters():
            parameter.set_value(self["var/" + self.original(name)])
        speed_up(self.head)
        self.hidden = paddle.to_tensor(arrays["final_hidden"], stop_gradient=False)
        inputs = ("segment_ids", "input_mask", "start_positions", "end_positions")
        self.types, self.mask, self.start, self.end = (paddle.to_tensor(arrays[i].astype("int64")) for i in inputs)
        self.is_impossible = paddle.to_tensor(arrays["is_impossible"].astype("float32"))

    def __getitem__(self, key):
        return self.arrays[f"{self.name}/{key}"]

    def original(self, name):
        layer, _, kind = name.partition(".")
        return f"task_specific/cmrc2018/{self.names[layer]}/{ {'weight': 'kernel', 'bias': 'bias'}[kind] }"

    def scores(self, start_positions=None):
        return self.head(self.hidden, self.types, self.mask, start_positions)

    def loss(self, scores):
        weight = float(self["answerable_weight"])
        return reading_loss(scores, self.start, self.end, self.is_impossible, weight)

    def sum(self, losses):
        """Over the rows of the task; the last one is not."""
        return (losses * paddle.to_tensor((self.arrays["task_id"] == 0).astype("float32"))).sum()


@pytest.fixture(params=VARIANTS)
def golden(request):
    return Golden(request.param)


def test_training_agrees_with_the_reference(golden):
    scores = golden.scores(golden.start)
    losses = golden.loss(scores)
    assert scores.beam is None
    assert_close(scores.start_logits, golden["train/start_logits"], atol=1e-4)
    assert_close(scores.end_logits, golden["train/end_logits"], atol=1e-4)
    if scores.answerable_logit is not None:
        assert_close(scores.answerable_logit, golden["train/answerable_logit"])
    assert_close(losses, golden["train/loss"])
    assert_close(golden.sum(losses), golden["train/total_loss"], atol=5e-5)


def test_gradients_agree_with_the_reference(golden):
    golden.sum(golden.loss(golden.scores(golden.start))).backward()
    assert_close(golden.hidden.grad, golden["grad/final_hidden"])
    for name, parameter in golden.head.named_parameters():
        gradient, original = parameter.grad.numpy().astype("float64"), golden.original(name)
        norm_and_sum = [np.linalg.norm(gradient), gradient.sum()]
        assert_close(norm_and_sum, golden[f"grad_stat/{original}"], atol=2e-5, rtol=1e-5)
        if f"{golden.name}/grad/{original}" in golden.arrays:
            assert_close(gradient, golden[f"grad/{original}"])


def test_evaluation_agrees_with_the_reference(golden):
    golden.head.eval()
    scores = golden.scores()
    assert_close(scores.start_logits, golden["eval/start_logits"], atol=1e-4)
    if golden.head.settings.joint_prediction:
        # Below -500 are positions that no answer has; float32 has ties there.
        is_start, is_end = (golden[f"eval/{name}_top_log_probs"] > -500 for name in ("start", "end"))
        for name, is_sure in (("start", is_start), ("end", is_end & is_start[..., None])):
            beam = scores.beam._asdict()
            log_probs, indices = (beam[key].numpy()[is_sure] for key in (f"{name}_log_probs", f"{name}s"))
            assert_close(log_probs, golden[f"eval/{name}_top_log_probs"][is_sure])
            assert (indices == golden[f"eval/{name}_top_index"][is_sure]).all()
        scores = scores._replace(end_logits=paddle.zeros_like(scores.start_logits))  # the reference evaluates so
    else:
        assert_close(scores.end_logits, golden["eval/end_logits"], atol=1e-4)
    losses = golden.loss(scores)
    assert_close(losses, golden["eval/loss"])
    assert_close(golden.sum(losses), golden["eval/total_loss"], atol=5e-5)


@pytest.fixture
def tiny_config():
    return ElectraConfig(
        vocab_size=20, hidden_size=16, num_hidden_layers=1, num_attention_heads=1, intermediate_size=32,
        embedding_size=16, max_position_embeddings=16,
    )  # fmt: skip


def test_padding_changes_nothing(tiny_config):
    model = ElectraReader(tiny_config)
    initialize(model, seed=1, std=0.5)
    model.eval()
    ids, types = [2, 5, 3, 6, 7, 8, 3], [0, 0, 0, 1, 1, 1, 1]
    short = model(paddle.to_tensor([ids]), paddle.to_tensor([types]))
    padded = model(paddle.to_tensor([ids + [0] * 4]), paddle.to_tensor([types + [0] * 4]))
    assert_close(padded.start_logits[:, :7], short.start_logits)
    assert padded.start_logits[0, 7:].max() < -900 and padded.beam.starts.shape == [1, 11]
    assert_close(padded.beam.end_log_probs[0, 0, :5], short.beam.end_log_probs[0, 0, :5])


def test_answers_start_in_the_second_segment_or_nowhere(tiny_config):
    model = ElectraReader(tiny_config)
    initialize(model, seed=1)
    logits = model(paddle.to_tensor([[2, 5, 3, 6, 7, 3]]), paddle.to_tensor([[0, 0, 0, 1, 1, 1]])).start_logits
    assert (logits.numpy()[0] < -900).tolist() == [False, True, True, False, False, False]


def test_variant_is_kept_in_the_configuration(tiny_config):
    tiny_config.reading = {"joint_prediction": False, "answerable_classifier": False}
    names = [name for name, _ in ElectraReader(tiny_config).reading.named_parameters()]
    assert names == ["start.weight", "start.bias", "end.weight", "end.bias"]


def test_all_head_layers_start_as_the_original_s(tiny_config):
    model = ElectraReader(tiny_config)
    initialize(model, seed=0)
    for name, parameter in model.reading.named_parameters():
        if name.endswith("weight"):
            limit = np.sqrt(6 / sum(parameter.shape))
            assert 0.5 * limit < abs(parameter.numpy()).max() <= limit

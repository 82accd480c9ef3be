"""What a module does for each task: layers, inputs, answers.

A task here holds no parameters: it gives the module layers, under the names of the official modules 2.0.2, whose
checkpoints so load, and works with them. To add a task write a subclass of Task and enter it in registry.py.

Shapes: B batch, L sequence, H hidden, C classes.
"""

from typing import Any, ClassVar, NamedTuple

import numpy as np
import paddle
import paddle.nn.functional as F
from paddle import nn
from paddlenlp.transformers import ElectraForSequenceClassification, ElectraModel

from electra_paddle.models.heads import ElectraClassifier
from electra_paddle.text import encode_pair

SPLIT_CHAR = "\002"  # stands between the tokens of a text, where PaddleHub's data sets are not told otherwise


class Options(NamedTuple):
    """Arguments of `predict` that shape inputs or answers."""

    max_seq_len: int
    split_char: str
    top_k: int
    settings: dict  # hyper-parameters that the head was fine-tuned with; {} where they are not known


class Example(NamedTuple):
    """One item as the network takes it."""

    rows: list  # each a tuple with an (ids, position where the second segment begins) pair for each of Task.inputs
    notes: Any = None  # what `answer` has to know of them


class Task:
    """One thing that a module does.

    Attributes:
        component: whose weights it works with, "discriminator" or "generator".
        num_texts: how many texts an item may have.
        text_names: what they are.
        inputs: how the names of each TokenBatch that the network takes begin; two where it takes two texts apart.
        shortest: tokens of the shortest random text on which exported networks are tried.
        has_classes: whether its answers are labels, which `hub.Trainer` learns.
        is_learned: whether its answers mean nothing before fine-tuning.
        has_pretrained_head: whether its head is trained already when fine-tuning begins.
        trained_by: architecture of the fine-tuned directories that bring a head for it.
    """

    component: ClassVar[str] = "discriminator"
    num_texts: ClassVar[tuple] = (1,)
    text_names: ClassVar[tuple] = ("text", "second text")
    inputs: ClassVar[tuple] = ("",)
    shortest: ClassVar[int] = 4
    has_classes: ClassVar[bool] = False
    is_learned: ClassVar[bool] = False
    has_pretrained_head: ClassVar[bool] = False
    trained_by: ClassVar[str | None] = None

    def build(self, module, config, head):
        """Give the module its layers; returns the encoder.

        Args:
            head: names of the parameters that will be filled in, without "model."; none for a new head.
        """
        raise NotImplementedError

    def encode(self, tokenizer, texts, options):
        """The Example of an item."""
        return Example([(encode_pair(tokenizer, *(*texts, None)[:2], options.max_seq_len),)])

    def forward(self, module, batch, position_ids=None):
        """Logits or states of a TokenBatch of tensors."""
        raise NotImplementedError

    def compute(self, module, *batches):
        """The network of `predict`, and what is exported: a tuple of tensors, named by `output_names`.

        Paddle's operations on tensors only, so that it can be traced at any B and L.

        Args:
            batches: a TokenBatch of tensors for each entry of `inputs`.
        """
        return (F.softmax(self.forward(module, *batches), axis=-1),)

    def output_names(self, module):
        """Names of what `compute` returns."""
        return ["probabilities"]

    def keep(self, module, options, arrays, *batches):
        """What `answer` needs of each row of a batch, whatever engine computed it: a list of B values.

        Args:
            arrays: those of `compute`.
            batches: the TokenBatches of arrays that they were computed from.
        """
        return list(arrays[0])

    def answer(self, module, example, values, options):
        """What the caller gets for an item, from the values of its rows; with classes (label, probabilities)."""
        raise NotImplementedError

    def show(self, tokenizer, texts, answer):
        """The answer as `hub run` prints it in JSON."""
        return answer


class Embedding(Task):
    """Hidden states. The module's forward pass gives all of them [B, L, H] and those of [CLS] [B, H]."""

    num_texts = (1, 2)

    def build(self, module, config, head):
        module.model = ElectraModel(config)
        return module.model

    def forward(self, module, batch, position_ids=None):
        hidden = encode(module.model, batch, position_ids)  # [B, L, H]
        return hidden, hidden[:, 0]

    def compute(self, module, batch):
        return (encode(module.model, batch),)  # [B, L, H]

    def output_names(self, module):
        return ["hidden"]

    def keep(self, module, options, arrays, batch):
        lengths = batch.attention_mask.sum(axis=1).tolist()
        return [row[:length] for row, length in zip(arrays[0], lengths, strict=True)]

    def answer(self, module, example, values, options):
        return [values[0][0].tolist(), values[0].tolist()]

    def show(self, tokenizer, texts, answer):
        return answer[0]


class Similarity(Embedding):
    """Cosine of the mean states of two texts, each encoded for itself; from -1 to 1."""

    num_texts = (2,)

    def encode(self, tokenizer, texts, options):
        return Example([(encode_pair(tokenizer, text, None, options.max_seq_len),) for text in texts])

    def compute(self, module, batch):
        return (mean_states(module.model, batch),)  # [B, H]

    def output_names(self, module):
        return ["mean"]

    def keep(self, module, options, arrays, batch):
        return list(arrays[0])

    def answer(self, module, example, values, options):
        first, second = (vector.astype("float64") for vector in values)
        cosine = first @ second / max(np.linalg.norm(first) * np.linalg.norm(second), 1e-12)
        return float(np.clip(cosine, -1, 1))  # rounding may carry it past 1

    def show(self, tokenizer, texts, answer):
        return {"similarity": answer}


class Classification(Task):
    """A class of a text, or of a pair in one sequence, with the reference's head: a single dense layer.

    Checkpoints of the official modules have two, and bring them along.
    """

    num_texts = (1, 2)
    has_classes = True
    is_learned = True
    trained_by = "ElectraClassifier"

    def build(self, module, config, head):
        is_official = "classifier.dense.weight" in head
        module.model = (ElectraForSequenceClassification if is_official else ElectraClassifier)(config)
        return module.model.electra

    def forward(self, module, batch, position_ids=None):
        network = module.model
        hidden = encode(network.electra, batch, position_ids)  # [B, L, H]
        if isinstance(network, ElectraClassifier):
            return network.classifier(network.dropout(hidden[:, 0]))  # [B, C]
        return network.classifier(hidden)  # [B, C]

    def answer(self, module, example, values, options):
        return module.label_map[int(values[0].argmax())], values[0].tolist()

    def show(self, tokenizer, texts, answer):
        label, probabilities = answer
        return {"label": label, "probability": max(probabilities)}


class PairClassification(Classification):
    """A class of two texts in one sequence, as LCQMC, BQ and XNLI are published: the reference's head."""

    num_texts = (2,)

    def build(self, module, config, head):
        module.model = ElectraClassifier(config)
        return module.model.electra


class TextMatching(Classification):
    """A class of two texts, each encoded for itself: a dense layer on both mean states and their difference."""

    num_texts = (2,)
    inputs = ("query_", "title_")
    trained_by = None

    def build(self, module, config, head):
        module.model = ElectraModel(config)
        module.dropout = nn.Dropout(0.1)
        module.classifier = nn.Linear(3 * config.hidden_size, module.num_classes)
        return module.model

    def encode(self, tokenizer, texts, options):
        return Example([tuple(encode_pair(tokenizer, text, None, options.max_seq_len) for text in texts)])

    def forward(self, module, query, title, query_position_ids=None, title_position_ids=None):
        """Logits [B, C] of two TokenBatches."""
        first = mean_states(module.model, query, query_position_ids, module.dropout)  # [B, H]
        second = mean_states(module.model, title, title_position_ids, module.dropout)  # [B, H]
        return module.classifier(paddle.concat([first, second, (first - second).abs()], axis=-1))


def encode(encoder, batch, position_ids=None):
    """Last hidden states [B, L, H] of a TokenBatch; without a mask, padding is where the ids are those of [PAD]."""
    return encoder(
        batch.input_ids,
        token_type_ids=batch.token_type_ids,
        position_ids=position_ids,
        attention_mask=mask_of(encoder, batch),
    )


def mask_of(encoder, batch):
    """[B, L], 1 at tokens and 0 at padding."""
    if batch.attention_mask is not None:
        return batch.attention_mask
    return (batch.input_ids != encoder.pad_token_id).astype("int64")


def mean_states(encoder, batch, position_ids=None, dropout=None):
    """Means [B, H] over the tokens, [CLS] and [SEP] included."""
    hidden = encode(encoder, batch, position_ids)  # [B, L, H]
    mask = mask_of(encoder, batch).astype(hidden.dtype).unsqueeze(-1)  # [B, L, 1]
    hidden = dropout(hidden) if dropout else hidden
    return (hidden * mask).sum(axis=1) / mask.sum(axis=1)

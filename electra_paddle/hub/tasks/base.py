"""What a module does for each task: layers, inputs, answers.

A task here holds no parameters: it gives the module layers, under the names of the official modules 2.0.2, whose
checkpoints so load, and works with them. A kind of tasks from outside brings its own subclass, see `task_kinds`.

Shapes: B batch, L sequence, H hidden, C classes.
"""

from typing import Any, ClassVar, NamedTuple

import paddle
import paddle.nn.functional as F

from electra_paddle.batch import TokenBatch
from electra_paddle.errors import ConfigError
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
        batch_names: the arrays of a batch of PaddleHub's data sets, as arguments of the module's forward pass.
        components: what shows an answer in the browser: (class in gradio, its arguments).
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
    batch_names: ClassVar[tuple] = ("input_ids", "token_type_ids", "labels")
    components: ClassVar[list] = []

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

    def forward_named(self, module, arguments):
        """`forward` of the arguments of the module's forward pass, by their names."""
        batch = TokenBatch(*(arguments[name] for name in TokenBatch._fields))
        return self.forward(module, batch, arguments["position_ids"])

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

    def view(self, module, texts, answer):
        """The values of `components` for an answer of `predict`; with classes of (label, probabilities).

        That of a task with classes: the probability of each.
        """
        labels = module.label_map.values()
        return [{str(label): score for label, score in zip(labels, answer[1], strict=True)}]

    def arguments_of(self, batch):
        """A batch of PaddleHub's data sets as arguments of the module's forward pass.

        Raises:
            ConfigError: the task has no labels, or the batch another number of arrays.
        """
        names = self.batch_names
        if not self.has_classes:
            raise ConfigError("task", type(self).__name__, "a task with labels to train for, such as 'seq-cls'")
        if len(batch) != len(names):
            raise ConfigError("data set", f"{len(batch)} arrays in an example", f"{len(names)}: {', '.join(names)}")
        return dict(zip(names, batch, strict=True))

    def make_metric(self, label_map, suffix):
        """What `hub.Trainer` judges the task by.

        Args:
            suffix: whether the labels of tokens end (and not begin) with B, I, E or S.
        """
        return paddle.metric.Accuracy()

    def supervise(self, metric, logits, probabilities, labels):
        """(mean loss, {metric: value}) of logits and probabilities [B, C]; the metric runs until it is reset."""
        labels = labels.reshape([-1])
        metric.update(metric.compute(probabilities, labels.unsqueeze(-1)))
        return F.cross_entropy(logits, labels), {"acc": metric.accumulate()}


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

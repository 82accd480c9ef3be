"""The base class of a module's tasks: layers, inputs, answers.

A task here holds no parameters: it gives the module layers, under the names of the official modules 2.0.2, whose
checkpoints so load, and works with them. A kind of tasks from outside brings its own subclass, see `task_kinds`.

Shapes: B batch, L sequence, H hidden, C classes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

import paddle
import paddle.nn.functional as F

from electra_paddle.batch import TokenBatch
from electra_paddle.errors import ConfigError
from electra_paddle.hub.inputs import is_number
from electra_paddle.text import encode_pair, encode_windows

if TYPE_CHECKING:
    from paddle import Tensor
    from paddle.nn import Dropout, Layer
    from paddlenlp.transformers import ElectraConfig

    from electra_paddle.arrays import Array
    from electra_paddle.hub.module import ElectraModule
    from electra_paddle.hub.prediction import Sequences
    from electra_paddle.text import Tokenizer

SPLIT_CHAR = "\002"  # stands between the tokens of a text, where PaddleHub's data sets are not told otherwise


NO_LIMIT = 1 << 30  # tokens of a sequence
TAKEN_BY_SOME = ("threshold", "min_score", "pooling", "candidates")  # Options
Positions = Sequence["Tensor | None"]


class Options(NamedTuple):
    """Arguments of `predict` that shape inputs or answers."""

    max_seq_len: int
    split_char: str
    top_k: int
    settings: dict[str, Any]  # hyper-parameters that the head was fine-tuned with; {} where they are not known
    batch_size: int = 32
    threshold: float | None = None  # these are for the tasks that take them, see Task.takes; None for their defaults
    min_score: float | None = None
    pooling: str | None = None
    candidates: bool | None = None


class Example(NamedTuple):
    """One item as the network takes it."""

    rows: list[
        Sequences
    ]  # each a tuple with an (ids, position where the second segment begins) pair for each of Task.inputs
    notes: Any = None  # what `answer` has to know of them


class Task:
    """One task of a module.

    Attributes:
        component: whose weights it works with, "discriminator" or "generator".
        takes: the options among TAKEN_BY_SOME that it has a use for.
        num_texts: how many texts an item may have.
        text_names: what they are.
        inputs: how the names of each TokenBatch that the network takes begin; two where it takes two texts apart.
        shortest: tokens of the shortest random text on which exported networks are tried.
        has_classes: whether its answers are labels, which `hub.Trainer` learns.
        is_learned: whether its answers mean nothing before fine-tuning.
        has_pretrained_head: whether its head is trained already when fine-tuning begins.
        trained_by: architecture of the fine-tuned directories that bring a head for it.
        batch_names: the arrays of a batch of PaddleHub's data sets, as arguments of the module's forward pass.
    """

    component: ClassVar[str] = "discriminator"
    takes: ClassVar[tuple[str, ...]] = ()
    num_texts: ClassVar[tuple[int, ...]] = (1,)
    text_names: ClassVar[tuple[str, ...]] = ("text", "second text")
    inputs: ClassVar[tuple[str, ...]] = ("",)
    shortest: ClassVar[int] = 4
    has_classes: ClassVar[bool] = False
    is_learned: ClassVar[bool] = False
    has_pretrained_head: ClassVar[bool] = False
    trained_by: ClassVar[str | None] = None
    batch_names: ClassVar[tuple[str, ...]] = ("input_ids", "token_type_ids", "labels")

    @property
    def is_taught(self) -> bool:
        """Whether `hub.Trainer` can fine-tune it: it has a loss, see `supervise`."""
        return self.has_classes

    def build(self, module: ElectraModule, config: ElectraConfig, parameter_names: Sequence[str]) -> Layer:
        """Give the module its layers; returns the encoder.

        Args:
            parameter_names: those that will be filled in, without "model."; none for a new head.
        """
        raise NotImplementedError

    def note_on(self, texts: Sequence[str]) -> str:
        """What is to be said of an item that can be answered but looks wrong; "" for others."""
        return ""

    def check_options(self, options: Options) -> None:
        """Refuse values of TAKEN_BY_SOME that are of no use.

        Raises:
            ConfigError: says which.
        """
        for name in TAKEN_BY_SOME:
            value = getattr(options, name)
            if value is not None and name not in self.takes:
                raise ConfigError(name, repr(value), "None, this task has no use for it")

    def encode(self, tokenizer: Tokenizer, texts: Sequence[str], options: Options) -> Example:
        """The Example of an item."""
        return encode_text(tokenizer, texts, options)

    def num_lost(self, tokenizer: Tokenizer, texts: Sequence[str], example: Example, options: Options) -> int:
        """How many tokens of an item its Example lacks; those that are read in windows lack none."""
        lengths = [len(ids) for row in example.rows for ids, _ in row]
        if max(lengths, default=0) < options.max_seq_len:
            return 0
        whole = self.encode(tokenizer, texts, options._replace(max_seq_len=NO_LIMIT))
        if len(whole.rows) != len(example.rows):
            return 0
        return sum(len(ids) for row in whole.rows for ids, _ in row) - sum(lengths)

    def num_values(self, module: ElectraModule, example: Example, options: Options) -> int:
        """How many numbers and the like the answer to an item holds, about, and at most."""
        num_tokens = sum(len(ids) for row in example.rows for ids, _ in row)
        return num_tokens * (module.num_classes if self.has_classes else 1)

    def forward(self, module: ElectraModule, *batches: TokenBatch, position_ids: Positions = (None, None)) -> Any:
        """Logits or states of TokenBatches of tensors, one for each entry of `inputs`.

        Args:
            position_ids: [B, L] of each; None for 0, 1, 2 and so on.
        """
        raise NotImplementedError

    def forward_named(self, module: ElectraModule, arguments: Mapping[str, Any]) -> Any:
        """`forward` of the arguments of the module's forward pass, by their names."""
        batches = [TokenBatch(*(arguments[start + name] for name in TokenBatch._fields)) for start in self.inputs]
        return self.forward(module, *batches, position_ids=[arguments[start + "position_ids"] for start in self.inputs])

    def compute(self, module: ElectraModule, *batches: TokenBatch) -> tuple[Tensor, ...]:
        """The network of `predict`, and what is exported: a tuple of tensors, named by `output_names`.

        Paddle's operations on tensors only, so that it can be traced at any B and L.

        Args:
            batches: a TokenBatch of tensors for each entry of `inputs`.
        """
        return (self.probabilities(self.forward(module, *batches)),)

    def probabilities(self, logits: Tensor) -> Tensor:
        """Those of all classes [..., C], of a task with classes."""
        return F.softmax(logits, axis=-1)

    def output_names(self, module: ElectraModule) -> list[str]:
        """Names of what `compute` returns."""
        return ["probabilities"]

    def keep(self, module: ElectraModule, options: Options, arrays: Sequence[Array], *batches: TokenBatch) -> list[Any]:
        """Reduce a computed batch to a list of B values that `answer` needs, whatever engine computed it.

        Args:
            arrays: those of `compute`.
            batches: the TokenBatches of arrays that they were computed from.
        """
        return list(arrays[0])

    def answer(self, module: ElectraModule, example: Example, values: Sequence[Any], options: Options) -> Any:
        """The result for one item, from the values of its rows; with classes (label, probabilities)."""
        raise NotImplementedError

    def show(self, tokenizer: Tokenizer, texts: Sequence[str], answer: Any) -> Any:
        """The answer as `hub run` prints it in JSON."""
        return answer

    def as_dict(self, module: ElectraModule, texts: Sequence[str], answer: Any, options: Options) -> dict[str, Any]:
        """The answer with a name for each part, all of them as JSON has them: what `show` gives, if that is a dict.

        Args:
            texts: the item.
            answer: that of `predict`; with classes (label, probabilities).
        """
        shown = self.show(module.text_tokenizer, texts, answer)
        return shown if isinstance(shown, dict) else {"answer": shown}

    def arguments_of(self, batch: Sequence[Any]) -> dict[str, Any]:
        """A batch of PaddleHub's data sets as arguments of the module's forward pass.

        Raises:
            ConfigError: the task has no labels, or the batch another number of arrays.
        """
        names = self.batch_names
        if not self.is_taught:
            raise ConfigError("task", type(self).__name__, "a task with labels to train for, such as 'seq-cls'")
        if len(batch) != len(names):
            raise ConfigError("data set", f"{len(batch)} arrays in an example", f"{len(names)}: {', '.join(names)}")
        return dict(zip(names, batch, strict=True))

    def make_metric(self, label_map: Mapping[int, Any], suffix: bool) -> Any:
        """The metric by which `hub.Trainer` judges the task.

        Args:
            suffix: whether the labels of tokens end (and not begin) with B, I, E or S.
        """
        return paddle.metric.Accuracy()

    def supervise(
        self, metric: Any, logits: Tensor, probabilities: Tensor, labels: Tensor
    ) -> tuple[Tensor, dict[str, float]]:
        """(mean loss, {metric: value}) of logits and probabilities [B, C]; the metric runs until it is reset."""
        labels = labels.reshape([-1])
        metric.update(metric.compute(probabilities, labels.unsqueeze(-1)))
        return F.cross_entropy(logits, labels), {"acc": metric.accumulate()}


def check_probability(name: str, value: object) -> None:
    """A probability, or None.

    Raises:
        ConfigError: it is something else.
    """
    if value is None:
        return
    if not is_number(value, 0, 1):
        raise ConfigError(name, repr(value), "a number from 0 to 1")


def encode_text(tokenizer: Tokenizer, texts: Sequence[str], options: Options) -> Example:
    """The Example of a text or a pair; a row for each window where the head was fine-tuned on windows of long texts."""
    settings, length = options.settings, options.max_seq_len
    if len(texts) == 1 and settings.get("long_texts") == "windows":
        return Example([(part,) for part in encode_windows(tokenizer, texts[0], length, settings["doc_stride"])])
    return Example([(encode_pair(tokenizer, texts[0], texts[1] if len(texts) == 2 else None, length),)])


def encode(encoder: Layer, batch: TokenBatch, position_ids: Tensor | None = None) -> Tensor:
    """Last hidden states [B, L, H] of a TokenBatch; without a mask, padding is where the ids are those of [PAD]."""
    return encoder(
        batch.input_ids,
        token_type_ids=batch.token_type_ids,
        position_ids=position_ids,
        attention_mask=mask_of(encoder, batch),
    )


def mask_of(encoder: Layer, batch: TokenBatch) -> Tensor:
    """[B, L], 1 at tokens and 0 at padding."""
    if batch.attention_mask is not None:
        return batch.attention_mask
    return (batch.input_ids != encoder.pad_token_id).astype("int64")


def mean_states(
    encoder: Layer, batch: TokenBatch, position_ids: Tensor | None = None, dropout: Dropout | None = None
) -> Tensor:
    """Means [B, H] over the tokens, [CLS] and [SEP] included."""
    hidden = encode(encoder, batch, position_ids)  # [B, L, H]
    mask = mask_of(encoder, batch).astype(hidden.dtype).unsqueeze(-1)  # [B, L, 1]
    hidden = dropout(hidden) if dropout else hidden
    return (hidden * mask).sum(axis=1) / mask.sum(axis=1)

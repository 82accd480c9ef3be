"""The class behind every PaddleHub module of this project: the interface of the official ELECTRA modules 2.0.2.

Shapes: B batch, L sequence, H hidden, C classes.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

from paddle import nn, to_tensor

from electra_paddle import runtime
from electra_paddle.errors import ConfigError, DataError, some_of
from electra_paddle.hub import command
from electra_paddle.hub.checkpoint import ENTRY, Checkpoint, describe, read_checkpoint
from electra_paddle.hub.construction import apply_settings, build_layers, choose_class_weights, choose_labels
from electra_paddle.hub.deployment.engines import choose_engine
from electra_paddle.hub.deployment.network_export import TOLERANCE, export_network
from electra_paddle.hub.inputs import is_stream, one_of, read_items, truth, whole_number
from electra_paddle.hub.interface import HubInterface, ModuleClass
from electra_paddle.hub.notes import is_collecting, note
from electra_paddle.hub.prediction import compute_in_batches, on_device
from electra_paddle.hub.serving import protect_hub_serving
from electra_paddle.hub.tasks.base import SPLIT_CHAR, Options
from electra_paddle.hub.tasks.classification import Classification
from electra_paddle.hub.tasks.registry import tasks
from electra_paddle.hub.weights import find_weights, settings_of, task_of
from electra_paddle.models import pretrained_directory as pretrained

if TYPE_CHECKING:
    from paddle import Tensor

    from electra_paddle.hub.prediction import Engine
    from electra_paddle.hub.tasks.base import Example

OLD_TASKS = {  # as PaddleHub's modules called them before 2.0.2, some of them with underscores
    "sequence-classification": "seq-cls",
    "token-classification": "token-cls",
    "text-match": "text-matching",
}
MAX_SEQ_LEN = 128  # of PaddleHub's modules
STREAMED = 1024  # items of a stream that are answered at a time


class How(NamedTuple):
    """Arguments of `predict` that shape neither inputs nor answers of the network."""

    batch_size: int
    use_gpu: bool
    engine: str
    output: str
    on_error: str
    return_prob: bool


class ElectraModule(nn.Layer, HubInterface, metaclass=ModuleClass):
    """Chinese ELECTRA for one task; with labels `hub.Trainer` can fine-tune it.

    Args:
        task: a name in `tasks()`. None stands for what the weights were fine-tuned for, else for "embedding".
        load_checkpoint: fine-tuned parameters of this module or of an official one: a .safetensors file, or the
            folder or .pdparams file that `hub.Trainer` writes (read without running any code in it). What the Trainer
            writes for this module also brings its task and labels. Tasks that are not learned take its encoder.
        label_map: class id -> label, where ids may be strings, as JSON has them; or the labels in a list.
        num_classes: number of classes; the label map's where one is given.
        suffix: whether the labels of "token-cls" end (and not begin) with B, I, E or S.
        pretrained: a pretrained directory, a pre-training run or a published name to use instead of the module's own
            weights.
        pretrained_dir: an older name of `pretrained`.
        exported: a folder that `export` wrote, for the other engines of `predict`.
        class_weights: label -> factor of the loss of its class, 1 unless given, where `hub.Trainer` learns "seq-cls",
            "pair-cls" or "text-matching".
        kwargs: entries of ElectraConfig, such as hidden_dropout_prob.

    Raises:
        ConfigError, CheckpointError, DataError: an argument is of no use, or there are no weights.
    """

    name: ClassVar[str]  # PaddleHub sets these, from the arguments of @moduleinfo
    summary: ClassVar[str]
    directory: str  # of its files, where they are installed
    generator: nn.Layer  # of tasks that work with both networks, see `generator_of`
    # The published model whose weights are used; None for modules with their own in assets/.
    weights: ClassVar[str | None] = None

    def __new__(cls, *arguments: Any, **named: Any) -> Any:
        """The module; in `hub run` something that makes it later, for its weights may be those that an option names."""
        if not (arguments or named) and command.is_hub_run(cls.name):
            return command.Awaiting(cls)
        return super().__new__(cls)

    @command.ends_serving_in_one_line
    def __init__(
        self,
        task: str | None = None,
        load_checkpoint: str | Path | None = None,
        label_map: Mapping[int | str, Any] | Sequence[Any] | None = None,
        num_classes: int = 2,
        suffix: bool = False,
        pretrained: str | Path | None = None,
        pretrained_dir: str | Path | None = None,
        exported: str | Path | None = None,
        class_weights: Mapping[Any, float] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__()
        runtime.prepare_math_library()  # before the first product, which may be one of `hub.Trainer`
        checkpoint = read_checkpoint(load_checkpoint)
        name = known_name(task) if task is not None else checkpoint.task
        if name is not None and name not in tasks():
            raise ConfigError("task", repr(task), "None or " + " or ".join(map(repr, tasks())))
        num_classes = whole_number("num_classes", num_classes, 1)
        self.pretrained = pretrained_dir if pretrained is None else pretrained
        self.assets = find_weights(self, self.pretrained, tasks()[name or "embedding"].component)
        self._build(name, label_map, num_classes, checkpoint, kwargs)
        self.class_weights = choose_class_weights(class_weights, self.label_map, self.handler)
        self.exported: Path | None = None if exported is None else Path(exported)
        self.engines: dict[str, Engine] = {}  # name -> engine of the exported network, once it was asked for
        self.suffix = suffix
        self.metric = self.handler.make_metric(self.label_map, suffix)
        protect_hub_serving(self)

    __new__.__wrapped__ = __init__  # type: ignore[attr-defined]  # whose arguments help() and inspect.signature show

    def _build(
        self,
        name: str | None,
        label_map: Mapping[int | str, Any] | Sequence[Any] | None,
        num_classes: int,
        checkpoint: Checkpoint,
        settings: Mapping[str, Any],
    ) -> None:
        """Decide on task and labels, and fill the layers."""
        own_task, own_labels = task_of(self.assets)
        chosen = name or own_task or "embedding"
        self.handler = tasks()[chosen]
        self.task = None if chosen == "embedding" else chosen  # as PaddleHub has it
        has_own_head = own_task is not None and self.handler.trained_by == tasks()[own_task].trained_by
        self.settings = checkpoint.settings(chosen) or (settings_of(self.assets) if has_own_head else {})
        self.text_tokenizer = pretrained.load_tokenizer(self.assets)
        self.config = pretrained.load_config(self.assets)
        num_classes = self.config.num_labels if has_own_head else num_classes
        own_labels = (own_labels or []) if has_own_head else None
        if label_map is None and checkpoint.is_for(chosen):
            label_map = checkpoint.labels
        self.label_map = choose_labels(label_map, num_classes, own_labels, self.assets)
        self.num_classes = self.config.num_labels = len(self.label_map)
        self.arguments = {**checkpoint.arguments, **settings}
        apply_settings(self.config, self.arguments)
        build_layers(self, checkpoint, has_own_head)
        self.is_trained = has_own_head or checkpoint.path is not None or not self.handler.is_learned
        self._has_warned = False

    def state_dict(self, *args: Any, **kwargs: Any) -> Any:
        """Parameters as `nn.Layer` gives them, and what one has to know to use them; `hub.Trainer` saves it."""
        state = super().state_dict(*args, **kwargs)
        state[ENTRY] = to_tensor(describe(self))
        return state

    def set_state_dict(self, state_dict: Mapping[str, Any], *args: Any, **kwargs: Any) -> Any:
        """Set parameters as `nn.Layer` does; `hub.Trainer` resumes with it."""
        self.is_trained = True
        self.engines.clear()
        parameters = {name: value for name, value in state_dict.items() if name != ENTRY}
        return super().set_state_dict(parameters, *args, **kwargs)

    def forward(
        self,
        input_ids: Tensor | None = None,
        token_type_ids: Tensor | None = None,
        position_ids: Tensor | None = None,
        attention_mask: Tensor | None = None,
        query_input_ids: Tensor | None = None,
        query_token_type_ids: Tensor | None = None,
        query_position_ids: Tensor | None = None,
        query_attention_mask: Tensor | None = None,
        title_input_ids: Tensor | None = None,
        title_token_type_ids: Tensor | None = None,
        title_position_ids: Tensor | None = None,
        title_attention_mask: Tensor | None = None,
        seq_lengths: Tensor | None = None,
        labels: Tensor | None = None,
    ) -> Any:
        """Class probabilities, [B, C] or for each token [B, L, C]; with labels also the mean loss and a metric.

        Of "regression" and "pair-regression" numbers [B, 1] in their place.

        Without a task: the last hidden states [B, L, H], and those of `[CLS]`, [B, H]. For the other tasks without
        labels: logits, as the tasks describe them.

        Args:
            query_input_ids ... title_attention_mask: both texts of "text-matching".
            seq_lengths: not needed, padding is where the labels are ignored.
            labels: [B]; [B, L] with -100 at padding; [B, C] of 1 and 0 for the tasks with several labels.
        """
        output = self.handler.forward_named(self, locals())
        if not self.handler.is_taught:
            return output
        if self.training:
            self.is_trained = True
            self.engines.clear()  # what was exported is no longer this network
        probabilities = self.handler.probabilities(output)
        if labels is None:
            return probabilities
        loss, metrics = self.handler.supervise(self.metric, output, probabilities, labels)
        if self.class_weights is not None and isinstance(self.handler, Classification):
            loss = self.handler.weighted_loss(output, labels, self.class_weights)
        return probabilities, loss, metrics

    def predict(
        self,
        data: Any,
        max_seq_len: int | None = None,
        split_char: str = SPLIT_CHAR,
        batch_size: int = 32,
        use_gpu: bool = False,
        return_prob: bool = False,
        top_k: int = 5,
        engine: str = "eager",
        output: str = "plain",
        pooling: str | None = None,
        on_error: str = "stop",
        threshold: float | None = None,
        min_score: float | None = None,
        candidates: bool | None = None,
    ) -> Any:
        """Answers to texts, the same ones whatever the batch size.

        Args:
            data: list of [text]; of [text, second text] for the tasks on pairs; of [context, question], or of
                {"context": ..., "question": ...}, for "question-answering". Tuples and arrays will do; where one text
                is an item, a list of texts or one text will, too. A generator is answered by a generator.
            max_seq_len: tokens of a sequence [as many as the head was fine-tuned with, else 128]. Longer texts are cut,
                or taken in windows of that length in "question-answering" and in tasks that answer token by token.
            split_char: stands between the tokens of a text of "token-cls".
            return_prob: whether the probabilities of all classes come back too.
            top_k: number of candidates of "fill-mask", and of each suspected character where `candidates` is set.
            engine: what computes the network: "eager", Paddle's layers; or what `export` wrote, by Paddle Inference
                ("inference") or ONNX Runtime ("onnx").
            output: "plain" answers are those below; "dict" gives each as a dict with named fields, see `Task.as_dict`.
            pooling: without a task: "cls" or "mean" for one vector [H] a text, "none" for what is said below.
            on_error: what an item does that cannot be answered, such as an empty text: "stop", or "skip" for None as
                its answer, and a warning.
            threshold: of probabilities. "text-correction" looks at the characters that look wrong with this probability
                or a higher one [0.5], "replaced-token-detection" where `candidates` are asked for; tasks with several
                labels give those that reach it [as fine-tuning chose it, else 0.5].
            min_score: probability of a correction that "text-correction" makes at least [0.5].
            candidates: of "replaced-token-detection": whether the generator says what stands better where a character
                is suspected; its weights are needed then.

        Returns:
            one answer for each item, in a list; with `return_prob` a pair of such lists: labels, probabilities (a
            generator yields such pairs).

            - without a task: [embedding of [CLS], embeddings of all tokens], padding removed
            - seq-cls, pair-cls, text-matching: label
            - multi-label-cls, pair-multi-label-cls: list of labels, empty where there is none
            - token-cls: list of labels, one for each token of the caller's. `labels[1 : len(text) + 1]`, with which
              scripts for 2.0.2 leave [CLS] out, means all of them here, too
            - regression, pair-regression: number
            - multiple-choice, pair-multiple-choice: {"choice", "number", "probabilities"}
            - similarity: cosine, from -1 to 1
            - question-answering: {"text": str, "score": float, "start": int, "end": int}, where context[start:end] is
              the text; "" where there is no answer; "answer" is the text once more, as earlier versions called it
            - fill-mask: for each [MASK] of the text the best candidates, {"token": str, "score": float}
            - replaced-token-detection: for each character the probability that it is not what once stood there; with
              `candidates` {"characters", "probabilities", "suspects": [{"start", "original", "candidates": [{"token",
              "score"}]}]}, where text[start] is the original character
            - text-correction: {"text", "corrected", "edits": [{"start", "original", "suggestion", "score"}]}, where
              text[start] is the original character and corrected[start] the better one, with its probability

        Raises:
            ConfigError, DataError: an argument or item is not as it should be; nothing is computed then.
        """
        options = self._options(
            max_seq_len,
            split_char,
            whole_number("batch_size", batch_size, 1),
            top_k,
            pooling,
            threshold,
            min_score,
            None if candidates is None else truth("candidates", candidates),
        )
        how = How(
            options.batch_size,
            truth("use_gpu", use_gpu),
            engine,
            one_of("output", output, ("plain", "dict")),
            one_of("on_error", on_error, ("stop", "skip")),
            truth("return_prob", return_prob),
        )
        if how.return_prob and not self.handler.has_classes:
            raise ConfigError("return_prob", True, f"False, {self.task or 'embedding'} has no classes")
        self._warn_if_untrained()
        if is_stream(data):
            return self._answer_stream(data, options, how)
        return self._as_asked(self._answer(data, options, how), how)

    def _answer_stream(self, data: Iterable[Any], options: Options, how: How) -> Iterator[Any]:
        """Yield the answers to items as they come."""
        stream = iter(data)
        for start in itertools.count(0, STREAMED):
            part = list(itertools.islice(stream, STREAMED))
            for answer in self._answer(part, options, how, start):
                both = self._as_asked([answer], how)
                yield (both[0][0], both[1][0]) if isinstance(both, tuple) else both[0]
            if len(part) < STREAMED:
                return

    def _as_asked(self, answers: list[Any], how: How) -> Any:
        """The answers as `predict` returns them: of tasks with classes the labels, or labels and probabilities."""
        if how.output == "dict" or not self.handler.has_classes:
            return answers
        labels, probabilities = ([answer and answer[part] for answer in answers] for part in (0, 1))
        return (labels, probabilities) if how.return_prob else labels

    def _answer(self, data: Any, options: Options, how: How, start: int = 0) -> list[Any]:
        """One answer for each item, None for one that is skipped: the task's own, or the dict that is asked for.

        Args:
            start: number of the first item, for messages.
        """
        if self.max_items is not None and isinstance(data, list) and len(data) > self.max_items:
            raise DataError("data", f"{len(data):,} items", f"{self.max_items:,} at most", "send them in parts")
        found: list[Any] = read_items(data, self.handler.num_texts, self.handler.text_names, start)
        examples: dict[int, Example] = {}
        for number, item in enumerate(found):
            if isinstance(item, tuple):
                try:
                    examples[number] = self.handler.encode(self.text_tokenizer, item, options)
                except DataError as error:
                    found[number] = numbered(error, start + number)
        errors = [item for item in found if isinstance(item, DataError)]
        if errors and how.on_error == "stop":
            raise errors[0] from None
        if errors:
            note(f"{self.name}: {len(errors)} of {len(found)} items skipped: {some_of(list(map(str, errors)), 1)}")
        self._check_size(examples.values(), options)
        self._note_on({number: (found[number], example) for number, example in examples.items()}, options, start)
        self.eval()
        with on_device(self, how.use_gpu):
            network, num_workers = choose_engine(self, how.engine, how.use_gpu)
            values = iter(
                compute_in_batches(
                    [row for example in examples.values() for row in example.rows],
                    how.batch_size,
                    lambda *batches: self.handler.keep(self, options, network(*batches), *batches),
                    num_workers,
                )
            )
        answers: list[Any] = [None] * len(found)
        for number, example in examples.items():
            answer = self.handler.answer(self, example, [next(values) for _ in example.rows], options)
            if how.output == "dict":
                answer = self.handler.as_dict(self, found[number], answer, options)
            answers[number] = answer
        return answers

    def _check_size(self, examples: Iterable[Example], options: Options) -> None:
        """Refuse a request whose answer would not fit in memory beside others, where a service sets `max_values`.

        Raises:
            DataError: says how large it would be.
        """
        if self.max_values is None:
            return
        size = sum(self.handler.num_values(self, example, options) for example in examples)
        if size > self.max_values:
            advice = "send fewer items at a time" + (', or give pooling="mean"' if self.task is None else "")
            raise DataError("data", f"an answer of {size:,} values", f"{self.max_values:,} at most", advice)

    def _note_on(self, items: Mapping[int, tuple[Any, Example]], options: Options, start: int) -> None:
        """Say which items look wrong, and which are cut."""
        strange = ((number, self.handler.note_on(texts)) for number, (texts, _) in items.items())
        if told := next(((number, each) for number, each in strange if each), None):
            note(f"{self.name}: data[{start + told[0]}]: {told[1]}")
        lost = [
            f"data[{start + number}]"
            for number, (texts, example) in items.items()
            if self.handler.num_lost(self.text_tokenizer, texts, example, options)
        ]
        if lost:
            note(
                f"{self.name}: {len(lost)} of {len(items)} items are longer than max_seq_len {options.max_seq_len} and "
                f"lose their end ({some_of(lost)})"
            )

    def _warn_if_untrained(self) -> None:
        if not self.is_trained and (is_collecting() or not self._has_warned):
            self._has_warned = self._has_warned or not is_collecting()
            note(f"{self.name}: the head of {self.task} is untrained, its answers mean nothing")

    def export(
        self,
        out: str | Path,
        format: str = "paddle",
        precision: str = "fp32",
        overwrite: bool = False,
        tolerance: float = TOLERANCE,
    ) -> dict[str, Any]:
        """Write the network for Paddle Inference or ONNX Runtime; `predict` takes it from then on, see `engine`.

        Args, returns and raises: as `export_network`.
        """
        self._warn_if_untrained()
        about = export_network(self, out, format, precision, overwrite, tolerance)
        self.exported = Path(out)
        self.engines.clear()
        return about

    def export_onnx_model(self, dirname: str | Path, **options: Any) -> None:
        """`export` in the format "onnx", under PaddleHub's name for it; PaddleHub's own ends Python where it fails.

        Raises:
            ConfigError: an option of PaddleHub's.
        """
        if options:
            raise ConfigError("export_onnx_model", ", ".join(options), "a folder's name alone", "`export` has options")
        self.export(dirname, format="onnx")

    def _options(
        self,
        max_seq_len: int | None,
        split_char: str,
        batch_size: int,
        top_k: int,
        pooling: str | None,
        threshold: float | None,
        min_score: float | None,
        candidates: bool | None,
    ) -> Options:
        most = self.config.max_position_embeddings
        if max_seq_len is None:
            max_seq_len = min(self.settings.get("max_seq_length", MAX_SEQ_LEN), most)
        max_seq_len = whole_number("max_seq_len", max_seq_len, 8, most)
        top_k = whole_number("top_k", top_k, 1)
        if not isinstance(split_char, str) or not split_char:
            raise ConfigError("split_char", repr(split_char), "a string that stands between tokens")
        chosen = (threshold, min_score, pooling, candidates)
        options = Options(max_seq_len, split_char, top_k, self.settings, batch_size, *chosen)
        self.handler.check_options(options)
        return options


def known_name(task: str) -> str:
    """The name of a task as `tasks()` has it, of an older one or one with underscores."""
    dashed = str(task).replace("_", "-")
    return task if task in tasks() else OLD_TASKS.get(dashed, dashed)


def numbered(error: DataError, number: int) -> DataError:
    """The error of a task about its item, with the item's number."""
    error.args = (f"data[{number}]{str(error).removeprefix('data')}",)
    return error

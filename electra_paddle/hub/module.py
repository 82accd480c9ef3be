"""The class behind every PaddleHub module of this project: the interface of the official ELECTRA modules 2.0.2.

Shapes: B batch, L sequence, H hidden, C classes.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from paddle import nn, to_tensor

from electra_paddle import runtime
from electra_paddle.errors import ConfigError
from electra_paddle.hub import command
from electra_paddle.hub.checkpoint import ENTRY, Checkpoint, describe, read_checkpoint
from electra_paddle.hub.construction import apply_settings, build_layers, choose_class_weights, choose_labels
from electra_paddle.hub.deployment.engines import choose_engine
from electra_paddle.hub.deployment.network_export import TOLERANCE, export_network
from electra_paddle.hub.inputs import check_items, check_number
from electra_paddle.hub.interface import HubInterface
from electra_paddle.hub.prediction import compute_in_batches, on_device
from electra_paddle.hub.tasks.base import SPLIT_CHAR, Options
from electra_paddle.hub.tasks.classification import Classification
from electra_paddle.hub.tasks.registry import tasks
from electra_paddle.hub.weights import find_weights, settings_of, task_of
from electra_paddle.models import pretrained_directory as pretrained

if TYPE_CHECKING:
    from paddle import Tensor

    from electra_paddle.hub.prediction import Engine

DEPRECATED_TASKS = {"sequence_classification": "seq-cls"}


MAX_SEQ_LEN = 128  # of PaddleHub's modules


class ElectraModule(nn.Layer, HubInterface):
    """Chinese ELECTRA for one task; with labels `hub.Trainer` can fine-tune it.

    Args:
        task: a name in `tasks()`. None stands for what the weights were fine-tuned for, else for "embedding".
        load_checkpoint: fine-tuned parameters of this module or of an official one: a .safetensors file, or the
            folder or .pdparams file that `hub.Trainer` writes (read without running any code in it). What the Trainer
            writes for this module also brings its task and labels. Tasks that are not learned take its encoder.
        label_map: class id -> label; ids may be strings, as JSON has them.
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
        label_map: Mapping[int | str, Any] | None = None,
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
        name = DEPRECATED_TASKS.get(task, task) if task is not None else checkpoint.task
        if name is not None and name not in tasks():
            raise ConfigError("task", repr(task), "None or " + " or ".join(map(repr, tasks())))
        check_number("num_classes", num_classes, 1)
        component = tasks()[name or "embedding"].component
        self.assets = find_weights(self, pretrained_dir if pretrained is None else pretrained, component)
        self._build(name, label_map, num_classes, checkpoint, kwargs)
        self.class_weights = choose_class_weights(class_weights, self.label_map, self.handler)
        self.exported: Path | None = None if exported is None else Path(exported)
        self.engines: dict[str, Engine] = {}  # name -> engine of the exported network, once it was asked for
        self.metric = self.handler.make_metric(self.label_map, suffix)

    __new__.__wrapped__ = __init__  # type: ignore[attr-defined]  # whose arguments help() and inspect.signature show

    def _build(
        self,
        name: str | None,
        label_map: Mapping[int | str, Any] | None,
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

        Without a task: the last hidden states [B, L, H], and those of [CLS] [B, H]. For the other tasks without
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
        data: Sequence[Sequence[str]],
        max_seq_len: int | None = None,
        split_char: str = SPLIT_CHAR,
        batch_size: int = 32,
        use_gpu: bool = False,
        return_prob: bool = False,
        top_k: int = 5,
        engine: str = "eager",
    ) -> Any:
        """Answers to texts, the same ones whatever the batch size.

        Args:
            data: list of [text]; of [text, second text] for the tasks on pairs; of [context, question], or of
                {"context": ..., "question": ...}, for "question-answering".
            max_seq_len: tokens of a sequence [as many as the head was fine-tuned with, else 128]. Longer texts are cut,
                or taken in windows of that length in "question-answering" and in tasks that answer token by token.
            split_char: stands between the tokens of a text of "token-cls".
            return_prob: whether the probabilities of all classes come back too.
            top_k: number of candidates of "fill-mask".
            engine: what computes the network: "eager", Paddle's layers; or what `export` wrote, by Paddle Inference
                ("inference") or ONNX Runtime ("onnx").

        Returns:
            one answer for each item, in a list; with `return_prob` a pair of such lists: labels, probabilities.

            - without a task: [embedding of [CLS], embeddings of all tokens], padding removed
            - seq-cls, pair-cls, text-matching: label
            - multi-label-cls, pair-multi-label-cls: list of labels, empty where there is none
            - token-cls: list of labels, one for each token of the caller's
            - regression, pair-regression: number
            - multiple-choice, pair-multiple-choice: {"choice", "number", "probabilities"}
            - similarity: cosine, from -1 to 1
            - question-answering: {"text": str, "score": float, "start": int, "end": int}, where context[start:end] is
              the text; "" where there is no answer; "answer" is the text once more, as earlier versions called it
            - fill-mask: for each [MASK] of the text the best candidates, {"token": str, "score": float}
            - replaced-token-detection: for each character the probability that it is not what once stood there

        Raises:
            ConfigError, DataError: an argument or item is not as it should be; nothing is computed then.
        """
        options = self._options(max_seq_len, split_char, batch_size, return_prob, top_k)
        items = check_items(data, self.handler.num_texts, self.handler.text_names)
        self._warn_if_untrained()
        notes = (f"data[{number}]: {self.handler.note_on(texts)}" for number, texts in enumerate(items))
        if note := next((note for note in notes if not note.endswith(": ")), None):
            warnings.warn(f"{self.name}: {note}", stacklevel=2)
        examples = [self.handler.encode(self.text_tokenizer, texts, options) for texts in items]
        self.eval()
        with on_device(self, use_gpu):
            network, num_workers = choose_engine(self, engine, use_gpu)
            values = iter(
                compute_in_batches(
                    [row for example in examples for row in example.rows],
                    batch_size,
                    lambda *batches: self.handler.keep(self, options, network(*batches), *batches),
                    num_workers,
                )
            )
        answers = [
            self.handler.answer(self, example, [next(values) for _ in example.rows], options) for example in examples
        ]
        if not self.handler.has_classes:
            return answers
        labels, probabilities = ([answer[part] for answer in answers] for part in (0, 1))
        return (labels, probabilities) if return_prob else labels

    def _warn_if_untrained(self) -> None:
        if not (self.is_trained or self._has_warned):
            self._has_warned = True
            warnings.warn(f"{self.name}: the head of {self.task} is untrained, its answers mean nothing", stacklevel=3)

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
        self, max_seq_len: int | None, split_char: str, batch_size: int, return_prob: bool, top_k: int
    ) -> Options:
        if max_seq_len is None:
            max_seq_len = min(self.settings.get("max_seq_length", MAX_SEQ_LEN), self.config.max_position_embeddings)
        check_number("max_seq_len", max_seq_len, 8, self.config.max_position_embeddings)
        check_number("batch_size", batch_size, 1)
        check_number("top_k", top_k, 1)
        if not isinstance(split_char, str) or not split_char:
            raise ConfigError("split_char", repr(split_char), "a string that stands between tokens")
        if return_prob and not self.handler.has_classes:
            raise ConfigError("return_prob", return_prob, f"False, {self.task or 'embedding'} has no classes")
        return Options(max_seq_len, split_char, top_k, self.settings)

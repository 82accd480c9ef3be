"""The seam between what every fine-tuning run does and what one kind of task does.

Everything above it (features and their cache, batches, trials, reports) knows a task as a TaskKind only.
Shapes: B rows of a batch (one for each feature), L sequence.
"""

from __future__ import annotations

import abc
import dataclasses
import json
from collections.abc import Hashable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Generic, Protocol, TypeVar

from electra_paddle.batch import TokenBatch
from electra_paddle.errors import CheckpointError, ConfigError
from electra_paddle.finetuning.analysis import Verdict
from electra_paddle.parsing import parse_json
from electra_paddle.task_kinds import KINDS, load_class

if TYPE_CHECKING:
    from paddle import Tensor
    from paddle.nn import Layer
    from paddlenlp.transformers import ElectraConfig
    from typing_extensions import Self

    from electra_paddle.arrays import Array
    from electra_paddle.config import FinetuningConfig
    from electra_paddle.finetuning.description import TaskDescription
    from electra_paddle.finetuning.features import Features
    from electra_paddle.finetuning.prediction import Wanted
    from electra_paddle.finetuning.problems import Problems
    from electra_paddle.text import Tokenizer

TASK = "task.json"  # in a fine-tuned directory: what one has to know to use it
TRAINING_OPTIONS = ("class_weights", "label_smoothing", "focal_gamma", "r_drop_alpha")  # not of every kind
THRESHOLDS = ("threshold", "qa_na_threshold")  # not of every kind either
TASK_ENTRIES = ("name", "kind", "labels", "is_pair", "settings")


class HasPlace(Protocol):
    """The attributes that every example has."""

    @property
    def id(self) -> str: ...  # unique in its file

    @property
    def where(self) -> str: ...  # file and line, for messages


Example = TypeVar("Example", bound=HasPlace)  # what a file says and people count
Feature = TypeVar("Feature")  # what the network is given: a NamedTuple, see TaskKind.feature_class
Batch = TypeVar("Batch")  # B features as arrays, then as tensors
Output = TypeVar("Output")  # of the network
Answer = TypeVar("Answer")  # what is kept of an output, for one feature
Prediction = TypeVar("Prediction")  # for one example


def task_text(kind: AnyKind, identity: str | None = None) -> str:
    """The text of task.json.

    Args:
        kind: of the task.
        identity: a hash of everything that decided about the weights, where it is known.
    """
    description = kind.description
    task = {
        "name": description.name,
        "kind": description.kind,
        "labels": list(description.classes),
        "is_pair": "text_b" in description.columns,
        "columns": {name: column for name, column in description.columns.items() if isinstance(column, str)},
        "settings": {name: getattr(kind.config, name) for name in (*kind.settings, *kind.kept)},
        "identity": identity,
    }
    if description.answer_types:
        task["answer_types"] = list(description.answer_types)
    if kind.chosen:
        task["chosen"] = {name: getattr(kind.config, name) for name in kind.chosen}
    return json.dumps(task, indent=2, ensure_ascii=False) + "\n"


def read_task(folder: str | Path) -> dict[str, Any]:
    """Read task.json of a fine-tuned directory.

    Raises:
        CheckpointError: there is none.
    """
    path = Path(folder) / TASK
    try:
        task: dict[str, Any] = parse_json(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise CheckpointError(path, f"no readable description ({error})", "a fine-tuned model's folder") from error
    missing = [name for name in TASK_ENTRIES if name not in task] if isinstance(task, dict) else TASK_ENTRIES
    if missing:
        raise CheckpointError(path, f"no {missing[0]!r}", f"an object with {', '.join(TASK_ENTRIES)}")
    return task


def make_kind(description: TaskDescription, config: FinetuningConfig) -> AnyKind:
    """The kind that a task's description names; its module is loaded now, and Paddle is not.

    Raises:
        ConfigError: the configuration has something that this kind has not.
    """
    kind: AnyKind = load_class(KINDS[description.kind].finetuning)(description, config)
    for name in THRESHOLDS:
        if getattr(config, name) is not None and name not in kind.chosen:
            raise ConfigError(name, getattr(config, name), f"none for {description.name}, whose answers have none")
    return kind


class TaskKind(abc.ABC, Generic[Example, Feature, Batch, Output, Answer, Prediction]):
    """Everything that depends on the kind of a task. Methods are pure but for `write_*`; those up to `featurize` need
    no Paddle.

    An example is what a file says and people count; a feature is what the network is given. One example makes one
    feature or several (windows of a long text). The type's parameters name what flows through a kind, in its order.

    Attributes:
        description: TaskDescription; its labels are known by the time that a file is read for examples.
        config: FinetuningConfig.
        feature_class: NamedTuple of a feature's numbers and 1-D integer arrays. It has `example`, the number of its
            example, and `input_ids`, special tokens included.
        metrics: names of the scores that are always reported, in percent, higher is better; the first is what trials
            and models are compared by unless the description names another.
        further_metrics: names of the scores that are reported if the description names them.
        lower_is_better: those of all of these that are errors, in units of their own; nothing is compared by them.
        table_metrics: those that a published table shows, in its order; the one that counts unless there are several.
        settings: names of the configuration's entries that shape features.
        kept: names of further ones that a fine-tuned model is used with.
        chosen: names of further ones that are chosen by the predictions for dev, where they say nothing (None).
        training_options: those of TRAINING_OPTIONS that its training knows.
        always_writes: whether predictions are written where `write_test_outputs` is off, too.
        reads_in_parts: whether texts that are longer than a sequence are read as several.
        wanted: those of prediction's Wanted that `output` has.
    """

    feature_class: ClassVar[type[Any]]
    metrics: ClassVar[tuple[str, ...]]
    further_metrics: ClassVar[tuple[str, ...]] = ()
    lower_is_better: ClassVar[tuple[str, ...]] = ()
    table_metrics: ClassVar[tuple[str, ...]] = ()
    settings: tuple[str, ...] = ("max_seq_length",)
    kept: ClassVar[tuple[str, ...]] = ()
    chosen: tuple[str, ...] = ()
    training_options: ClassVar[tuple[str, ...]] = ()
    always_writes: ClassVar[bool] = False
    reads_in_parts: bool = False
    wanted: ClassVar[tuple[str, ...]] = ()

    def __init__(self, description: TaskDescription, config: FinetuningConfig) -> None:
        self.description, self.config = description, config
        known = (*self.metrics, *self.further_metrics)
        for field, names in (("metric", (self.main_metric,)), ("report_metrics", description.report_metrics)):
            for name in names:
                if name not in known:
                    raise ConfigError(field, repr(name), " or ".join(known))
        if self.main_metric in self.lower_is_better:
            others = [name for name in known if name not in self.lower_is_better]
            raise ConfigError("metric", repr(self.main_metric), " or ".join(others), "it is an error: less is better")
        for name in TRAINING_OPTIONS:
            if getattr(config, name) and name not in self.training_options:
                raise ConfigError(name, repr(getattr(config, name)), f"none for kind {description.kind}")

    @property
    def open_choices(self) -> list[str]:
        """The entries of `chosen` that the configuration leaves open."""
        return [name for name in self.chosen if getattr(self.config, name) is None]

    def with_settings(self, settings: Mapping[str, Any]) -> Self:
        """This kind with other entries of its configuration."""
        return type(self)(self.description, dataclasses.replace(self.config, **settings)) if settings else self

    @property
    def main_metric(self) -> str:
        """The score that trials and models are compared by."""
        return self.description.metric or self.metrics[0]

    @property
    def reported(self) -> tuple[str, ...]:
        """The scores of a run."""
        return tuple(dict.fromkeys((*self.metrics, self.main_metric, *self.description.report_metrics)))

    def find_labels(self, path: Path, problems: Problems) -> tuple[str, ...]:
        """The labels in a training file, sorted; () for kinds without labels."""
        return ()

    @abc.abstractmethod
    def read(self, path: Path, split: str, problems: Problems) -> list[Example]:
        """The examples of a file: picklable objects.

        Bad rows go to `problems.add`. Labels are needed in train and dev; other splits may lack them.
        """

    @abc.abstractmethod
    def is_labelled(self, examples: Sequence[Example]) -> bool:
        """Whether the examples can be scored."""

    def count_labels(self, examples: Sequence[Example]) -> dict[str, int]:
        """Label -> how many labelled examples have it; {} for kinds without labels."""
        return {}

    def about_labels(self) -> str:
        """A few words on the labels, said before training; "" where there is nothing to say."""
        return ""

    @abc.abstractmethod
    def featurize(self, number: int, example: Example, tokenizer: Tokenizer) -> list[Feature]:
        """The features of one example, whose number among the split's examples is given."""

    def note_on_cuts(self, examples: Sequence[Example], features: Features, tokenizer: Tokenizer) -> str:
        """How many of a split's examples lose text, and what reads all of it; "" where none does."""
        return ""

    @abc.abstractmethod
    def build_network(self, electra_config: ElectraConfig) -> Layer:
        """A PaddleNLP-compatible Layer with the encoder as `electra`; `initialize` fills it afterwards."""

    @abc.abstractmethod
    def collate(self, features: Sequence[Feature], length: int | None = None) -> Batch:
        """A NamedTuple of numpy arrays with B rows, padded to the longest, or to `length`.

        It has `weights` [B] float32, all 1; the caller may replace them. A row's loss counts as often as its weight.
        """

    @abc.abstractmethod
    def forward(self, network: Layer, batch: Batch) -> Output:
        """Output of a batch of tensors: a NamedTuple with `loss`, the weighted sum over the rows.

        Without labels the loss is 0. In evaluation (`network.training` is false) it has all that `answers` needs.
        """

    def for_training(self, examples: Sequence[Example]) -> Self:
        """The kind as it trains on examples, where its loss depends on them."""
        return self

    def divergence(self, batch: Batch, first: Output, second: Output) -> Tensor:
        """How far two outputs for a training batch are apart, summed over its rows: the KL term of R-Drop."""
        raise NotImplementedError  # `training_options` lacks r_drop_alpha

    def row_losses(self, batch: Batch, output: Output) -> Tensor | None:
        """The loss of each row [B] of a training batch, by which wrong labels are found; None where it is not known.

        It is the plain loss, without what `training_options` change.
        """
        return None

    def training_metrics(self, batch: Batch, output: Output) -> dict[str, Tensor]:
        """Scalar tensors about a training batch, for the log."""
        return {"loss": mean_loss(batch, output)}

    @abc.abstractmethod
    def answers(self, batch: Batch, output: Output) -> list[Answer]:
        """Reduce an evaluated batch to a list of B small picklable objects."""

    def tokens_of(self, batch: Batch) -> TokenBatch:
        """The sequences of a batch of arrays as an exported network takes them."""
        return TokenBatch(*batch[:3])  # type: ignore[index]

    def exported_answers(self, batch: Batch, outputs: Mapping[str, Array]) -> list[Answer]:
        """`answers` from what a network computes that was exported for hub modules: name of an output -> array."""
        raise ConfigError(
            "engine", f"kind {self.description.kind}", "eager", "the kind does not read exported networks"
        )

    @abc.abstractmethod
    def predict(
        self, examples: Sequence[Example], features: Iterable[Feature], answers: Iterable[Answer], tokenizer: Tokenizer
    ) -> list[Prediction]:
        """A prediction for each example, from all features and the answer to each.

        Args:
            tokenizer: the one that made the features.
        """

    def choose(self, examples: Sequence[Example], predictions: Sequence[Prediction]) -> dict[str, Any]:
        """Values of `open_choices`, by the predictions for the labelled examples of dev."""
        return {}

    def decide(self, prediction: Prediction) -> Prediction:
        """A prediction as it is after `choose` has chosen other settings."""
        return prediction

    @abc.abstractmethod
    def score(self, examples: Sequence[Example], predictions: Sequence[Prediction]) -> dict[str, float]:
        """{metric: value in percent}, for all of `reported`."""

    @abc.abstractmethod
    def write_predictions(
        self,
        output_dir: Path,
        split: str,
        trial: int | str,
        examples: Sequence[Example],
        predictions: Sequence[Prediction],
    ) -> list[Path]:
        """Write what was predicted, as the original lays it out; returns the paths.

        Args:
            output_dir: the run's folder; files lie in folders of it.
            split: the stem of the split's file, such as dev or eval.
            trial: number of the trial or fold, from 1, or "ensemble".
        """

    def texts(self, example: Example) -> tuple[str, ...]:
        """The example's texts, by which one finds it again in other files."""
        return (example.where,)

    @property
    def inputs(self) -> tuple[str, ...]:
        """Names of the parts of what `example` takes, as columns of files are called."""
        return ("text",)

    def output(self, example: Example, prediction: Prediction, wanted: Wanted) -> dict[str, Any]:
        """The columns that a predicted row gets: name -> text, number, list or object."""
        return {"prediction": self.plain(prediction)}

    def for_use(self) -> Self:
        """The kind as it answers users, where that differs from how a task is scored."""
        return self

    def note_on(self, example: Example) -> str:
        """What is to be said of a user's example that can be answered but looks wrong; "" for others."""
        return ""

    @abc.abstractmethod
    def example(self, number: int, given: Any) -> Example:
        """The unlabelled example of what a user gives `Finetuned.predict`, for the given place in the list.

        Raises:
            DataError: it is nothing that this kind takes.
        """

    @abc.abstractmethod
    def plain(self, prediction: Prediction, with_probabilities: bool = False) -> Any:
        """Convert a prediction to what `Finetuned.predict` returns: text, lists and dicts."""

    def gold(self, example: Example) -> Any:
        """The right answer, as `plain` gives a prediction; None where there is none."""
        return None

    def verdict(self, example: Example, prediction: Prediction) -> Verdict:
        """What there is to say of a labelled example and its prediction in an analysis of mistakes."""
        return Verdict(self.plain(prediction) == self.gold(example), 0.0)

    def stratum(self, example: Example) -> Hashable:
        """What all folds of cross-validation have an equal share of, a label for instance; None: of nothing."""
        return None

    def group(self, example: Example) -> Hashable:
        """Examples of the same group come into the same fold of cross-validation; None: each by itself."""
        return None

    def combine(self, batch: Batch, outputs: Sequence[Output]) -> Output:
        """What several networks say together of an evaluated batch: the mean of their probabilities."""
        raise NotImplementedError  # `check_combines` has refused the kind before

    def write_report(self, stem: Path, examples: Sequence[Example], predictions: Sequence[Prediction]) -> list[Path]:
        """Write tables and pictures of one split's predictions; returns their paths.

        Args:
            stem: folder, and what the names of the files begin with.
        """
        return []


AnyKind = TaskKind[Any, Any, Any, Any, Any, Any]  # as runs know it, which look into nothing that flows through it


def mean_loss(batch: Any, output: Any) -> Tensor:
    """The mean over the rows that count of a batch's loss, for any kind's batch and output."""
    return output.loss / batch.weights.sum().clip(min=1.0)


def share_cut(number: int, examples: Sequence[Any], what: str) -> str:
    """A few words on examples that lose text; "" for none."""
    return f"{number:,} of {len(examples):,} {what} ({100 * number / len(examples):.1f} %)" if number else ""

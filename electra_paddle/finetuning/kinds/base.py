"""The seam between what every fine-tuning run does and what one kind of task does.

Everything above it (features and their cache, batches, trials, reports) knows a task as a TaskKind only.
Shapes: B rows of a batch (one for each feature), L sequence.
"""

import abc
import json
from typing import ClassVar

from electra_paddle.errors import ConfigError
from electra_paddle.task_kinds import KINDS, load_class

TASK = "task.json"  # in a fine-tuned directory: what one has to know to use it


def task_text(kind, identity=None):
    """The text of task.json.

    Args:
        kind: TaskKind of the task.
        identity: a hash of everything that decided about the weights, where it is known.
    """
    description = kind.description
    task = {
        "name": description.name,
        "kind": description.kind,
        "labels": list(description.labels or ()),
        "is_pair": "text_b" in description.columns,
        "settings": {name: getattr(kind.config, name) for name in (*kind.settings, *kind.kept)},
        "identity": identity,
    }
    return json.dumps(task, indent=2, ensure_ascii=False) + "\n"


def make_kind(description, config):
    """The TaskKind of a TaskDescription, for a FinetuningConfig; its module is loaded now, and Paddle is not."""
    return load_class(KINDS[description.kind].finetuning)(description, config)


class TaskKind(abc.ABC):
    """What one kind of task does. Methods are pure but for `write_*`; those up to `featurize` need no Paddle.

    An example is what a file says and people count; a feature is what the network is given. One example makes one
    feature or several (windows of a long text).

    Attributes:
        description: TaskDescription; its labels are known by the time that a file is read for examples.
        config: FinetuningConfig.
        Feature: NamedTuple of a feature's ints and 1-D integer arrays. It has `example`, the number of its example,
            and `input_ids`, special tokens included.
        metrics: names of the scores, in percent, higher is better; the first is what trials and models are compared
            by unless the description names another.
        table_metrics: those that a published table shows, in its order; the one that counts unless there are several.
        settings: names of the configuration's entries that shape features.
        kept: names of further ones that a fine-tuned model is used with.
        always_writes: whether predictions are written where `write_test_outputs` is off, too.
    """

    Feature: ClassVar[type]
    metrics: ClassVar[tuple]
    table_metrics: ClassVar[tuple] = ()
    settings: ClassVar[tuple] = ("max_seq_length",)
    kept: ClassVar[tuple] = ()
    always_writes: ClassVar[bool] = False

    def __init__(self, description, config):
        self.description, self.config = description, config
        if self.main_metric not in self.metrics:
            raise ConfigError("metric", repr(self.main_metric), " or ".join(self.metrics))

    @property
    def main_metric(self):
        """The score that trials and models are compared by."""
        return self.description.metric or self.metrics[0]

    def find_labels(self, path, problems):
        """The labels in a training file, sorted; () for kinds without labels."""
        return ()

    @abc.abstractmethod
    def read(self, path, split, problems):
        """The examples of a file: picklable objects, each with `id` (text, unique) and `where` (file and line).

        Bad rows go to `problems.add`. Labels are needed in train and dev; other splits may lack them.
        """

    @abc.abstractmethod
    def is_labelled(self, examples):
        """Whether the examples can be scored."""

    @abc.abstractmethod
    def featurize(self, number, example, tokenizer):
        """A list of Features of one example, whose number among the split's examples is given."""

    @abc.abstractmethod
    def build_network(self, electra_config):
        """A PaddleNLP-compatible Layer with the encoder as `electra`; `initialize` fills it afterwards."""

    @abc.abstractmethod
    def collate(self, features, length=None):
        """A NamedTuple of numpy arrays with B rows, padded to the longest, or to `length`.

        It has `weights` [B] float32, all 1; the caller may replace them. A row's loss counts as often as its weight.
        """

    @abc.abstractmethod
    def forward(self, network, batch):
        """Output of a batch of tensors: a NamedTuple with `loss`, the weighted sum over the rows.

        Without labels the loss is 0. In evaluation (`network.training` is false) it has all that `answers` needs.
        """

    def training_metrics(self, batch, output):
        """Scalar tensors about a training batch, for the log."""
        return {"loss": output.loss / batch.weights.sum().clip(min=1.0)}

    @abc.abstractmethod
    def answers(self, batch, output):
        """What is kept of an evaluated batch: a list of B picklable objects, small ones."""

    @abc.abstractmethod
    def predict(self, examples, features, answers):
        """A list of predictions, one for each example, from all features and the answers to each."""

    @abc.abstractmethod
    def score(self, examples, predictions):
        """{metric: value in percent}, for all of `metrics`."""

    @abc.abstractmethod
    def write_predictions(self, output_dir, split, trial, examples, predictions):
        """Write what was predicted, as the original lays it out; returns the paths.

        Args:
            output_dir: the run's folder; files lie in folders of it.
            split: the stem of the split's file, such as dev or eval.
            trial: number of the trial, from 1.
        """

    @abc.abstractmethod
    def example(self, number, given):
        """The unlabelled example of what a user gives `Finetuned.predict`, for the given place in the list.

        Raises:
            DataError: it is nothing that this kind takes.
        """

    @abc.abstractmethod
    def plain(self, prediction, with_probabilities=False):
        """What `Finetuned.predict` returns of a prediction: text, lists and dicts."""

    def write_report(self, stem, examples, predictions):
        """Write tables and pictures of one split's predictions; returns their paths.

        Args:
            stem: path that the names of the files begin with.
        """
        return []

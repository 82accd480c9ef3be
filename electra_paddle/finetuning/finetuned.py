"""A fine-tuned directory in use: `from_finetuned(FOLDER).predict([text, ...])`."""

from pathlib import Path

from electra_paddle import runtime
from electra_paddle.config import FinetuningConfig
from electra_paddle.errors import DataError
from electra_paddle.finetuning.description import TaskDescription
from electra_paddle.finetuning.features import make_features
from electra_paddle.finetuning.kinds.base import make_kind
from electra_paddle.models import pretrained_directory as pretrained


def from_finetuned(folder):
    """The Finetuned model of a folder that fine-tuning wrote, `finetuning_models/TASK_model_1` for instance.

    Raises:
        CheckpointError: the folder is not whole.
    """
    runtime.start()
    from electra_paddle.finetuning.model import TaskModel, read_task

    folder, task = Path(folder), read_task(folder)
    columns = {"text_a": 0, "text_b": 1} if task["is_pair"] else {"text_a": 0}
    description = TaskDescription(task["name"], task["kind"], columns=columns, labels=tuple(task["labels"]))
    tokenizer = pretrained.load_tokenizer(folder)
    config = FinetuningConfig(init_checkpoint=folder, do_lower_case=tokenizer.do_lower_case, **task["settings"])
    kind = make_kind(description, config)
    network = kind.build_network(pretrained.load_config(folder))
    pretrained.load_model(network, folder)
    return Finetuned(kind, TaskModel(kind, network), tokenizer)


class Finetuned:
    """A model that answers.

    Attributes:
        task: name of the task.
        labels: its labels, in the order of their ids; () where the kind has none.
    """

    def __init__(self, kind, model, tokenizer):
        self.kind, self.model, self.tokenizer = kind, model, tokenizer
        self.task, self.labels = kind.description.name, kind.description.labels

    def predict(self, texts, batch_size=32, with_probabilities=False):
        """What the task's kind answers to each of the texts, in their order.

        A classifier takes texts, or pairs of texts, and returns labels; a tagger takes texts or lists of tokens and
        returns a tag for each character or token; a reader takes pairs of question and text and returns passages.
        Texts longer than the training's max_seq_length are cut by a classifier; other kinds read all of them.

        Args:
            texts: a list.
            with_probabilities: return (label, {label: probability}); of a tagger lists of (tag, probability); of a
                reader (passage, {passage: probability among the best}).

        Raises:
            DataError: something else than a list, or one of its elements is nothing that the kind takes.
        """
        from electra_paddle.finetuning.evaluation import evaluate

        if isinstance(texts, str):
            raise DataError("texts", "one text", "a list of them")
        examples = [self.kind.example(number, given) for number, given in enumerate(texts)]
        if not examples:
            return []
        features = make_features(self.kind, examples, self.tokenizer, num_processes=1)
        predictions = evaluate(self.model, self.kind, examples, features, batch_size).predictions
        return [self.kind.plain(prediction, with_probabilities) for prediction in predictions]

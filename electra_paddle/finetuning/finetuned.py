"""A fine-tuned directory in use: `from_finetuned(FOLDER).predict([text, ...])`, `evaluate(FOLDER, FILE)`."""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from electra_paddle import runtime
from electra_paddle.config import FinetuningConfig
from electra_paddle.config.loading import build
from electra_paddle.conversion.foreign import has_weights
from electra_paddle.conversion.published import published_name
from electra_paddle.errors import CheckpointError, ConfigError, DataError
from electra_paddle.finetuning.converted import fine_tuned_directory
from electra_paddle.finetuning.description import SPLITS, TaskDescription, built_in_tasks, load_description
from electra_paddle.finetuning.ensemble import agreed_task, check_combines, members_of
from electra_paddle.finetuning.features import make_features
from electra_paddle.finetuning.formats import Record
from electra_paddle.finetuning.job import read_split
from electra_paddle.finetuning.kinds.base import TASK, make_kind
from electra_paddle.finetuning.prediction import Wanted, predict_rows
from electra_paddle.finetuning.problems import Problems
from electra_paddle.models import pretrained_directory as pretrained

if TYPE_CHECKING:
    from electra_paddle.finetuning.evaluation import Evaluation, Exported
    from electra_paddle.finetuning.kinds.base import AnyKind
    from electra_paddle.finetuning.model import AnyModel
    from electra_paddle.text import Tokenizer


def from_finetuned(folder: str | Path | Sequence[str | Path]) -> Finetuned:
    """The model of a folder that fine-tuning wrote, `finetuning_models/TASK_model_1` for instance.

    Args:
        folder: that of a model or of an ensemble, or several, which answer as one.

    Raises:
        CheckpointError: a folder is not whole, or the models are of different tasks or take texts in different ways.
    """
    runtime.start()
    from electra_paddle.finetuning.model import load_finetuned

    given = [folder] if isinstance(folder, str | Path) else folder
    folders = [member for each in given for member in members_of(adopted(Path(each)))]
    if not folders:
        raise ConfigError("from_finetuned", "no folder", "at least one")
    task, folder = agreed_task(folders), folders[0]
    columns: dict[str, int | str] = {"text_a": 0, "text_b": 1} if task["is_pair"] else {"text_a": 0}
    answer_types = tuple(task.get("answer_types", ())) or None
    description = TaskDescription(
        task["name"], task["kind"], columns=columns, labels=tuple(task["labels"]), answer_types=answer_types
    )
    tokenizer = pretrained.load_tokenizer(folder)
    settings = {"init_checkpoint": folder, "do_lower_case": tokenizer.do_lower_case, **task["settings"]}
    kind = make_kind(description, build(FinetuningConfig, settings, dict.fromkeys(settings, str(folder / TASK))))
    if len(folders) > 1:
        check_combines(kind)
    model = load_finetuned(kind, folders)
    return Finetuned(model.kind, model, tokenizer, task.get("columns"))


def adopted(folder: Path) -> Path:
    """A fine-tuned directory; one of Hugging Face's or PaddleNLP's is converted first, and kept."""
    if (folder / TASK).is_file() or (folder / pretrained.ENSEMBLE).is_file():
        return folder
    check_is_model(folder)
    return fine_tuned_directory(folder)


def check_is_model(folder: Path) -> None:
    """Refuse what is no model, but the name of a pretrained one, or a folder with models in it.

    Raises:
        CheckpointError: it is one of these, or not there.
    """
    expected = "a fine-tuned model's folder"
    if not folder.exists():
        if name := published_name(folder):
            advice = f"electra-paddle run-finetuning --model-name {name} fine-tunes it"
            raise CheckpointError(folder, "the name of a pretrained network, without a task", expected, advice)
        raise CheckpointError(folder, "no such file or folder", expected)
    if not has_weights(folder):
        pretrained.refuse_where_models_are_below(folder, TASK)


def evaluate(
    model: str | Path | Sequence[str | Path] | Finetuned,
    file: str | Path,
    task: str | Path | TaskDescription | None = None,
    **options: Any,
) -> Evaluation:
    """Predictions and scores of a fine-tuned model on a file of its task.

    Args:
        model: a folder that fine-tuning wrote, several, or what `from_finetuned` returned.
        file: as the task's dev or test split.
        task: says how the file is laid out: a task's name, a file that describes one, or a description; default: the
            task of the model, if it is built in.
        options: of `Finetuned.evaluate`.

    Raises:
        ElectraPaddleError: the folder is not whole, or the file does not fit the task.

    Examples:
        >>> evaluate("models/base/finetuning_models/chnsenticorp_model_1", "reviews.tsv").scores["accuracy"]
    """
    finetuned = model if isinstance(model, Finetuned) else from_finetuned(model)
    return finetuned.evaluate(file, task, **options)


class Finetuned:
    """A model that answers.

    Attributes:
        task: name of the task.
        labels: its labels, in the order of their ids; () where the kind has none.
        columns: input -> column of the files that it was trained on, as far as they have names.
        exported: what computes in place of the model's own layers, if anything.
    """

    def __init__(
        self, kind: AnyKind, model: AnyModel, tokenizer: Tokenizer, columns: Mapping[str, str] | None = None
    ) -> None:
        self.kind, self.model, self.tokenizer = kind, model, tokenizer
        self.columns = dict(columns or {})
        self.exported: Exported | None = None
        self.task, self.labels = kind.description.name, kind.description.classes

    def predict(self, texts: Sequence[Any], batch_size: int = 32, with_probabilities: bool = False) -> list[Any]:
        """Predict for each of the texts, in their order.

        A classifier takes texts, or pairs of texts, and returns labels; a tagger takes texts or lists of tokens and
        returns a tag for each character or token; a reader takes pairs of context and question, or
        {"context": ..., "question": ...}, and returns {"text", "score", "start", "end"} with text = context[start:end].
        Texts longer than the training's max_seq_length are cut by a classifier, unless it was fine-tuned with
        long_texts windows; taggers and readers read all of them.

        Args:
            texts: a list.
            batch_size: sequences that are computed at a time.
            with_probabilities: return (label, {label: probability}); of a tagger lists of (tag, probability); of a
                reader (answer, {passage: probability among the best}).

        Raises:
            DataError: something else than a list, or one of its elements is nothing that the kind takes.
        """
        if isinstance(texts, str):
            raise DataError("texts", "one text", "a list of them")
        kind = self.kind.for_use()
        examples = [kind.example(number, given) for number, given in enumerate(texts)]
        if not examples:
            return []
        if note := next(filter(None, map(kind.note_on, examples)), None):
            print(f"NOTE: {note}", file=sys.stderr)
        predictions = self.predict_examples(examples, batch_size)
        return [kind.plain(prediction, with_probabilities) for prediction in predictions]

    def predict_examples(self, examples: Sequence[Any], batch_size: int = 32) -> list[Any]:
        """The kind's own predictions for examples that its `example` made."""
        kind = self.kind.for_use()
        if self.exported is None:
            return self._evaluate(kind, examples, batch_size).predictions
        from electra_paddle.finetuning.evaluation import predict_exported

        features = make_features(kind, examples, self.tokenizer, num_processes=1)
        return predict_exported(self.exported, kind, self.tokenizer, examples, features, batch_size)

    def predict_rows(
        self,
        rows: Iterable[Mapping[str, Any]],
        columns: Mapping[str, str] | None = None,
        batch_size: int = 32,
        with_probabilities: bool = False,
        top_k: int = 0,
    ) -> Iterator[dict[str, Any]]:
        """Yield rows with the answers as further columns, in their order, as they are asked for; see `predict_file`.

        Args:
            rows: objects with the model's inputs (text_a, text_b; text; context, question) and anything else.
            columns: input of the model -> column, where names do not tell it.
            with_probabilities: append the probability of every class.
            top_k: append so many of the best.

        Examples:
            >>> for row in model.predict_rows(csv.DictReader(open("reviews.csv"))):
            ...     print(row["label"], row["score"])
        """
        records = (Record(f"rows[{number}]", dict(row)) for number, row in enumerate(rows))
        wanted = Wanted(with_probabilities, top_k)
        return predict_rows(self, records, Problems(), columns, wanted, batch_size)

    def evaluate(
        self,
        file: str | Path,
        task: str | Path | TaskDescription | None = None,
        batch_size: int = 32,
        on_error: str = "stop",
    ) -> Evaluation:
        """Predictions and scores on a file, see `evaluate`.

        A file that is named as one of the task's splits is read as that split, any other as its test split.

        Args:
            batch_size: sequences that are computed at a time.
            on_error: what a bad row does: stop, or skip it and list it.
        """
        description = self._describe(task)
        kind = make_kind(description, dataclasses.replace(self.kind.config, on_error=on_error))
        split = next((split for split in SPLITS if Path(file).name in description.names(split)), "test")
        return self._evaluate(kind, read_split(kind, file, split), batch_size)

    def _describe(self, task: str | Path | TaskDescription | None) -> TaskDescription:
        """The description of a task's files, with this model's labels."""
        if task is None and self.task not in built_in_tasks():
            raise ConfigError("task", "none", "a file that describes it", f"{self.task} is not built in")
        description = task if isinstance(task, TaskDescription) else load_description(str(task or self.task))
        if description.kind != self.kind.description.kind:
            raise ConfigError("task", f"kind {description.kind}", f"{self.kind.description.kind}, as the model has it")
        return description.with_labels(self.labels)

    def _evaluate(self, kind: AnyKind, examples: Sequence[Any], batch_size: int) -> Evaluation:
        from electra_paddle.finetuning.evaluation import evaluate_features

        features = make_features(kind, examples, self.tokenizer, num_processes=1)
        return evaluate_features(self.model, self.tokenizer, examples, features, batch_size, kind=kind)

"""A task as data: what its files look like and which answers it knows."""

import dataclasses
from pathlib import Path

from electra_paddle.config import load_config
from electra_paddle.config.entry import entry
from electra_paddle.errors import ConfigError

BUILT_IN = Path(__file__).parents[2] / "configs" / "task"
INSTALLED = Path(__file__).parents[1] / "configs" / "task"  # where a wheel puts them


@dataclasses.dataclass(frozen=True)
class TaskDescription:
    """One classification task, read from configs/task/NAME.yaml or a user's own file."""

    name: str = entry("task", "names the folder of its files; default: the description's file name")
    kind: str = entry("classification", "what is to be answered")
    format: str = entry("tsv", "format of the files")
    header: bool = entry(True, "whether the first line names the columns")
    columns: dict = entry({"label": 0, "text_a": 1}, "numbers of the columns, from 0: label, text_a and perhaps text_b")
    labels: tuple[str, ...] = entry(("0", "1"), "the classes, in the order of their ids")
    metric: str = entry("accuracy", "what is compared between models")

    def __post_init__(self):
        for field, known in (("kind", "classification"), ("format", "tsv"), ("metric", "accuracy")):
            if getattr(self, field) != known:
                raise ConfigError(field, repr(getattr(self, field)), repr(known))

    def label_id(self, label):
        """The id of a class, or None."""
        return self.labels.index(label) if label in self.labels else None


def load_description(task):
    """The description of a built-in task by its name, or of a user's by its file.

    Raises:
        ConfigError: there is none, or an entry is unknown.
    """
    if task.endswith((".yaml", ".json")):
        path = Path(task)
    else:
        paths = [folder / f"{task}.yaml" for folder in (BUILT_IN, INSTALLED)]
        path = next((path for path in paths if path.is_file()), None)
        if path is None:
            known = sorted(file.stem for folder in (BUILT_IN, INSTALLED) for file in folder.glob("*.yaml"))
            raise ConfigError("task_names", repr(task), f"{' or '.join(known)}, or a file that describes a task")
    description = load_config(TaskDescription, path)
    return description if description.name != "task" else dataclasses.replace(description, name=path.stem)

"""Hyper-parameter search: settings are tried one after the other and compared on dev; test is looked at once, after it.

Each setting is a fine-tuning in a folder of its own, and the same search goes on where it was interrupted: what is
finished is not trained again.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import shutil
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from electra_paddle import runtime
from electra_paddle.config import FinetuningConfig, load_config
from electra_paddle.config.changes import as_json, shown
from electra_paddle.config.loading import build, build_config
from electra_paddle.errors import ConfigError, TrainingError
from electra_paddle.files import replace_text
from electra_paddle.finetuning.description import TaskDescription, load_description
from electra_paddle.finetuning.folds import HELD_OUT
from electra_paddle.finetuning.job import FEATURES, Job, prepare
from electra_paddle.finetuning.recommendation import say, with_recommended
from electra_paddle.finetuning.search_space import FIELDS, SearchSpace, import_optuna
from electra_paddle.locks import only_writer

if TYPE_CHECKING:
    from electra_paddle.finetuning.report import Results
    from electra_paddle.training.callbacks import Callback


class Tried(NamedTuple):
    """A setting, and how it did."""

    setting: dict[str, Any]
    folder: str  # below the search's output_dir
    score: float | None  # mean of the metric over the trials or folds; None if training failed
    std: float | None


class SearchResults(NamedTuple):
    """What a search has found."""

    tried: list[Tried]  # best first
    job: Job  # of the best setting
    results: Results  # of the best setting, on dev and, if wanted, on test

    @property
    def best(self) -> dict[str, Any]:
        """The best setting: hyper-parameter -> value."""
        return self.tried[0].setting


def search(
    task: str | Path | TaskDescription,
    space: str | Path | Mapping[str, Any],
    *,
    callbacks: Sequence[Callback] = (),
    **settings: Any,
) -> SearchResults:
    """Try hyper-parameters on a task, and keep what is best on its dev split; a search that was interrupted goes on.

    Args:
        task: as `finetune` takes it.
        space: a YAML file of SearchSpace's entries, or these: `{"space": {"learning_rate": [1e-4, 3e-4]}}`.
        callbacks: called at the events of each trial's training.
        settings: all else, under the names of FinetuningConfig's fields.

    Raises:
        ElectraPaddleError: something does not fit; nothing is overwritten.
        Interrupted: by SIGTERM or Ctrl-C; a checkpoint is written.

    Examples:
        >>> found = search("lcqmc", {"space": {"learning_rate": [1e-4, 3e-4]}}, data_dir="runs", num_trials=3)
        >>> print(found.best, found.results.summary["dev"]["mean"])
    """
    description = task if isinstance(task, TaskDescription) else load_description(str(task))
    config, note = with_recommended(
        description, lambda values: build_config(FinetuningConfig, None, {**values, **settings})
    )
    plan = load_space(space)
    check_search(config, description, plan)
    say(note)
    runtime.start(config.deterministic)
    with runtime.last_to_fail():
        return run_search(config, description, plan, callbacks)


def load_space(space: str | Path | Mapping[str, Any]) -> SearchSpace:
    """The SearchSpace of a file, or of its entries."""
    if isinstance(space, Mapping):
        return build(SearchSpace, space, dict.fromkeys(space, "space"))
    return load_config(SearchSpace, space)


def check_search(config: FinetuningConfig, description: TaskDescription, plan: SearchSpace) -> None:
    """Refuse what cannot be tried, before Paddle is imported.

    Raises:
        ElectraPaddleError: a value that is none, no split to compare by, no Optuna.
    """
    if not config.do_train:
        raise ConfigError("do_train", "false with a search", "true")
    if plan.search == "optuna":
        import_optuna()
    configs = [setting_config(config, description.name, setting) for setting in plan.examples()]
    deciding_split(prepare(configs[0], description))


def deciding_split(job: Job) -> str:
    """The split by which settings are compared: dev, or the parts that folds hold out."""
    if "dev" not in job.examples and not job.config.folds:
        raise ConfigError("search", "no dev split", "one to compare settings by", "give a dev file, or --folds 5")
    return "dev" if "dev" in job.examples else HELD_OUT


def setting_config(
    config: FinetuningConfig, task: str, setting: Mapping[str, Any], do_test: bool = False
) -> FinetuningConfig:
    """The configuration with a setting's values, in a folder of that name."""
    values = {**{name: getattr(config, name) for name in FIELDS}, **setting, "do_test": do_test}
    whole = build(FinetuningConfig, values, dict.fromkeys(values, "space"))
    text = json.dumps(values_of(whole, setting), sort_keys=True)
    folder = config.output_dir / "search" / task / hashlib.sha256(text.encode()).hexdigest()[:8]
    return build_config(FinetuningConfig, None, {**vars(whole), "output_dir": folder})


def values_of(config: FinetuningConfig, names: Iterable[str]) -> dict[str, Any]:
    """Some entries of a configuration, as JSON has them."""
    return as_json({name: getattr(config, name) for name in names})


def run_search(
    config: FinetuningConfig, description: TaskDescription, plan: SearchSpace, callbacks: Sequence[Callback] = ()
) -> SearchResults:
    """Try all settings, write table and best setting, and take the best one's scores on test if these are wanted.

    Raises:
        TrainingError: no setting could be trained.
    """
    from electra_paddle.finetuning.run import run_task

    tried: list[Tried] = []
    scores: list[float | None] = []
    lock = only_writer(config.output_dir / f"search {description.name}", runtime.job_name())
    with lock if runtime.is_main() else contextlib.nullcontext():
        for number, setting in enumerate(plan.propose(config.seed, scores), 1):
            if runtime.is_main():
                print(f"\nsearch on {description.name}, setting {number}: {in_words(setting)}")
            tried.append(try_setting(config, description, setting, callbacks))
            scores.append(tried[-1].score)
            if runtime.is_main():
                write_search(config, description.name, tried)
                remove_models(config, tried)
        best = ranked(tried)[0]
        if best.score is None:
            raise TrainingError("search", "no setting whose training went well", "one", "try lower learning rates")
        job = prepare_setting(config, description, best.setting, config.do_test)
        results = run_task(job, callbacks)
    if runtime.is_main():
        print(f"\n{search_table(tried)}\n\n{best_path(config, description.name)} written: --hparams takes it")
    return SearchResults(ranked(tried), job, results)


def try_setting(
    config: FinetuningConfig, description: TaskDescription, setting: Mapping[str, Any], callbacks: Sequence[Callback]
) -> Tried:
    """Fine-tune with a setting, without a look at test; one that does not train well has no score."""
    from electra_paddle.finetuning.run import run_task

    job = prepare_setting(config, description, setting)
    tried = Tried(values_of(job.config, setting), str(job.config.output_dir.relative_to(config.output_dir)), None, None)
    try:
        summary = run_task(job, callbacks).summary[deciding_split(job)]
    except TrainingError as error:
        if runtime.is_main():
            print(f"this setting failed: {error}")
        return tried
    return tried._replace(score=summary["mean"], std=summary["std"])


def prepare_setting(
    config: FinetuningConfig, description: TaskDescription, setting: Mapping[str, Any], do_test: bool = False
) -> Job:
    """The Job of a setting; features are those of all settings."""
    job = prepare(setting_config(config, description.name, setting, do_test), description)
    return job._replace(features_dir=config.output_dir / FEATURES)


def ranked(tried: Sequence[Tried]) -> list[Tried]:
    """Best first, the first of equals; what failed stands last."""
    return sorted(tried, key=lambda each: float("inf") if each.score is None else -each.score)


def remove_models(config: FinetuningConfig, tried: Sequence[Tried]) -> None:
    """Keep the best setting's models only; of all others the scores are kept."""
    best = ranked(tried)[0]
    for each in tried:
        if each.folder != best.folder:
            shutil.rmtree(config.output_dir / each.folder / "finetuning_models", ignore_errors=True)


def in_words(setting: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} {shown(value)}" for name, value in setting.items())


def search_table(tried: Sequence[Tried]) -> str:
    """All settings in Markdown, best first."""
    names = list(tried[0].setting)
    lines = [f"| {' | '.join(names)} | dev | std | folder |", "|" + "-|" * (len(names) + 3)]
    for each in ranked(tried):
        scores = ["failed", ""] if each.score is None else [f"{each.score:.2f}", f"{each.std:.2f}"]
        lines.append(f"| {' | '.join([*map(shown, each.setting.values()), *scores, each.folder])} |")
    return "\n".join(lines)


def best_path(config: FinetuningConfig, task: str) -> Path:
    return config.output_dir / "results" / f"{task}_best.yaml"


def write_search(config: FinetuningConfig, task: str, tried: Sequence[Tried]) -> None:
    """Write `results/TASK_search.{md,json}`, and the best setting as `results/TASK_best.yaml`."""
    import yaml

    stem = config.output_dir / "results" / f"{task}_search"
    replace_text(f"{stem}.json", json.dumps([each._asdict() for each in ranked(tried)], indent=2) + "\n")
    replace_text(f"{stem}.md", search_table(tried) + "\n")
    best = ranked(tried)[0]
    if best.score is not None:
        comment = f"# The best of {len(tried):,} settings on {task}: {best.score:.2f} ({stem.name}.md)\n"
        replace_text(best_path(config, task), comment + yaml.safe_dump(best.setting, sort_keys=False))

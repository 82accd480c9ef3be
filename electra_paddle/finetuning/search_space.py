"""What a hyper-parameter search tries: a grid of values, or what Optuna proposes in lists and ranges."""

from __future__ import annotations

import dataclasses
import importlib
import itertools
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from electra_paddle.config import FinetuningConfig
from electra_paddle.config.entry import entry
from electra_paddle.config.pretraining import require_at_least, require_one_of
from electra_paddle.errors import ConfigError
from electra_paddle.finetuning.description import refuse_unknown
from electra_paddle.finetuning.experiment import NOT_OF_IDENTITY

FIELDS = {field.name: field for field in dataclasses.fields(FinetuningConfig)}
SEARCHED = sorted(FIELDS.keys() - NOT_OF_IDENTITY - {"debug", "folds", "random_init"})
RANGE = ("low", "high", "log", "step")


@dataclasses.dataclass(frozen=True)
class SearchSpace:
    """The settings that are tried, read from a YAML file."""

    search: str = entry("grid", "grid: all combinations of the values; optuna: what promises most by what was seen")
    space: dict[str, Any] = entry({}, "hyper-parameter -> list of values; with optuna also {low, high, log, step}")
    num_settings: int = entry(20, "settings that optuna tries")

    def __post_init__(self) -> None:
        require_one_of(self, "search", ("grid", "optuna"))
        require_at_least(self, 1, "num_settings")
        if not self.space:
            raise ConfigError("space", "nothing", "a mapping such as {learning_rate: [1e-4, 3e-4]}")
        refuse_unknown("space", self.space, SEARCHED)
        for name, values in self.space.items():
            if isinstance(values, dict):
                self._check_range(f"space.{name}", FIELDS[name].type, values)
            elif not isinstance(values, list) or not values:
                raise ConfigError(f"space.{name}", repr(values), "a list of values")

    def _check_range(self, where: str, kind: Any, values: Mapping[str, Any]) -> None:
        if self.search == "grid":
            raise ConfigError(where, "a range with grid", "a list of values", "search: optuna takes ranges")
        refuse_unknown(where, values, RANGE)
        if kind not in (int, float):
            raise ConfigError(where, "a range", "a list of values, as it is no number")
        low, high = (number_of(f"{where}.{name}", kind, values.get(name)) for name in ("low", "high"))
        if low >= high:
            raise ConfigError(where, f"low {low} and high {high}", "low below high")
        if values.get("log", False) not in (True, False):
            raise ConfigError(f"{where}.log", repr(values["log"]), "true or false")
        if values.get("log") and (low <= 0 or "step" in values):
            raise ConfigError(where, f"log with low {low}{' and a step' * ('step' in values)}", "low above 0, no step")
        if "step" in values and number_of(f"{where}.step", kind, values["step"]) <= 0:
            raise ConfigError(f"{where}.step", values["step"], "above 0")

    def examples(self) -> list[dict[str, Any]]:
        """Settings in which every value of a list and both ends of a range have their turn; of a grid, all."""
        if self.search == "grid":
            return list(grid(self))
        samples = {
            name: [values["low"], values["high"]] if isinstance(values, dict) else values
            for name, values in self.space.items()
        }
        first = {name: values[0] for name, values in samples.items()}
        return [{**first, name: value} for name, values in samples.items() for value in values]

    def propose(self, seed: int, scores: Sequence[float | None]) -> Iterator[dict[str, Any]]:
        """Yield the settings to try.

        Args:
            seed: of Optuna's sampler.
            scores: grows by one between two settings: how the last one did, None if it failed. The same scores lead to
                the same settings, so that a search that begins again passes through what it has seen.
        """
        return grid(self) if self.search == "grid" else by_optuna(self, seed, scores)


def number_of(where: str, kind: type[int] | type[float], value: Any) -> float:
    """A number as YAML has it, which takes 1e-4 for text."""
    try:
        number = kind(value)
        is_exact = not isinstance(value, bool) and number == float(value)
    except (TypeError, ValueError):
        is_exact = False
    if not is_exact:
        raise ConfigError(where, repr(value), "a whole number" if kind is int else "a number")
    return number


def grid(space: SearchSpace) -> Iterator[dict[str, Any]]:
    """All combinations of the values."""
    for values in itertools.product(*space.space.values()):
        yield dict(zip(space.space, values, strict=True))


def by_optuna(space: SearchSpace, seed: int, scores: Sequence[float | None]) -> Iterator[dict[str, Any]]:
    """What Optuna's sampler, a tree of Parzen estimators, proposes."""
    optuna = import_optuna()
    study = optuna.create_study(direction="maximize", sampler=optuna.samplers.TPESampler(seed=seed))
    for _ in range(space.num_settings):
        trial = study.ask()
        yield {name: suggested(trial, name, values) for name, values in space.space.items()}
        failed = scores[-1] is None
        study.tell(trial, scores[-1], state=optuna.trial.TrialState.FAIL if failed else None)


def suggested(trial: Any, name: str, values: Any) -> Any:
    """The value of a hyper-parameter in an Optuna trial."""
    if isinstance(values, list):
        return values[trial.suggest_categorical(name, list(range(len(values))))]
    kind: Any = FIELDS[name].type
    more = {"log": values.get("log", False)}
    if "step" in values:
        more["step"] = kind(values["step"])
    suggest = trial.suggest_int if kind is int else trial.suggest_float
    return suggest(name, kind(values["low"]), kind(values["high"]), **more)


def import_optuna() -> Any:
    """The package, which an extra installs.

    Raises:
        ConfigError: it is not there.
    """
    try:
        optuna: Any = importlib.import_module("optuna")
    except ImportError as error:
        advice = "pip install 'electra-paddle[search]'"
        raise ConfigError("search", f"optuna, but {error}", "optuna to be installed", advice) from error
    optuna.logging.set_verbosity(optuna.logging.WARNING)  # what is tried is told by ourselves
    return optuna

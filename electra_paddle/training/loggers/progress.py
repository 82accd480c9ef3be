"""A progress bar with the newest figures, and evaluations as lines above it."""

from tqdm import tqdm

from electra_paddle.training.loggers import EVALUATION, Figures, Logger, Run

NUM_SHOWN = 4  # figures beside the bar


class ProgressBar(Logger):
    """A progress bar on standard error."""

    def __init__(self, run: Run) -> None:
        super().__init__(run)
        self._bar = tqdm(total=run.num_steps, initial=run.start, desc=run.title, unit="step", mininterval=1)

    def add_scalars(self, prefix: str, figures: Figures, step: int) -> None:
        if prefix == EVALUATION:
            scores = ", ".join(f"{name} {format_number(value)}" for name, value in figures.items())
            self._bar.write(f"evaluation after {step:,}: {scores}")
        else:
            shown = {name: format_short(figures[name]) for name in list(figures)[:NUM_SHOWN]}
            self._bar.set_postfix(shown, refresh=False)

    def update(self) -> None:
        self._bar.update()

    def ends_at(self, num_steps: int) -> None:
        self._bar.total = num_steps

    def close(self) -> None:
        self._bar.close()


def format_short(value: float | None) -> str:
    """Three digits that say something, of a learning rate of 0.0001 too."""
    return "no number" if value is None else f"{value:.3g}" if abs(value) < 1 else f"{value:.3f}"


def format_number(value: float | None, digits: int = 4) -> str:
    return "no number" if value is None else f"{value:.{digits}f}"

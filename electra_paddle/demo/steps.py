"""The demo step by step: each is announced, shown and timed."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from electra_paddle.demo import mistakes, reviews
from electra_paddle.errors import ConfigError
from electra_paddle.files import without_dashes
from electra_paddle.published_models import NANO

MARKER = ".electra-demo"  # only a folder that holds it is cleared
MODULE = "electra-demo-reviews"
ASK_MODULE = (
    "import sys, paddlehub as hub; print(hub.Module(name=sys.argv[1]).predict([[sys.argv[2]]], output='dict')[0])"
)
RED, GREEN, SOFT, PLAIN = "\033[31m", "\033[32m", "\033[2m", "\033[0m"
LOG = "demo.log"  # what the steps' own commands print


class Demo:
    """One run of the demo.

    Args:
        folder: where everything is written; cleared first if an earlier demo made it.
        num_epochs: of both fine-tunings.

    Raises:
        ConfigError: the folder holds something else.
    """

    def __init__(self, folder: Path, num_epochs: float) -> None:
        if folder.exists() and any(folder.iterdir()) and not (folder / MARKER).exists():
            raise ConfigError("--run-dir", f"{folder}, which no demo made", "a new folder")
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        (folder / MARKER).touch()
        self.folder, self.num_epochs = folder.resolve(), num_epochs
        self.times: dict[str, float] = {}
        self.shown: dict[str, Any] = {}  # what the report takes

    def run(self) -> Path:
        """All steps; returns the report's path."""
        from electra_paddle.demo.report import write_report

        begin = time.perf_counter()
        for number, (title, step) in enumerate(
            {
                "wrong characters: found by the discriminator, corrected by the generator": self.correct,
                "a mask: the generator's five best": self.fill,
                "reviews: a linear model of character pairs": self.fit_linear_model,
                f"reviews: the same network from random weights, {self.num_epochs:g} epochs": self.finetune_random,
                f"reviews: {NANO.name} fine-tuned, {self.num_epochs:g} epochs": self.finetune,
                "six reviews that are in no file": self.answer_unseen,
                "the fine-tuned model as a PaddleHub module": self.install_module,
            }.items(),
            start=1,
        ):
            print(f"\n[{number}/7] {title}", flush=True)
            with self._timed(title):
                step()
        report = write_report(self)
        print(f"\n{time.perf_counter() - begin:.0f} s in all; {report} written")
        return report

    @contextlib.contextmanager
    def _timed(self, title: str) -> Iterator[None]:
        begin = time.perf_counter()
        yield
        self.times[title] = time.perf_counter() - begin
        print(f"      {self.times[title]:.1f} s", flush=True)

    def correct(self) -> None:
        sentences = self.shown["sentences"] = mistakes.correct_sentences()
        for sentence in sentences:
            print(f"      {colored(sentence)}")
        found, corrected = (sum(getattr(each, name) for each in sentences) for name in ("is_found", "is_corrected"))
        print(f"      most suspicious character right {found} of {len(sentences)}, corrected {corrected}")

    def fill(self) -> None:
        best = self.shown["mask"] = mistakes.fill_mask()
        told = "  ".join(f"{each['token']} {each['score']:.2f}" for each in best)
        print(f"      {mistakes.MASKED}  {told}")

    def fit_linear_model(self) -> None:
        self._told_accuracy("linear model", reviews.linear_accuracy())

    def finetune_random(self) -> None:
        with quiet(self.folder / LOG):
            results = reviews.finetune(self.folder, self.num_epochs, random_init=True)
        self._told_accuracy("random weights", reviews.accuracy(results))

    def finetune(self) -> None:
        with quiet(self.folder / LOG):
            results = reviews.finetune(self.folder, self.num_epochs)
        self.shown["model"] = results.models[0]
        self._told_accuracy(NANO.name, reviews.accuracy(results))
        self.shown["remark"] = reviews.remark(self.shown["accuracy"])
        print(f"      {self.shown['remark']}")

    def _told_accuracy(self, name: str, accuracy: dict[str, float]) -> None:
        self.shown.setdefault("accuracy", {})[name] = accuracy
        print(f"      {name}: dev {accuracy['dev']:.1f} %, test {accuracy['test']:.1f} %")

    def answer_unseen(self) -> None:
        with quiet(self.folder / LOG):
            answers = reviews.answer_unseen(self.shown["model"])
        self.shown["unseen"] = answers
        for each in answers:
            color = GREEN if each.answer == each.label else RED
            print(f"      {paint(f'{each.answer} {each.probability:.2f}', color)}  {each.text}")

    def install_module(self) -> None:
        """`hub install` and `hub.Module`, in a hub home of the demo's own: the user's modules are never touched."""
        from electra_paddle.hub.packaging.module_archive import export_module

        archive = export_module(self.shown["model"], self.folder / f"{MODULE}.tar.gz", MODULE)
        hub = Path(sys.executable).with_name("hub")
        with without_dashes(self.folder / "hub_home") as home:
            environment = {**os.environ, "HUB_HOME": str(home)}
            print(f"      hub install {archive.name}", flush=True)
            self._call([hub, "install", archive], environment)
            text = reviews.UNSEEN[0][0]
            print(f'      hub.Module(name="{MODULE}").predict([["{text}"]], output="dict")', flush=True)
            answer = self._call([sys.executable, "-c", ASK_MODULE, MODULE, text], environment).splitlines()[-1]
        print(f"      {answer}")
        self.shown["module"] = answer

    def _call(self, command: list[Any], environment: dict[str, str]) -> str:
        """Run a command; returns what it prints.

        Raises:
            ConfigError: it failed; its output stands in the log.
        """
        result = subprocess.run(list(map(str, command)), capture_output=True, text=True, env=environment, check=False)
        with open(self.folder / LOG, "a", encoding="utf-8") as log:
            log.write(result.stdout + result.stderr)
        if result.returncode:
            told = f"exit status {result.returncode}"
            raise ConfigError(" ".join(map(str, command[:2])), told, "0", f"see {self.folder / LOG}")
        return result.stdout


@contextlib.contextmanager
def quiet(log: Path) -> Iterator[None]:
    """What is printed to standard output meanwhile goes into a file."""
    with open(log, "a", encoding="utf-8") as stream, contextlib.redirect_stdout(stream):
        yield


def paint(text: str, color: str) -> str:
    """Text in a color, where a terminal shows it and NO_COLOR does not forbid it."""
    return f"{color}{text}{PLAIN}" if sys.stdout.isatty() and "NO_COLOR" not in os.environ else text


def colored(sentence: mistakes.Sentence) -> str:
    """A sentence with its most suspicious character, and what the generator puts in the place of some, as 战→站."""
    edits = {edit["start"]: edit["suggestion"] for edit in sentence.edits}
    most = max(range(len(sentence.text)), key=sentence.suspicion.__getitem__)
    shown = ""
    for place, character in enumerate(sentence.text):
        if place == most:
            character = paint(f"[{character}]", RED)
        if place in edits:
            character += paint(f"→{edits[place]}", GREEN)
        shown += character
    return f"{shown}  {paint(f'suspicion {sentence.suspicion[most]:.2f}', SOFT)}"

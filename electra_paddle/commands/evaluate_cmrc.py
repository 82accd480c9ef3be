"""Scores of predictions for CMRC 2018 and DRCD, printed as the original's script prints them."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace

    from electra_paddle.finetuning.problems import Problems


DESCRIPTION = "Score reading-comprehension predictions with the Chinese metric."


def add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("dataset_file", type=Path, help="questions with answers, laid out as SQuAD 1.1")
    parser.add_argument("prediction_file", help="JSON object from question id to answer")
    parser.add_argument("--encoding", default="utf-8", help="of both files [utf-8]")
    parser.add_argument(
        "--on-error",
        choices=("stop", "skip"),
        default="skip",
        help="unusable questions and predictions for unknown ids: list them and leave them out, or stop at the first",
    )


def run(arguments: Namespace) -> None:
    import json
    import sys

    from electra_paddle.finetuning.comprehension.chinese_metric import score
    from electra_paddle.finetuning.comprehension.squad import read_questions
    from electra_paddle.finetuning.description import TaskDescription
    from electra_paddle.finetuning.problems import Problems

    questions, predictions = Problems(arguments.on_error), Problems(arguments.on_error)
    layout = TaskDescription(kind="reading_comprehension", format="squad", encoding=arguments.encoding)
    answers = {question.id: question.answers for question in read_questions(arguments.dataset_file, questions, layout)}
    texts = read_predictions(arguments.prediction_file, answers, predictions, arguments.encoding)
    scores = score(answers.items(), texts)
    questions.report(arguments.dataset_file)
    predictions.report(arguments.prediction_file)
    for name in scores.unanswered:
        print(f"Unanswered question: {name}", file=sys.stderr)
    figures = {"AVERAGE": scores.average, "F1": scores.f1, "EM": scores.em}
    line: dict[str, object] = {name: f"{value:.3f}" for name, value in figures.items()}
    line |= {"TOTAL": scores.total, "SKIP": len(scores.unanswered), "FILE": arguments.prediction_file}
    print(json.dumps(line))


def read_predictions(path: Path, known: Collection[str], problems: Problems, encoding: str) -> dict[str, str]:
    """id -> text for known ids.

    Raises:
        DataError: it is no JSON object.
    """
    from electra_paddle.errors import DataError
    from electra_paddle.finetuning.comprehension.squad import read_json

    content = read_json(path, encoding)
    if not isinstance(content, dict):
        raise DataError(path, f"a {type(content).__name__}", "an object from question id to answer")
    predictions = {}
    for name, text in content.items():
        where = f"{path}: question {name}"
        if name not in known:
            problems.add(where, "an id that the questions lack", "one of theirs")
        elif not isinstance(text, str):
            problems.add(where, f"a {type(text).__name__}", "the answer, a text")
        else:
            predictions[name] = text
    return predictions

"""C3's files: an array of [lines of a text, questions with choices and an answer, id]."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any


def c3_questions(where: str, value: Any) -> Iterator[tuple[str, Any]]:
    """(place, object with context, question, choices, answer and id) of each question of a text; others as they are."""
    is_whole = isinstance(value, list) and len(value) >= 2 and isinstance(value[0], list) and isinstance(value[1], list)
    if not is_whole:
        yield where, value
        return
    context = "\n".join(map(str, value[0]))
    for number, question in enumerate(value[1]):
        place = f"{where}[1][{number}]"
        if not isinstance(question, dict):
            yield place, question
            continue
        name = {"id": f"{value[2]}-{number}"} if len(value) > 2 else {}
        yield place, {"context": context, **question, **name}

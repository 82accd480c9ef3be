"""How tags mark entities: BIO, BIOES, BMES and the like, told by the letters before their classes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

SCHEMES = {  # name -> letters
    "IO": "I",
    "BIO": "BI",
    "BIOES": "BIES",
    "BMES": "BMES",
}
LETTERS = frozenset("BIMES")
OUTSIDE = "O"


class Entity(NamedTuple):
    """A run of tokens that tags mark."""

    type: str | None  # its class; None where tags are letters alone
    first: int  # number of its first token
    last: int  # and of its last


def split_tag(tag: str) -> tuple[str, str] | None:
    """(letter, class) of a tag of an entity; None for others."""
    letter, dash, name = tag.partition("-")
    return (letter, name) if dash and name and letter in LETTERS else None


def scheme_of(tags: Iterable[str]) -> str | None:
    """The scheme of a set of tags: the first that has all of their letters; None without entities, "mixed" for none."""
    letters = {parts[0] for parts in map(split_tag, tags) if parts}
    if not letters:
        return None
    return next((name for name, known in SCHEMES.items() if letters <= set(known)), "mixed")


def classes_of(tags: Iterable[str]) -> list[str]:
    """The classes of entities, in the order of the tags."""
    return list(dict.fromkeys(parts[1] for parts in map(split_tag, tags) if parts))


def about(tags: Sequence[str]) -> str:
    """A few words on a task's tags."""
    scheme, classes = scheme_of(tags), classes_of(tags)
    return f"tags: {scheme}, {len(classes):,} classes of entities" if scheme else f"tags: {len(tags):,}, no entities"


def entities_of(tags: Sequence[str], has_classes: bool = True) -> list[Entity]:
    """The entities of a sequence of tags, in their order, by the rules of CoNLL 2000, as seqeval has them.

    An I, M or E continues the entity of a B, I or M of its class before it; everywhere else a tag of an entity begins
    another one. Any other tag is outside.

    Args:
        has_classes: whether tags are a letter, a dash and a class, or letters alone.
    """
    entities: list[Entity] = []
    before: tuple[str, str | None] | None = None
    for number, tag in enumerate(tags):
        parts = split_tag(tag) if has_classes else (tag, None) if tag in LETTERS else None
        if parts is not None:
            letter, name = parts
            continues = letter in "IME" and before is not None and before[0] in "BIM" and before[1] == name
            first = entities.pop().first if continues else number
            entities.append(Entity(name, first, number))
        before = parts
    return entities


def are_letters_alone(tags: Iterable[str]) -> bool:
    """Whether a set of tags marks entities, such as words, by letters without classes: B, M, E and S, or B, I and O."""
    letters = set(tags) - {OUTSIDE}
    return "B" in letters and len(letters) > 1 and any(letters <= set(known) for known in SCHEMES.values())

"""How tags mark entities: BIO, BIOES, BMES and the like, told by the letters before their classes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

SCHEMES = {  # name -> letters
    "IO": "I",
    "BIO": "BI",
    "BIOES": "BIES",
    "BMES": "BMES",
}
LETTERS = frozenset("BIMES")


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

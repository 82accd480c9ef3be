"""Vocabulary and case of other people's models: vocab.txt, tokenizer_config.json, tokenizer.json, added_tokens.json."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from electra_paddle.errors import CheckpointError, ConfigError, some_of
from electra_paddle.models import pretrained_directory as pretrained
from electra_paddle.text import Vocabulary

OWN_VOCABULARY = "put it there, or convert with --vocab-file"
TOKENIZER_JSON, ADDED = "tokenizer.json", "added_tokens.json"
SETTINGS = ("do_lower_case", "strip_accents")  # of a Hugging Face tokenizer that this package's has too
PARTS = {"normalizer": "BertNormalizer", "pre_tokenizer": "BertPreTokenizer"}  # of tokenizer.json
FIXED = {"tokenize_chinese_chars": True, "do_basic_tokenize": True}  # of every tokenizer of ours
INNER = "##"  # begins pieces within a word
NORMALIZER = {"lowercase": "do_lower_case", "strip_accents": "strip_accents"}  # their names in tokenizer.json


def read_vocabulary(folder: Path, vocab_file: str | Path | None = None) -> tuple[Vocabulary, list[str]]:
    """(the vocabulary of a model, notes): vocab.txt, else tokenizer.json, with the tokens that were added later.

    Args:
        vocab_file: the one to take instead.

    Raises:
        CheckpointError, DataError: there is none, or one that is no word pieces or has gaps.
    """
    if vocab_file is not None:
        if not Path(vocab_file).is_file():
            raise CheckpointError(vocab_file, "no such file", "the vocabulary of these weights")
        return Vocabulary.load(vocab_file), []
    tokenizer = read_object(folder / TOKENIZER_JSON)
    added = read_object(folder / ADDED) | {
        entry["content"]: entry["id"]
        for entry in tokenizer.get("added_tokens") or []
        if isinstance(entry, dict) and entry.keys() >= {"content", "id"}
    }
    path = folder / pretrained.VOCABULARY
    if path.is_file():
        vocabulary = Vocabulary.load(path)
        new = in_order({token: number for token, number in added.items() if token not in vocabulary.ids})
        check_ids(new, added, path, len(vocabulary))
        return vocabulary.extended(new, str(path)) if new else vocabulary, notes_of(new, path)
    if not tokenizer:
        expected = f"{pretrained.VOCABULARY} or {TOKENIZER_JSON}"
        raise CheckpointError(folder, "no vocabulary", expected, OWN_VOCABULARY)
    path = folder / TOKENIZER_JSON
    pieces = word_pieces(tokenizer, path)
    tokens = in_order({**added, **pieces})
    check_ids(tokens, {**added, **pieces}, path)
    return Vocabulary(tokens, str(path)), notes_of([token for token in tokens if token not in pieces], path)


def notes_of(new: list[str], path: Path) -> list[str]:
    """What is said of tokens that were added to a vocabulary."""
    if not new:
        return []
    return [f"NOTE: {path}: {len(new):,} added tokens ({some_of(new)}) have rows, but text is not searched for them"]


def word_pieces(tokenizer: Mapping[str, Any], path: Path) -> dict[str, int]:
    """token -> id, of a tokenizer.json of word pieces."""
    model = tokenizer.get("model")
    vocabulary = model.get("vocab") if isinstance(model, dict) else None
    kind = model.get("type", "WordPiece") if isinstance(model, dict) else None
    if kind != "WordPiece" or not isinstance(model, dict) or not isinstance(vocabulary, dict):
        raise CheckpointError(path, f"a model of type {kind}", "WordPiece with its vocabulary")
    inner = model.get("continuing_subword_prefix", INNER)
    if inner != INNER:
        raise CheckpointError(path, f"continuing_subword_prefix {json.dumps(inner)}", json.dumps(INNER))
    return vocabulary


def in_order(ids: Mapping[str, Any]) -> list[str]:
    """The tokens in the order of their ids, which may be anything that JSON has."""
    return sorted(ids, key=lambda token: str(ids[token]).zfill(12))


def check_ids(tokens: list[str], ids: Mapping[str, Any], path: Path, start: int = 0) -> None:
    """Refuse ids that do not count from `start` on without a gap."""
    for number, token in enumerate(tokens, start):
        if type(ids[token]) is not int or ids[token] != number:
            raise CheckpointError(path, f"token {token!r} of id {ids[token]!r}", f"{number}: ids without a gap")


def tokenizer_settings(folder: Path) -> dict[str, Any]:
    """The settings of normalisation of a model's tokenizer; `do_lower_case` is true where no file says so.

    Raises:
        CheckpointError: as `told_settings`.
    """
    return {"do_lower_case": True, **told_settings(folder)}


def told_settings(folder: Path) -> dict[str, Any]:
    """The settings that files say, as transformers takes them: tokenizer_config.json's, else those of tokenizer.json.

    Raises:
        CheckpointError: no JSON, or a tokenizer that cuts text in another way than BERT's of Chinese does.
    """
    settings = read_object(folder / pretrained.TOKENIZER)
    for name, only in FIXED.items():
        if settings.get(name) not in (None, only):
            raise CheckpointError(folder / pretrained.TOKENIZER, *another(name, settings[name]))
    path = folder / TOKENIZER_JSON
    tokenizer = read_object(path)
    for name, usual in PARTS.items():
        part = tokenizer.get(name)
        kind = part.get("type") if isinstance(part, dict) else part
        if name in tokenizer and kind != usual:
            raise CheckpointError(path, f"a {name} {json.dumps(kind)}", f"{usual}, as ELECTRA's tokenizers have")
    normalizer = tokenizer.get("normalizer", {})
    if normalizer.get("handle_chinese_chars") is False and "tokenize_chinese_chars" not in settings:
        raise CheckpointError(path, *another("handle_chinese_chars", False))
    told = {ours: normalizer.get(theirs) for theirs, ours in NORMALIZER.items()} | {
        name: settings[name] for name in SETTINGS if settings.get(name) is not None
    }
    for name, value in told.items():
        if not isinstance(value, bool | None):
            place = folder / pretrained.TOKENIZER if name in settings else path
            raise CheckpointError(place, f"{name} {json.dumps(value)}", "true or false")
    return {name: value for name, value in told.items() if value is not None}


def another(name: str, value: object) -> tuple[str, str]:
    """The (found, expected) of an error about an entry of a tokenizer that cuts text in another way than ours."""
    return (
        f"{name} {json.dumps(value)}",
        "true: our tokenizer splits text at punctuation and at every Chinese character",
    )


def agreed_settings(told: Mapping[str, Any], is_cased: bool, folder: Path) -> dict[str, Any]:
    """The settings of a tokenizer whose files may say otherwise than the user.

    Raises:
        ConfigError: they do.
    """
    if is_cased and told.get("do_lower_case") is True:
        raise ConfigError("--cased", "an option", f"none: do_lower_case is true in the tokenizer's files in {folder}")
    return {"do_lower_case": not is_cased, **told}


def read_object(path: Path) -> dict[str, Any]:
    """The entries of a JSON object; {} where there is no such file."""
    return pretrained.read_json(path) if path.is_file() else {}

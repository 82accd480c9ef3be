"""The pretrained directory: what pre-training writes and fine-tuning, hub modules and PaddleNLP read.

`config.json`, `model.safetensors`, `vocab.txt`, `tokenizer_config.json` and `README.md`, laid out as PaddleNLP's
`save_pretrained` does.
"""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from electra_paddle import runtime
from electra_paddle.errors import CheckpointError
from electra_paddle.files import partial_of, replace_folder
from electra_paddle.parsing import parse_json
from electra_paddle.tensors import assign, read_state, save_tensors
from electra_paddle.text import Tokenizer, Vocabulary

if TYPE_CHECKING:
    from paddle.nn import Layer
    from paddlenlp.transformers import ElectraConfig

    from electra_paddle.arrays import Array
    from electra_paddle.tensors import LoadReport


CONFIG, WEIGHTS, VOCABULARY, TOKENIZER, CARD = (
    "config.json",
    "model.safetensors",
    "vocab.txt",
    "tokenizer_config.json",
    "README.md",
)
OLD_WEIGHTS = "model_state.pdparams"
ENCODER = "electra."  # how the names of its parameters begin


def save_pretrained(
    model: Any,
    folder: Path | str,
    vocabulary: Vocabulary,
    do_lower_case: bool,
    card: str,
    more: Mapping[str, str] | None = None,
) -> None:
    """Write a model; the folder appears, or is replaced, when all of it is written.

    Args:
        model: a PaddleNLP ELECTRA model.
        card: text of README.md, in Markdown.
        more: name -> text of further files.
    """
    config = {**json.loads(model.config.to_json_string()), "architectures": [type(model).__name__]}
    tokenizer = {"do_lower_case": do_lower_case}
    write_pretrained(config, model.state_dict(), folder, vocabulary, tokenizer, card, more)


def write_pretrained(
    config: Mapping[str, Any],
    tensors: Mapping[str, Any],
    folder: Path | str,
    vocabulary: Vocabulary,
    tokenizer: Mapping[str, Any],
    card: str,
    more: Mapping[str, str] | None = None,
) -> None:
    """Write what a model consists of, as `save_pretrained` does; this needs no Paddle.

    Args:
        config: entries of config.json.
        tensors: name -> Paddle tensor or array.
        tokenizer: entries of tokenizer_config.json beside the class.
    """
    folder = Path(folder)
    partial = partial_of(folder)
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    write_json(partial / CONFIG, dict(sorted(config.items())))
    save_tensors(tensors, partial / WEIGHTS)
    vocabulary.save(partial / VOCABULARY)
    write_json(partial / TOKENIZER, {"tokenizer_class": "ElectraTokenizer", **tokenizer})
    for name, text in {CARD: card, **(more or {})}.items():
        (partial / name).write_text(text, encoding="utf-8")
    replace_folder(partial, folder)


def write_json(path: Path, entries: Mapping[str, Any]) -> None:
    path.write_text(json.dumps(entries, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def find_pretrained(folder: Path | str) -> Path:
    """The pretrained directory in a folder: itself, or the network of a pre-training run that one fine-tunes.

    That is the discriminator, or the masked language model where there is no discriminator.

    Raises:
        CheckpointError: neither is there, or it is no folder.
    """
    folder = Path(folder)
    if folder.is_file():
        advice = "a module's archive is for `hub install`, other archives are to be unpacked first"
        raise CheckpointError(folder, "a file", "a pretrained directory", advice)
    for candidate in (folder, folder / "discriminator", folder / "generator"):
        if (candidate / CONFIG).is_file():
            return candidate
    raise CheckpointError(
        folder,
        f"no {CONFIG}, nor one in discriminator/ or generator/",
        "a pretrained directory",
        "published names are listed by: python -m electra_paddle models",
    )


def read_config(folder: Path | str) -> dict[str, Any]:
    """The entries of a pretrained directory's config.json.

    Raises:
        CheckpointError: no such file, or no JSON object.
    """
    return read_json(Path(folder) / CONFIG)


def read_json(path: Path | str) -> dict[str, Any]:
    """The entries of a JSON object.

    Raises:
        CheckpointError: no such file, or no JSON object.
    """
    try:
        entries = parse_json(Path(path).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise CheckpointError(path, f"no readable configuration ({error})", "a configuration in JSON") from error
    if not isinstance(entries, dict):
        raise CheckpointError(path, type(entries).__name__, "a configuration in JSON")
    return entries


def load_config(folder: Path | str) -> ElectraConfig:
    """PaddleNLP's ElectraConfig of a pretrained directory, without its download logic."""
    from paddlenlp.transformers import ElectraConfig

    return ElectraConfig.from_dict(read_config(folder))


def load_tokenizer(folder: Path | str) -> Tokenizer:
    """The Tokenizer of a pretrained directory; it lower-cases where tokenizer_config.json does not say otherwise.

    Raises:
        DataError, CheckpointError: no vocabulary, or a tokenizer_config.json that is no JSON object.
    """
    path = Path(folder) / TOKENIZER
    try:
        settings = parse_json(path.read_text(encoding="utf-8")) if path.exists() else {}
        do_lower_case = settings.get("do_lower_case", True)
        strip_accents = settings.get("strip_accents")
    except (OSError, ValueError, AttributeError) as error:
        raise CheckpointError(path, f"no readable settings ({error})", "a tokenizer's settings in JSON") from error
    return Tokenizer(Vocabulary.load(Path(folder) / VOCABULARY), do_lower_case, strip_accents)


def read_weights(folder: Path | str) -> tuple[dict[str, Array], Path]:
    """(name -> array, file) of a pretrained directory: model.safetensors, else what PaddleNLP wrote in earlier days.

    Raises:
        CheckpointError: neither is there, it is damaged, or Hugging Face's.
    """
    folder = Path(folder)
    path = next((folder / name for name in (WEIGHTS, OLD_WEIGHTS) if (folder / name).is_file()), folder / WEIGHTS)
    is_huggingface = not path.is_file() and (folder / "pytorch_model.bin").is_file()
    arrays = {} if is_huggingface else read_state(path)
    if is_huggingface or any(".layer.0." in name for name in arrays):
        convert = f"convert it: python -m electra_paddle convert_hf {folder} OUT"
        raise CheckpointError(folder, "weights under Hugging Face's names", "a pretrained directory", convert)
    return arrays, path


def load_encoder(model: Layer, folder: Path | str) -> LoadReport:
    """Fill `model.electra` from a pretrained directory: every parameter, each of the right shape.

    Heads stay as they are.

    Returns:
        LoadReport, which is also printed.

    Raises:
        CheckpointError: names the file and the first parameter that is missing or of another shape.
    """
    arrays, path = read_weights(folder)
    report = assign(model.electra, arrays, path, prefix=ENCODER, allow_extra=True)
    heads = [name for name, _ in model.named_parameters() if not name.startswith(ENCODER)]
    return announce(report._replace(untrained=heads))


def load_bare_encoder(model: Layer, folder: Path | str) -> LoadReport:
    """Fill an ElectraModel as `load_encoder` fills that of a larger model."""
    arrays, path = read_weights(folder)
    return announce(assign(model, arrays, path, prefix=ENCODER, allow_extra=True))


def load_model(model: Layer, folder: Path | str) -> LoadReport:
    """Fill a whole model, heads included, from a directory that `save_pretrained` wrote.

    Returns:
        LoadReport, which is also printed.

    Raises:
        CheckpointError: names the file and the first parameter that does not fit.
    """
    arrays, path = read_weights(folder)
    return announce(assign(model, arrays, path))


def announce(report: LoadReport) -> LoadReport:
    """Print a LoadReport where one process of the job does it for all."""
    if runtime.is_main():
        print(report, file=sys.stderr)
    return report

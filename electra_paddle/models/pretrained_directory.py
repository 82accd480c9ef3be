"""The pretrained directory: what pre-training writes and fine-tuning, hub modules and PaddleNLP read.

`config.json`, `model.safetensors`, `vocab.txt`, `tokenizer_config.json` and `README.md`, laid out as PaddleNLP's
`save_pretrained` does.
"""

from __future__ import annotations

import json
import math
import re
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from electra_paddle import runtime
from electra_paddle.errors import CheckpointError, ConfigError, some_of
from electra_paddle.files import partial_of, replace_folder
from electra_paddle.parsing import parse_json
from electra_paddle.tensors import assign, read_shapes, read_state, save_tensors
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
ENSEMBLE = "ensemble.json"  # stands in a directory that names several fine-tuned ones
OLD_WEIGHTS = "model_state.pdparams"
ENCODER = "electra."  # how the names of its parameters begin
SIZES = {  # entries of config.json -> the largest value that makes sense
    "vocab_size": 10_000_000,
    "embedding_size": 100_000,
    "hidden_size": 100_000,
    "num_hidden_layers": 1000,
    "num_attention_heads": 1000,
    "intermediate_size": 1_000_000,
    "max_position_embeddings": 1_000_000,
    "type_vocab_size": 1000,
}
ACTIVATIONS = ("gelu", "relu", "silu", "swish", "tanh", "sigmoid", "mish")  # that PaddleNLP's encoder and heads have
FIXED = {"is_decoder": False, "add_cross_attention": False, "position_embedding_type": "absolute"}
SHAPES = {  # parameter of the encoder -> the entries that its shape shows
    "embeddings.word_embeddings.weight": ("vocab_size", "embedding_size"),
    "embeddings.position_embeddings.weight": ("max_position_embeddings", "embedding_size"),
    "embeddings.token_type_embeddings.weight": ("type_vocab_size", "embedding_size"),
    "encoder.layers.0.linear1.weight": ("hidden_size", "intermediate_size"),
}
TRAINED_POSITIONS = "trained_positions"  # entry of config.json: of more positions, only these were in a training
LAYER = re.compile(r"electra\.encoder\.layers\.(\d+)\.")


def save_pretrained(
    model: Any,
    folder: Path | str,
    vocabulary: Vocabulary,
    do_lower_case: bool,
    card: str,
    more: Mapping[str, str] | None = None,
    strip_accents: bool | None = None,
) -> None:
    """Write a model; the folder appears, or is replaced, when all of it is written.

    Args:
        model: a PaddleNLP ELECTRA model.
        card: text of README.md, in Markdown.
        more: name -> text of further files.
        strip_accents: whether the tokenizer does; None: as do_lower_case.
    """
    config = {**json.loads(model.config.to_json_string()), "architectures": [type(model).__name__]}
    tokenizer: dict[str, Any] = {"do_lower_case": do_lower_case}
    if strip_accents not in (None, do_lower_case):
        tokenizer["strip_accents"] = strip_accents
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
    if (folder / ENSEMBLE).is_file():
        raise CheckpointError(folder, "an ensemble", "one network", f"{ENSEMBLE} there names its members, take one")
    refuse_where_models_are_below(folder, CONFIG)
    raise CheckpointError(
        folder,
        "no such file or folder" if not folder.exists() else f"no {CONFIG}, nor one in discriminator/ or generator/",
        "a pretrained directory",
        "published names are listed by: python -m electra_paddle models",
    )


def refuse_where_models_are_below(folder: Path, file: str) -> None:
    """Tell a folder of models, as training writes them, from one without.

    Args:
        file: what each of the models in question has.

    Raises:
        CheckpointError: there are models one, two or three levels below the folder.
    """
    below = sorted(path.parent for depth in ("*", "*/*", "*/*/*") for path in folder.glob(f"{depth}/{file}"))
    if below:
        found = f"no model, but {len(below)} below it ({some_of([str(path) for path in below])})"
        raise CheckpointError(folder, found, "one of those")


def read_config(folder: Path | str, check_weights: bool = True) -> dict[str, Any]:
    """The entries of a pretrained directory's config.json.

    Args:
        check_weights: compare the sizes with those of the weights beside it.

    Raises:
        CheckpointError: no such file, no JSON object, values that no network has, or other sizes than the weights.
    """
    path = Path(folder) / CONFIG
    entries = read_json(path)
    check_entries(entries, path)
    if check_weights:
        check_sizes(entries, path.parent)
    return entries


def check_entries(entries: Mapping[str, Any], path: Path) -> None:
    """Refuse sizes, rates and names in a config.json that no network has, before one is built."""
    for name, most in SIZES.items():
        value = entries.get(name, 1)
        if type(value) is not int or not 1 <= value <= most:
            raise CheckpointError(path, f"{name} {value!r}", f"a whole number from 1 to {most:,}")
    for name in ("hidden_dropout_prob", "attention_probs_dropout_prob"):
        value = entries.get(name, 0)
        if type(value) not in (int, float) or not 0 <= value <= 1:
            raise CheckpointError(path, f"{name} {value!r}", "a number from 0 to 1")
    for name in ("initializer_range", "layer_norm_eps"):
        value = entries.get(name, 0)
        if type(value) not in (int, float) or not 0 <= value < math.inf:
            raise CheckpointError(path, f"{name} {value!r}", "a number from 0 on")
    activation = entries.get("hidden_act", "gelu")
    if activation not in ACTIVATIONS:
        raise CheckpointError(path, f"hidden_act {activation!r}", " or ".join(ACTIVATIONS))
    for name, only in FIXED.items():
        if entries.get(name) not in (None, only):
            raise CheckpointError(path, f"{name} {entries[name]!r}", f"{json.dumps(only)}, as every ELECTRA has it")
    hidden_size, heads = entries.get("hidden_size", 256), entries.get("num_attention_heads", 1)
    if hidden_size % heads:
        raise CheckpointError(path, f"num_attention_heads {heads}", f"a divisor of hidden_size {hidden_size}")
    for name, kind in (("id2label", dict), ("architectures", list)):
        if not isinstance(entries.get(name) or kind(), kind):
            found = type(entries[name]).__name__
            raise CheckpointError(path, f"{name} that is a {found}", "an object" if kind is dict else "a list")


def check_sizes(entries: Mapping[str, Any], folder: Path) -> None:
    """Refuse a config.json that says other sizes than the weights beside it have, before a network is built.

    Weights in another format than safetensors are compared once they are read.
    """
    path = folder / WEIGHTS
    if not path.is_file():
        return
    shapes = read_shapes(path)
    found = {}
    for place, names in SHAPES.items():
        shape = shapes.get(f"{ENCODER}{place}")
        if shape is not None and len(shape) == len(names):
            found.update(dict(zip(names, shape, strict=True)))
    layers = {match[1] for match in map(LAYER.match, shapes) if match}
    if layers:
        found["num_hidden_layers"] = len(layers)
    for name, size in found.items():
        if entries.get(name, size) != size:
            raise CheckpointError(folder / CONFIG, f"{name} {entries[name]}", f"{size}, as in {path.name}")


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
    return Tokenizer(Vocabulary.load(Path(folder) / VOCABULARY), *read_case(folder))


def read_case(folder: Path | str) -> tuple[bool, bool | None]:
    """(do_lower_case, strip_accents or None for the same) of a pretrained directory's tokenizer.

    Raises:
        CheckpointError: a tokenizer_config.json that cannot be read.
    """
    path = Path(folder) / TOKENIZER
    try:
        settings = parse_json(path.read_text(encoding="utf-8")) if path.exists() else {}
        values = settings.get("do_lower_case", True), settings.get("strip_accents")
    except (OSError, ValueError, AttributeError) as error:
        raise CheckpointError(path, f"no readable settings ({error})", "a tokenizer's settings in JSON") from error
    if not isinstance(values[0], bool) or not isinstance(values[1], bool | None):
        raise CheckpointError(path, f"do_lower_case {values[0]!r}, strip_accents {values[1]!r}", "true or false")
    return values


def agreed_case(asked: bool | None, said: bool, source: object) -> bool:
    """Whether text is lower-cased: as a model or shards say, which a configuration may only repeat.

    Raises:
        ConfigError: it says otherwise.
    """
    if asked not in (None, said):
        advice = "leave it out: the case travels with the data"
        raise ConfigError("do_lower_case", str(asked).lower(), f"{str(said).lower()}, as in {source}", advice)
    return said


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


def load_encoder(model: Layer, folder: Path | str, is_told: bool = True) -> LoadReport:
    """Fill `model.electra` from a pretrained directory: every parameter, each of the right shape.

    Heads stay as they are.

    Returns:
        LoadReport, which is also printed if `is_told`.

    Raises:
        CheckpointError: names the file and the first parameter that is missing or of another shape.
    """
    arrays, path = read_weights(folder)
    report = assign(model.electra, arrays, path, prefix=ENCODER, allow_extra=True)
    heads = [name for name, _ in model.named_parameters() if not name.startswith(ENCODER)]
    report = report._replace(untrained=heads)
    return announce(report) if is_told else report


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

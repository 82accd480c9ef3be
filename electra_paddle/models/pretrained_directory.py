"""The pretrained directory: what pre-training writes and fine-tuning, hub modules and PaddleNLP read.

`config.json`, `model.safetensors`, `vocab.txt`, `tokenizer_config.json` and `README.md`, laid out as PaddleNLP's
`save_pretrained` does.
"""

import json
import shutil
from pathlib import Path

from electra_paddle.errors import CheckpointError
from electra_paddle.tensors import assign, read_tensors, save_tensors
from electra_paddle.text import Tokenizer, Vocabulary

CONFIG, WEIGHTS, VOCABULARY, TOKENIZER, CARD = (
    "config.json",
    "model.safetensors",
    "vocab.txt",
    "tokenizer_config.json",
    "README.md",
)


def save_pretrained(model, folder, vocabulary, do_lower_case, card, more=None):
    """Write a model; the folder appears, or is replaced, when all of it is written.

    Args:
        model: a PaddleNLP ELECTRA model.
        card: text of README.md, in Markdown.
        more: name -> text of further files.
    """
    folder = Path(folder)
    partial = folder.with_name(folder.name + ".partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    model.config.architectures = [type(model).__name__]
    model.config.save_pretrained(str(partial))
    save_tensors(model.state_dict(), partial / WEIGHTS)
    vocabulary.save(partial / VOCABULARY)
    tokenizer = {"tokenizer_class": "ElectraTokenizer", "do_lower_case": do_lower_case}
    (partial / TOKENIZER).write_text(json.dumps(tokenizer, indent=2) + "\n", encoding="utf-8")
    for name, text in {CARD: card, **(more or {})}.items():
        (partial / name).write_text(text, encoding="utf-8")
    replace_folder(partial, folder)


def replace_folder(new, folder):
    """Give `new` the name `folder`; an older one of that name goes."""
    if folder.exists():
        old = folder.with_name(folder.name + ".old")
        shutil.rmtree(old, ignore_errors=True)
        folder.rename(old)
        new.rename(folder)
        shutil.rmtree(old)
    else:
        new.rename(folder)


def find_pretrained(folder):
    """The pretrained directory in a folder: itself, or the network of a pre-training run that one fine-tunes.

    That is the discriminator, or the masked language model where there is no discriminator.

    Raises:
        CheckpointError: neither is there.
    """
    folder = Path(folder)
    for candidate in (folder, folder / "discriminator", folder / "generator"):
        if (candidate / CONFIG).is_file():
            return candidate
    raise CheckpointError(folder, f"no {CONFIG}, nor one in discriminator/ or generator/", "a pretrained directory")


def read_config(folder):
    """The entries of a pretrained directory's config.json.

    Raises:
        CheckpointError: no such file, or no JSON object.
    """
    path = Path(folder) / CONFIG
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise CheckpointError(
            path, f"no readable configuration ({error})", "ELECTRA's configuration in JSON"
        ) from error
    if not isinstance(config, dict):
        raise CheckpointError(path, type(config).__name__, "ELECTRA's configuration in JSON")
    return config


def load_config(folder):
    """PaddleNLP's ElectraConfig of a pretrained directory, without its download logic."""
    from paddlenlp.transformers import ElectraConfig

    return ElectraConfig.from_dict(read_config(folder))


def load_tokenizer(folder):
    """The Tokenizer of a pretrained directory; it lower-cases where tokenizer_config.json does not say otherwise.

    Raises:
        DataError, CheckpointError: no vocabulary, or a tokenizer_config.json that is no JSON object.
    """
    path = Path(folder) / TOKENIZER
    try:
        settings = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
        do_lower_case = settings.get("do_lower_case", True)
        strip_accents = settings.get("strip_accents")
    except (OSError, ValueError, AttributeError) as error:
        raise CheckpointError(path, f"no readable settings ({error})", "a tokenizer's settings in JSON") from error
    return Tokenizer(Vocabulary.load(Path(folder) / VOCABULARY), do_lower_case, strip_accents)


def load_encoder(model, folder):
    """Fill `model.electra` from a pretrained directory: every parameter, each of the right shape.

    Heads stay as they are.

    Raises:
        CheckpointError: names the file and the first parameter that is missing or of another shape.
    """
    path = Path(folder) / WEIGHTS
    assign(model.electra, read_tensors(path), path, prefix="electra.", allow_extra=True)


def load_model(model, folder):
    """Fill a whole model, heads included, from a directory that `save_pretrained` wrote.

    Raises:
        CheckpointError: names the file and the first parameter that does not fit.
    """
    path = Path(folder) / WEIGHTS
    assign(model, read_tensors(path), path)

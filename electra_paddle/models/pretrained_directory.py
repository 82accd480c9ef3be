"""The pretrained directory: what pre-training writes and fine-tuning, hub modules and PaddleNLP read.

`config.json`, `model.safetensors`, `vocab.txt`, `tokenizer_config.json` and `README.md`, laid out as PaddleNLP's
`save_pretrained` does.
"""

import json
import shutil
from pathlib import Path

from electra_paddle.errors import CheckpointError
from electra_paddle.tensors import assign, read_tensors, save_tensors

CONFIG, WEIGHTS, VOCABULARY, TOKENIZER, CARD = (
    "config.json",
    "model.safetensors",
    "vocab.txt",
    "tokenizer_config.json",
    "README.md",
)


def save_pretrained(model, folder, vocabulary, do_lower_case, card):
    """Write a model; the folder appears, or is replaced, when all of it is written.

    Args:
        model: a PaddleNLP ELECTRA model.
        card: text of README.md, in Markdown.
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
    (partial / CARD).write_text(card, encoding="utf-8")
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
    """The pretrained directory in a folder: itself, or the discriminator of a pre-training run.

    Raises:
        CheckpointError: neither is there.
    """
    folder = Path(folder)
    for candidate in (folder, folder / "discriminator"):
        if (candidate / CONFIG).is_file():
            return candidate
    raise CheckpointError(folder, f"no {CONFIG}, nor one in discriminator/", "a pretrained directory")


def load_config(folder):
    """PaddleNLP's ElectraConfig of a pretrained directory, without its download logic."""
    from paddlenlp.transformers import ElectraConfig

    path = Path(folder) / CONFIG
    try:
        return ElectraConfig.from_dict(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError) as error:
        raise CheckpointError(
            path, f"no readable configuration ({error})", "ELECTRA's configuration in JSON"
        ) from error


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

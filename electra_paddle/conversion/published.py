"""The published models by name: fetched from Hugging Face, converted once, and kept for good.

What was converted lies beside huggingface_hub's own cache, in HF_HOME/electra-paddle/REPOSITORY/COMMIT.
"""

import re
import sys
from pathlib import Path

from electra_paddle import released
from electra_paddle.config.geometry import discriminator_geometry, generator_geometry
from electra_paddle.conversion.convert_hf import convert_folder
from electra_paddle.conversion.directories import new_folder
from electra_paddle.conversion.huggingface import WEIGHTS_FILES
from electra_paddle.errors import CheckpointError
from electra_paddle.models import pretrained_directory as pretrained

LAYOUT = 1  # of what is kept; another number makes it anew
DEFAULT_PLACE = re.compile(r"(?:.*/)?models/")  # where fine-tuning looks for the model of a name


def pretrained_directory(path_or_name):
    """The pretrained directory to build on: in a folder, or of a published model.

    Args:
        path_or_name: a pretrained directory; a run's folder (its discriminator is meant); the name of a published
            model (a name without component means the discriminator); or DATA_DIR/models/NAME with such a name,
            where nothing lies there.

    Raises:
        CheckpointError, DataError: there is none, or it cannot be fetched.
    """
    try:
        return pretrained.find_pretrained(path_or_name)
    except CheckpointError:
        name = published_name(DEFAULT_PLACE.sub("", Path(path_or_name).as_posix(), count=1))
        if name is None:
            raise
    return keep(released.repository(name), name)


def pretrained_directories(path_or_name):
    """The folders to begin pre-training with: the path itself, or each network of a published name.

    A name without component means both networks.
    """
    name = published_name(path_or_name)
    if name is None or Path(path_or_name).exists():
        return [Path(path_or_name)]
    return [keep(repository, name) for repository in released.repositories_of(name)]


def published_name(path_or_name):
    """The published name that a path is; None if it is none."""
    name = Path(path_or_name).as_posix()
    return name if released.repository(name) else None


def fetch_folders(path_or_name):
    """The Hugging Face folders of a path or a published name.

    Returns:
        network -> folder; the network is "" where there is one folder only.
    """
    name = published_name(path_or_name)
    if name is None or Path(path_or_name).exists():
        return {"": Path(path_or_name)}
    repositories = released.repositories_of(name)
    folders = [fetch(repository, name) for repository in repositories]
    return dict(zip(released.COMPONENTS if folders[1:] else [""], folders, strict=True))


def fetch(repository, asked=None):
    """The Hugging Face folder of a repository, in huggingface_hub's cache.

    Args:
        asked: what the user asked for, named in messages.

    Raises:
        DataError: something that is needed cannot be fetched.
    """
    weights = cached_weights(repository) or fetch_weights(repository, asked)
    commit = weights.parent.name
    released.fetch_file(repository, pretrained.VOCABULARY, asked, commit)
    for filename in (pretrained.CONFIG, pretrained.TOKENIZER):
        released.fetch_file(repository, filename, asked, commit, is_optional=True)
    return weights.parent


def keep(repository, asked=None):
    """The pretrained directory of a repository, made when it is first asked for.

    Raises:
        CheckpointError, DataError: it cannot be fetched, or is not what it should be. Nothing is kept then.
    """
    from filelock import FileLock

    kept = kept_directory(repository)
    if kept:
        return kept
    source = fetch(repository, asked)
    folder = kept_folder(repository) / f"{source.name}-{LAYOUT}"
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        advice = "set HF_HOME to a folder with room that can be written"
        raise CheckpointError(folder, error.strerror, "a folder to keep converted models in", advice) from error
    with FileLock(f"{folder}.lock"):
        if not folder.is_dir():  # another process may have made it in the meantime
            with new_folder(folder) as partial:
                report = convert_folder(source, partial, name=repository)
            print("\n".join([*report, f"{repository}: kept in {folder}"]), file=sys.stderr)
    return folder


def kept_folder(repository):
    return released.home() / "electra-paddle" / repository.replace("/", "--")


def kept_directory(repository):
    """What was kept of the weights in huggingface_hub's cache; without those the newest of all; None if nothing was."""
    folders = [folder for folder in kept_folder(repository).glob(f"*-{LAYOUT}") if folder.is_dir()]
    weights = cached_weights(repository)
    if weights is not None:
        folders = [folder for folder in folders if folder.name == f"{weights.parent.name}-{LAYOUT}"]
    return max(folders, key=lambda folder: folder.stat().st_mtime, default=None)


def cached_weights(repository):
    """The file of weights in huggingface_hub's cache, or None."""
    return next(filter(None, (released.cached_file(repository, name) for name in WEIGHTS_FILES)), None)


def fetch_weights(repository, asked):
    """The file of weights; which of the two kinds is the repository's choice."""
    preferred, other = WEIGHTS_FILES
    return released.fetch_file(repository, preferred, asked, is_optional=True) or released.fetch_file(
        repository, other, asked
    )


def geometry(model, component):
    """The Geometry of a published network, as its size has it."""
    shape = discriminator_geometry(model.model_size or model.size, model.vocab_size, overrides=dict(model.shape))
    return shape if component == "discriminator" else generator_geometry(shape)


def state_of(repository):
    """What is on this computer of a repository: "converted", "downloaded" or "no"."""
    if kept_directory(repository):
        return "converted"
    return "downloaded" if cached_weights(repository) else "no"


def from_pretrained(path_or_name, encoder=False):
    """A network with its weights, in evaluation mode.

    Args:
        path_or_name: a pretrained directory, a run's folder, or the name of a published model, with its component or
            without (then it is the discriminator): `hfl/chinese-electra-180g-small-generator`,
            `chinese-electra-180g-small`.
        encoder: the encoder alone, PaddleNLP's ElectraModel, instead of the whole network.

    Returns:
        PaddleNLP's ElectraDiscriminator or ElectraGenerator, or this package's ElectraClassifier, as the directory
        has it; every parameter is filled.

    Raises:
        CheckpointError, DataError: there is no such model, it cannot be fetched, or a parameter does not fit.
    """
    folder = pretrained_directory(path_or_name)
    config = pretrained.load_config(folder)
    architecture = (config.architectures or ["none"])[0]
    classes = model_classes()
    if not encoder and architecture not in classes:
        known = " or ".join(classes)
        raise CheckpointError(folder / pretrained.CONFIG, f"architecture {architecture}", known, "or give encoder=True")
    model = classes["ElectraModel" if encoder else architecture](config)
    if isinstance(model, classes["ElectraModel"]):
        pretrained.load_bare_encoder(model, folder)
    else:
        pretrained.load_model(model, folder)
    model.eval()
    return model


def model_classes():
    """Name of an architecture -> its class."""
    from paddlenlp.transformers import ElectraDiscriminator, ElectraGenerator, ElectraModel

    from electra_paddle.models.heads import ElectraClassifier

    return {kind.__name__: kind for kind in (ElectraDiscriminator, ElectraGenerator, ElectraModel, ElectraClassifier)}

"""Published models by name: fetched from Hugging Face, converted once, and kept.

Converted models lie beside huggingface_hub's own cache, in HF_HOME/electra-paddle/REPOSITORY/COMMIT-LAYOUT.
"""

from __future__ import annotations

import hashlib
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from electra_paddle import published_models
from electra_paddle.config import Geometry
from electra_paddle.config.geometry import discriminator_geometry, generator_geometry
from electra_paddle.conversion.directories import Describe, new_folder
from electra_paddle.conversion.foreign import (
    INDEX,
    OLD_CONFIG,
    SUFFIXES,
    WEIGHTS_FILES,
    find_weights,
    has_weights,
    is_own,
    weights_files,
)
from electra_paddle.conversion.heads import ARCHITECTURES as HEADS
from electra_paddle.conversion.huggingface import convert_folder
from electra_paddle.conversion.tokenizer_files import ADDED, TOKENIZER_JSON
from electra_paddle.errors import CheckpointError
from electra_paddle.files import sha256
from electra_paddle.models import pretrained_directory as pretrained

if TYPE_CHECKING:
    from paddlenlp.transformers import ElectraPretrainedModel

DECIDING = (  # files beside weights that decide about what they are converted to
    pretrained.CONFIG,
    OLD_CONFIG,
    pretrained.VOCABULARY,
    pretrained.TOKENIZER,
    TOKENIZER_JSON,
    ADDED,
)
LAYOUT = 2  # version of the kept directories; after a change all models are converted again
DEFAULT_PLACE = re.compile(r"(?:.*/)?models/")  # where fine-tuning looks for a model by default


def pretrained_directory(path_or_name: str | Path) -> Path:
    """The pretrained directory in a folder, or of a published model, which is fetched if necessary.

    Args:
        path_or_name: a pretrained directory; the folder of a run, for its discriminator; the name of a published model,
            without component for its discriminator; or DATA_DIR/models/NAME with such a name, if there is no such
            folder.

    Raises:
        CheckpointError, DataError: there is no such model, or it cannot be fetched.
    """
    path = Path(path_or_name)
    try:
        found = path if is_foreign_file(path) else pretrained.find_pretrained(path)
    except CheckpointError:
        name = published_name(DEFAULT_PLACE.sub("", path.as_posix(), count=1))
        if name is not None:
            return keep(published_models.repositories_of(name)[0], name)
        if not path.is_dir() or not has_weights(path):
            raise
        found = path
    return own_directory(found)


def own_directory(found: Path, describe: Describe | None = None) -> Path:
    """The pretrained directory of a folder or file, which is converted and kept if it is in another layout.

    Args:
        found: where it holds both networks, the discriminator is taken.
        describe: of fine-tuned models, as `convert_from_tf` has it.

    Raises:
        CheckpointError, DataError: what is there is no ELECTRA, or damaged.
    """
    if found.is_dir() and is_own(found):
        return found
    folder = converted(found, describe)
    both = folder / "discriminator"
    return both if both.is_dir() else folder


def converted(found: Path, describe: Describe | None = None) -> Path:
    """The kept folder that a folder or file in another layout was converted to, now if it was not before.

    With `describe` it is another one, so that what modules do with it does not depend on who came first.
    """
    beside = found if found.is_dir() else found.parent
    parts = [*weights_files(find_weights(found)), *filter(Path.is_file, (beside / name for name in DECIDING))]
    digest = hashlib.sha256(" ".join(sha256(path) for path in parts).encode()).hexdigest()
    folder = kept_folder("local") / f"{digest[:24]}{'-described' if describe else ''}-{LAYOUT}"
    convert(found, folder, found.resolve().name, describe)
    return folder


def is_foreign_file(path: Path) -> bool:
    """Whether a path is a single file of weights."""
    return path.is_file() and (path.suffix in SUFFIXES or path.name.endswith(INDEX))


def pretrained_directories(path_or_name: str | Path) -> list[Path]:
    """The folders whose weights pre-training begins with: the path itself, or one for each network of a published name.

    A name without component means both networks; a path in another layout is converted, and kept.

    Raises:
        CheckpointError, DataError: a published model cannot be fetched.
    """
    name, path = published_name(path_or_name), Path(path_or_name)
    if name is None or path.exists():
        is_foreign = is_foreign_file(path) or (path.is_dir() and has_weights(path) and not is_own(path))
        return [converted(path) if is_foreign else path]
    return [keep(repository, name) for repository in published_models.repositories_of(name)]


def own_networks(path_or_name: str | Path) -> dict[str, Path]:
    """Network -> pretrained directory, of a folder or a published name.

    Returns:
        The network is "" if there is only one directory; {} if there is none.

    Raises:
        CheckpointError, DataError: a published model cannot be fetched.
    """
    path = Path(path_or_name)
    if published_name(path) and not path.exists():
        return by_network(pretrained_directories(path))
    if (path / pretrained.CONFIG).is_file():
        return {"": path}
    return {network: path / network for network in published_models.COMPONENTS if (path / network).is_dir()}


def published_name(path_or_name: str | Path) -> str | None:
    """The path as the name of a published model; None if it is not one."""
    name = Path(path_or_name).as_posix()
    return name if published_models.repository(name) else None


def fetch_folders(path_or_name: str | Path) -> dict[str, Path]:
    """The folders of a path or a published name that are converted.

    Returns:
        Network -> folder, the discriminator first; the network is "" if there is only one folder. The folder of a run
        has one for each network.

    Raises:
        DataError: a published model cannot be fetched.
    """
    name, path = published_name(path_or_name), Path(path_or_name)
    if name is None or path.exists():
        networks = {network: path / network for network in published_models.COMPONENTS if has_weights(path / network)}
        return networks if networks and not has_weights(path) else {"": path}
    repositories = published_models.repositories_of(name)
    folders = [
        (keep if published_models.shipped_folder(repository) else fetch)(repository, name)
        for repository in repositories
    ]
    return by_network(folders)


def by_network(folders: Sequence[Path]) -> dict[str, Path]:
    """Network -> folder, of those that belong to a published name."""
    return dict(zip(published_models.COMPONENTS if folders[1:] else [""], folders, strict=True))


def fetch(repository: str, asked: str | Path | None = None) -> Path:
    """The Hugging Face folder of a repository, in huggingface_hub's cache.

    Args:
        asked: what the user asked for, shown in messages [the repository].

    Raises:
        DataError: the weights or the vocabulary cannot be fetched.
    """
    weights = cached_weights(repository) or fetch_weights(repository, asked)
    commit = weights.parent.name
    published_models.fetch_file(repository, pretrained.VOCABULARY, asked, commit)
    for filename in (pretrained.CONFIG, pretrained.TOKENIZER):
        published_models.fetch_file(repository, filename, asked, commit, is_optional=True)
    return weights.parent


def keep(repository: str, asked: str | Path | None = None) -> Path:
    """The pretrained directory of a repository; the first call fetches and converts it.

    Args:
        asked: what the user asked for, shown in messages [the repository].

    Raises:
        CheckpointError, DataError: it cannot be fetched, or does not hold an ELECTRA network. Nothing is kept then.
    """
    shipped = published_models.shipped_folder(repository)
    if shipped is not None:
        return converted(shipped) / component_of(repository)
    kept = kept_directory(repository)
    if kept:
        return kept
    source = fetch(repository, asked)
    folder = kept_folder(repository) / f"{source.name}-{LAYOUT}"
    convert(source, folder, repository)
    return folder


def component_of(repository: str) -> str:
    """The network of a repository."""
    return repository.rpartition("-")[2]


def convert(source: Path, folder: Path, name: str, describe: Describe | None = None) -> None:
    """Convert a folder or a file into a kept directory, unless that is there.

    Args:
        name: of the source, for messages and the model card.
        describe: of fine-tuned models, as `convert_from_tf` has it.

    Raises:
        CheckpointError, DataError: it cannot be read or kept. Nothing is kept then.
    """
    from filelock import FileLock

    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        advice = "set HF_HOME to a folder with room that can be written"
        raise CheckpointError(
            folder, error.strerror or str(error), "a folder to keep converted models in", advice
        ) from error
    with FileLock(f"{folder}.lock"):
        if not folder.is_dir():  # another process may have made it in the meantime
            with new_folder(folder) as partial:
                report = convert_folder(source, partial, name=name, describe=describe)
            print("\n".join([*report, f"{name}: kept in {folder}"]), file=sys.stderr)


def kept_folder(repository: str) -> Path:
    """The folder for all kept versions of a repository."""
    return published_models.home() / "electra-paddle" / repository.replace("/", "--")


def kept_directory(repository: str) -> Path | None:
    """The kept pretrained directory of a repository; None if there is none.

    It is the one made from the weights in huggingface_hub's cache, or the newest one if the cache has no weights.
    """
    folders = [folder for folder in kept_folder(repository).glob(f"*-{LAYOUT}") if folder.is_dir()]
    weights = cached_weights(repository)
    if weights is not None:
        folders = [folder for folder in folders if folder.name == f"{weights.parent.name}-{LAYOUT}"]
    return max(folders, key=lambda folder: folder.stat().st_mtime) if folders else None


def cached_weights(repository: str) -> Path | None:
    """The file of weights in huggingface_hub's cache, or None."""
    return next(filter(None, (published_models.cached_file(repository, name) for name in WEIGHTS_FILES)), None)


def fetch_weights(repository: str, asked: str | Path | None) -> Path:
    """Fetch the file of weights, in the preferred format if the repository has it."""
    preferred, other = WEIGHTS_FILES
    return published_models.fetch_file(repository, preferred, asked, is_optional=True) or published_models.fetch_file(
        repository, other, asked
    )


def geometry(model: published_models.PublishedModel, component: str) -> Geometry:
    """The Geometry of a published network, derived from the model's size."""
    shape = discriminator_geometry(model.model_size or model.size, model.vocab_size, overrides=dict(model.shape))
    is_one_encoder = model.is_shipped  # with two heads
    return shape if component == "discriminator" or is_one_encoder else generator_geometry(shape)


def state_of(repository: str) -> str:
    """Whether a repository is on this computer: "shipped", "converted", "downloaded" or "no"."""
    if published_models.shipped_folder(repository):
        return "shipped"
    if kept_directory(repository):
        return "converted"
    return "downloaded" if cached_weights(repository) else "no"


def from_pretrained(path_or_name: str | Path, encoder: bool = False) -> ElectraPretrainedModel:
    """Load a network with its weights, in evaluation mode.

    Args:
        path_or_name: a pretrained directory, the folder of a run, or the name of a published model, such as
            `hfl/chinese-electra-180g-small-generator`, or `chinese-electra-180g-small` for the discriminator.
        encoder: load only the encoder, PaddleNLP's ElectraModel, instead of the whole network.

    Returns:
        The network of the directory: PaddleNLP's ElectraDiscriminator, ElectraGenerator or ElectraModel, or a
        fine-tuned one of this package's. Every parameter is filled.

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


def model_classes() -> dict[str, type[ElectraPretrainedModel]]:
    """Name of an architecture -> its class."""
    from paddlenlp.transformers import ElectraDiscriminator, ElectraGenerator, ElectraModel

    from electra_paddle.models import heads
    from electra_paddle.models.reading_comprehension import ElectraReader

    own = [getattr(heads, name) for name in HEADS.values() if hasattr(heads, name)]
    return {kind.__name__: kind for kind in (ElectraDiscriminator, ElectraGenerator, ElectraModel, *own, ElectraReader)}

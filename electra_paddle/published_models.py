"""The published Chinese ELECTRA models by name, and files of their Hugging Face repositories."""

import dataclasses
import re
import time
from pathlib import Path
from typing import NamedTuple, overload

from electra_paddle import modelscope
from electra_paddle.errors import ConfigError, DataError
from electra_paddle.files import sha256

COMPONENTS = ("discriminator", "generator")
SHIPPED = ("model.safetensors", "config.json", "vocab.txt", "tokenizer_config.json")  # files of a model in the package
USE_MIRROR = "set HF_ENDPOINT to a mirror, such as https://hf-mirror.com"
TRIES, PAUSE = 5, 1.0  # of a download that breaks off, and seconds between them


@dataclasses.dataclass(frozen=True)
class PublishedModel:
    """A published generator and discriminator, trained together, in repositories OWNER/SERIES-SIZE-COMPONENT.

    Attributes:
        series: the models that were trained on the same text.
        size: small, small-ex, base, large, or a word of the owner's.
        training_data: the text, in a few words.
        owner: of the repositories.
        licence: as the publishers state it.
        vocab_size: entries of the vocabulary.
        shape: hyper-parameters of the discriminator's shape that differ from those of `model_size`.
        model_size: the size that the shape begins with; default `size`.
        is_shipped: whether it comes with this package, see `shipped_folder`.
    """

    series: str
    size: str
    training_data: str
    owner: str = "hfl"  # Joint Laboratory of HIT and iFLYTEK Research
    licence: str = "Apache-2.0"  # what the licence of the text means for the weights its publishers do not say
    vocab_size: int = 21128  # of Chinese BERT
    shape: tuple[tuple[str, int], ...] = ()
    model_size: str = ""
    is_shipped: bool = False

    @property
    def name(self) -> str:
        return f"{self.series}-{self.size}"

    def repository(self, component: str) -> str:
        return f"{self.owner}/{self.name}-{component}"


SMALL_EX = (("num_hidden_layers", 24), ("embedding_size", 256))
SERIES = {  # of HFL: series -> (training data, sizes)
    "chinese-electra": ("Wikipedia and other web text, 5.4 billion tokens", ("small", "small-ex", "base", "large")),
    "chinese-electra-180g": ("180 GB of web text", ("small", "small-ex", "base", "large")),
    "chinese-legal-electra": ("judicial documents", ("small", "base", "large")),
}
MODELS: list[PublishedModel] = [
    PublishedModel(
        series, size, data, shape=SMALL_EX if size == "small-ex" else (), model_size=size.removesuffix("-ex")
    )
    for series, (data, sizes) in SERIES.items()
    for size in sizes
]
NANO = PublishedModel(
    "chinese-electra",
    "nano",
    "open texts, 100 MB",
    owner="electra-paddle",
    vocab_size=8000,
    shape=(("num_hidden_layers", 4),),
    model_size="small",
    licence="CC BY-SA 4.0",  # that of some of the texts
    is_shipped=True,
)
MODELS.append(NANO)


def register_model(model: PublishedModel) -> None:
    """Make another published model known, by anybody; it is then found by its name wherever a model is taken.

    Raises:
        ConfigError: a model of this name is known already.
    """
    if any(known.name == model.name and known != model for known in MODELS):
        raise ConfigError("model", model.name, "a name that no published model has")
    if model not in MODELS:
        MODELS.append(model)


def repository(name: str) -> str | None:
    """The Hugging Face repository of a name; None if no published model is called so.

    Args:
        name: the repository itself (`hfl/chinese-electra-base-generator`), or the same without its owner or without
            the component, which then is the discriminator (`chinese-electra-base`).
    """
    repositories = repositories_of(name)
    return repositories[0] if repositories else None


def repositories_of(name: str) -> list[str]:
    """The repositories that a name stands for: one, or both of a model named without component."""
    for model in MODELS:
        short = name.removeprefix(f"{model.owner}/")
        both = [model.repository(component) for component in COMPONENTS]
        if short == model.name:
            return both
        named = [repository for repository in both if repository == f"{model.owner}/{short}"]
        if named:
            return named
    return []


def shipped_folder(repository: str) -> Path | None:
    """The folder with both networks of a model that comes with this package; None for others.

    Raises:
        DataError: it is not there, though it should be.
    """
    for model in MODELS:
        if model.is_shipped and repository in map(model.repository, COMPONENTS):
            folder = Path(__file__).parent / "pretrained" / model.name.replace("-", "_")
            missing = [name for name in SHIPPED if not (folder / name).is_file()]
            if missing:
                found = f"no {' and no '.join(missing)} in {folder}"
                raise DataError(model.name, found, "the files that come with electra-paddle", "install it again, whole")
            return folder
    return None


def cached_file(repository: str, filename: str, revision: str | None = None) -> Path | None:
    """Path of a file in huggingface_hub's cache; None if it is not there."""
    from huggingface_hub import try_to_load_from_cache

    path = try_to_load_from_cache(repository, filename, revision=revision)
    return Path(path) if isinstance(path, str) else None


def home() -> Path:
    """The folder in which huggingface_hub keeps everything: HF_HOME, or one in the user's cache."""
    from huggingface_hub import constants

    return Path(constants.HF_HOME)


class HubSettings(NamedTuple):
    """What huggingface_hub read from the environment as it was imported.

    Attributes:
        endpoint: address of the hub, HF_ENDPOINT.
        is_offline: HF_HUB_OFFLINE is set: the hub is not asked.
        home, cache: folders, HF_HOME and HF_HUB_CACHE; the cache usually lies in the home.
    """

    endpoint: str
    is_offline: bool
    home: Path
    cache: Path


def hub_settings() -> HubSettings:
    """The settings of this process.

    Raises:
        ImportError: huggingface_hub cannot be imported.
    """
    from huggingface_hub import constants

    return HubSettings(constants.ENDPOINT, constants.HF_HUB_OFFLINE, home(), Path(constants.HF_HUB_CACHE))


@overload
def fetch_file(repository: str, filename: str, asked: object = None, revision: str | None = None) -> Path: ...


@overload
def fetch_file(
    repository: str, filename: str, asked: object = None, revision: str | None = None, *, is_optional: bool
) -> Path | None: ...


def fetch_file(
    repository: str, filename: str, asked: object = None, revision: str | None = None, is_optional: bool = False
) -> Path | None:
    """A file of a repository, from the cache or else from the network: Hugging Face, or ModelScope if so asked.

    The cache comes first and is not compared with the network: these files do not change any more, and whoever
    has them should depend on no network.

    Args:
        repository: as `repository` returns it.
        filename: a file in it.
        asked: what the user asked for, named in messages; default the repository.
        revision: a commit; default the newest that is known.
        is_optional: whether the repository may lack it.

    Returns:
        Path of the file in huggingface_hub's or ModelScope's cache; None if it is optional and the repository lacks it.

    Raises:
        DataError: it is not in the cache and cannot be fetched; the message says why and what to do.
    """
    shipped = shipped_folder(repository)
    if shipped is not None:
        return shipped / filename if not is_optional or (shipped / filename).is_file() else None
    # It takes half a second to import, and reads HF_ENDPOINT and HF_HOME then.
    from huggingface_hub import _CACHED_NO_EXIST, try_to_load_from_cache
    from huggingface_hub.utils import RepositoryNotFoundError

    path = try_to_load_from_cache(repository, filename, revision=revision)
    if isinstance(path, str) or (path is _CACHED_NO_EXIST and is_optional):
        return Path(path) if isinstance(path, str) else None
    owner = modelscope.owner()
    if owner:
        return modelscope.fetch_file(owner, repository, filename, asked or repository, is_optional)
    try:
        return _download(repository, filename, revision)
    except (OSError, ValueError) as error:
        if is_optional and _status(error) == 404 and not isinstance(error, RepositoryNotFoundError):
            return None
        found, advice = _explain(error)
        second_source = f"{modelscope.ADVICE}, or " if USE_MIRROR in advice and modelscope.is_installed() else ""
        raise DataError(
            asked or repository,
            f"{found}, and nothing in the cache",
            f"{filename} of {repository}",
            f"{advice}, or {second_source}give the path of {_alternative(filename)}",
        ) from None  # the sentence says it all; what lies beneath are pages of the HTTP library's


def hub_problem(seconds: float = 5) -> tuple[str, str] | None:
    """Ask the hub for the headers of a published file, once; nothing is downloaded.

    Args:
        seconds: to wait for each answer.

    Returns:
        None if it answers as a hub does, else (what went wrong, what to do).
    """
    from huggingface_hub import constants, get_hf_file_metadata, hf_hub_url

    repository = MODELS[0].repository(COMPONENTS[0])
    try:
        metadata = get_hf_file_metadata(hf_hub_url(repository, "config.json"), timeout=seconds)
    except (OSError, ValueError) as error:
        return _explain(error)
    if metadata.commit_hash is None:
        return f"an answer from {constants.ENDPOINT} that is no hub's", USE_MIRROR
    return None


def _alternative(filename: str) -> str:
    return f"a {filename}" if filename.endswith(".txt") else "a pretrained directory"


def _download(repository: str, filename: str, revision: str | None) -> Path:
    """Fetch a file, going on where an attempt broke off."""
    from huggingface_hub import hf_hub_download

    starts_afresh, tries_left = False, TRIES
    while True:
        tries_left -= 1
        try:
            path = hf_hub_download(repository, filename, revision=revision, force_download=starts_afresh)
            return _verified(Path(path))
        except OSError as error:
            # What an earlier attempt left may not fit, for example because a mirror ignored where to go on. If kept,
            # it would spoil every later attempt too.
            starts_afresh = _status(error) == 416 or _is_inconsistent(error)
            if not tries_left or not (starts_afresh or _broke_off(error)):
                raise
            time.sleep(PAUSE)


def _verified(path: Path) -> Path:
    """The path of a downloaded file, if its content is what its repository announced.

    The cache calls the content of large files by its SHA-256.
    """
    content = path.resolve()
    if re.fullmatch("[0-9a-f]{64}", content.name) and sha256(content) != content.name:
        path.unlink()
        content.unlink(missing_ok=True)
        raise OSError("Consistency check failed: another SHA-256 than announced")
    return path


def _explain(error: BaseException) -> tuple[str, str]:
    """(what went wrong with a download, what the user can do).

    Source: huggingface_hub 0.25 to 0.29, whose errors are OSErrors all.
    """
    import requests
    from huggingface_hub import constants
    from huggingface_hub.utils import OfflineModeIsEnabled

    status = _status(error)
    error = error.__cause__ or error  # "not in the cache" is raised from what went wrong before
    if isinstance(error, OfflineModeIsEnabled):
        return "HF_HUB_OFFLINE set", "unset it once"
    if status == 429 or (status and status >= 500):
        return f"HTTP {status} from {constants.ENDPOINT}", f"try later, or {USE_MIRROR}"
    if status:
        return f"HTTP {status} from {constants.ENDPOINT}", USE_MIRROR
    if "SHA-256" in str(error):
        return f"content with another checksum than announced at {constants.ENDPOINT}", USE_MIRROR
    if _is_inconsistent(error) or _broke_off(error):
        return f"a download that broke off at {constants.ENDPOINT}", "start again, it goes on where it stopped"
    if isinstance(error, requests.exceptions.ConnectionError | requests.exceptions.Timeout):
        return f"no connection to {constants.ENDPOINT} ({type(error).__name__})", USE_MIRROR
    if isinstance(error, OSError) and error.errno:
        return str(error), "set HF_HOME to a folder with room that can be written"
    first_sentence, *_ = str(error).split(". ")
    return f"{constants.ENDPOINT} of no use ({first_sentence})", USE_MIRROR


def _status(error: BaseException) -> int | None:
    """HTTP status of an error's answer, None if there was no answer."""
    return getattr(getattr(error.__cause__ or error, "response", None), "status_code", None)


def _is_inconsistent(error: BaseException) -> bool:
    """Whether a whole download is not what was announced."""
    return "Consistency check failed" in str(error)


def _broke_off(error: BaseException) -> bool:
    import requests

    return isinstance(error.__cause__ or error, requests.exceptions.ChunkedEncodingError)

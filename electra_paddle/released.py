"""The published Chinese ELECTRA models by name, and files of their Hugging Face repositories."""

import dataclasses
from pathlib import Path

from electra_paddle.errors import DataError

OWNER = "hfl"  # Joint Laboratory of HIT and iFLYTEK Research
COMPONENTS = ("discriminator", "generator")


@dataclasses.dataclass(frozen=True)
class ReleasedModel:
    """A published generator and discriminator, trained together.

    Attributes:
        series: the models that were trained on the same text.
        size: small, small-ex, base or large.
    """

    series: str
    size: str

    @property
    def name(self):
        return f"{self.series}-{self.size}"

    def repository(self, component):
        return f"{OWNER}/{self.name}-{component}"


MODELS = tuple(
    ReleasedModel(series, size)
    for series, sizes in {
        "chinese-electra": ("small", "small-ex", "base", "large"),
        "chinese-electra-180g": ("small", "small-ex", "base", "large"),
        "chinese-legal-electra": ("small", "base", "large"),
    }.items()
    for size in sizes
)


def repository(name):
    """The Hugging Face repository of a name; None if no published model is called so.

    Args:
        name: the repository itself (`hfl/chinese-electra-base-generator`), or the same without `hfl/` or without
            the component, which then is the discriminator (`chinese-electra-base`).
    """
    name = name.removeprefix(f"{OWNER}/")
    for model in MODELS:
        if name == model.name:
            return model.repository("discriminator")
        for component in COMPONENTS:
            if name == f"{model.name}-{component}":
                return model.repository(component)
    return None


def fetch_file(repository, filename, asked=None):
    """A file of a repository, from the cache or else from the network.

    The cache comes first and is not compared with the network: these files do not change any more, and whoever
    has them should depend on no network.

    Args:
        repository: as `repository` returns it.
        filename: a file in it.
        asked: what the user asked for, named in messages; default the repository.

    Returns:
        Path of the file in huggingface_hub's cache.

    Raises:
        DataError: it is not in the cache and cannot be fetched; the message says why and what to do.
    """
    # It takes half a second to import, and reads HF_ENDPOINT and HF_HOME then.
    from huggingface_hub import hf_hub_download
    from huggingface_hub.utils import LocalEntryNotFoundError

    try:
        return Path(hf_hub_download(repository, filename, local_files_only=True))
    except LocalEntryNotFoundError:
        pass
    try:
        return Path(_download(repository, filename))
    except (OSError, ValueError) as error:
        found, advice = _explain(error)
        raise DataError(
            asked or repository,
            f"{found}, and nothing in the cache",
            f"{filename} of {repository}",
            f"{advice}, or give the path of a {filename}",
        ) from error


def _download(repository, filename):
    from huggingface_hub import hf_hub_download

    try:
        return hf_hub_download(repository, filename)
    except OSError as error:
        # What an earlier download left does not fit, for example because a mirror ignored where to go on. If kept,
        # it would spoil every later download too.
        if _status(error) == 416 or _has_wrong_size(error):
            return hf_hub_download(repository, filename, force_download=True)
        raise


def _explain(error):
    """What went wrong with a download, and what the user can do.

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
        return f"HTTP {status} from {constants.ENDPOINT}", "try later, or set HF_ENDPOINT to a mirror"
    if status:
        return f"HTTP {status} from {constants.ENDPOINT}", "set HF_ENDPOINT to another mirror"
    if _has_wrong_size(error) or isinstance(error, requests.exceptions.ChunkedEncodingError):
        return f"a download that broke off at {constants.ENDPOINT}", "start again, it goes on where it stopped"
    if isinstance(error, requests.exceptions.ConnectionError | requests.exceptions.Timeout):
        return f"no connection to {constants.ENDPOINT} ({type(error).__name__})", "set HF_ENDPOINT to a mirror"
    if isinstance(error, OSError) and error.errno:
        return str(error), "set HF_HOME to a folder with room that can be written"
    first_sentence, *_ = str(error).split(". ")
    return f"{constants.ENDPOINT} of no use ({first_sentence})", "set HF_ENDPOINT to a mirror"


def _status(error):
    """HTTP status of an error's answer, None if there was no answer."""
    return getattr(getattr(error.__cause__ or error, "response", None), "status_code", None)


def _has_wrong_size(error):
    return "Consistency check failed" in str(error)

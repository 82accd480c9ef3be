"""ModelScope as a second source of published models, where its client is installed.

HFL publishes on Hugging Face alone. Others keep copies on ModelScope under the same names with another owner, such as
dienstag/chinese-electra-180g-base-discriminator. Nobody vouches for them, so one has to ask for an owner's.
"""

from __future__ import annotations

import functools
import importlib.util
import os
import sys
from pathlib import Path

from electra_paddle.errors import DataError

OWNER = "ELECTRA_PADDLE_MODELSCOPE"  # environment variable: whose copies are taken instead of Hugging Face's
ADVICE = f"{OWNER} to an owner of copies on ModelScope, such as dienstag"


def owner() -> str | None:
    """Whose copies the user asks for; None if nobody's."""
    return os.environ.get(OWNER) or None


def is_installed() -> bool:
    """Whether its client is."""
    return importlib.util.find_spec("modelscope") is not None


def fetch_file(owner: str, repository: str, filename: str, asked: object, is_optional: bool = False) -> Path | None:
    """A file of an owner's copy of a Hugging Face repository, from ModelScope's cache or else from the network.

    Args:
        asked: what the user asked for, named in messages.
        is_optional: whether the copy may lack it.

    Returns:
        Path of the file in ModelScope's cache; None if it is optional and the copy lacks it.

    Raises:
        DataError: the client is not installed, or the file cannot be fetched.
    """
    if not is_installed():
        advice = "pip install 'electra-paddle[modelscope]'"
        raise DataError(OWNER, f"{owner}, and no client of ModelScope", "its client beside it", advice)
    from modelscope.hub.file_download import model_file_download

    copy = f"{owner}/{repository.partition('/')[2]}"
    tell(repository, copy)
    try:
        return Path(model_file_download(copy, filename, revision="master"))
    except (OSError, ValueError, RuntimeError) as error:  # its errors are OSErrors
        status = getattr(getattr(error, "response", None), "status_code", None)
        if is_optional and status == 404:
            return None
        found = f"HTTP {status} from ModelScope" if status else f"no connection to ModelScope ({type(error).__name__})"
        advice = f"set {OWNER} to another owner, or give the path of a pretrained directory"
        raise DataError(asked, f"{found}, and nothing in the cache", f"{filename} of {copy}", advice) from None


@functools.cache
def tell(repository: str, copy: str) -> None:
    """Say, once, where a model comes from."""
    print(f"NOTE: {repository}: taken from ModelScope's {copy}, a copy, as {OWNER} asks for", file=sys.stderr)

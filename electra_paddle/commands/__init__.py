"""The commands: each module has DESCRIPTION, add_arguments(parser) and run(arguments)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from electra_paddle.errors import ConfigError

if TYPE_CHECKING:
    from argparse import Namespace


def refuse_options(arguments: Namespace, names: Iterable[str], where: str) -> None:
    """Refuse options that would change nothing.

    Args:
        names: of options that are None or False where they are not given.
        where: in what they do not count, such as "with --to hf".

    Raises:
        ConfigError: one of them is given.
    """
    for name in names:
        if getattr(arguments, name) is not None and getattr(arguments, name) is not False:
            raise ConfigError(f"--{name.replace('_', '-')}", f"the option {where}", f"no such option {where}")

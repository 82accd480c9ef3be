"""The files of configs/, from wherever one works."""

from pathlib import Path

from electra_paddle.files import brought_folder

RECIPES = brought_folder("configs")


def find_recipe(path: str | Path) -> Path:
    """A path as it is; where there is no such file and it begins with `configs/`, this package's file of that name."""
    path = Path(path)
    own = RECIPES.joinpath(*path.parts[1:])
    return own if path.parts[:1] == ("configs",) and not path.exists() and own.is_file() else path

"""The files of configs/: in a clone they stand beside the package, a wheel brings them inside it."""

from pathlib import Path

PACKAGE = Path(__file__).parents[1]
RECIPES = next((folder for folder in (PACKAGE / "configs", PACKAGE.parent / "configs") if folder.is_dir()), PACKAGE)


def find_recipe(path):
    """A path as it is; where there is no such file and it begins with `configs/`, this package's file of that name."""
    path = Path(path)
    own = RECIPES.joinpath(*path.parts[1:])
    return own if path.parts[:1] == ("configs",) and not path.exists() and own.is_file() else path

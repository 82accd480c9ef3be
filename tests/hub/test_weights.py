"""Where a module's weights come from."""

import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest

from electra_paddle.conversion.published import LAYOUT
from electra_paddle.errors import CheckpointError, DataError
from electra_paddle.hub.weights import find_weights

NAME = "chinese-electra-180g-small"
PUBLISHED = SimpleNamespace(name=NAME, weights=NAME, directory="nowhere")


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """Where what was converted is kept."""
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HOME", str(tmp_path))
    return tmp_path / "electra-paddle"


def test_published_weights_come_from_the_cache(cache, tiny_run):
    for component in ("discriminator", "generator"):
        folder = cache / f"hfl--{NAME}-{component}" / f"commit-{LAYOUT}"
        shutil.copytree(tiny_run / component, folder)
        assert find_weights(PUBLISHED, None, component) == folder
        assert find_weights(PUBLISHED, f"hfl/{NAME}", component) == folder


def test_without_network_and_cache_the_three_ways_are_told(cache):
    with pytest.raises(DataError) as caught:
        find_weights(PUBLISHED, None, "discriminator")
    message = str(caught.value)
    assert message.startswith(f"{NAME}: found no weights (") and "nothing in the cache" in message
    for way in ("connect to the network once", "give pretrained=DIR", "install an archive that holds its weights"):
        assert way in message


def test_folder_of_the_caller_goes_before_everything_else(cache, tiny_run):
    assert find_weights(PUBLISHED, tiny_run, "discriminator") == tiny_run / "discriminator"
    assert find_weights(PUBLISHED, tiny_run, "generator") == tiny_run / "generator"
    assert find_weights(PUBLISHED, tiny_run / "generator", "generator") == tiny_run / "generator"
    with pytest.raises(CheckpointError, match="no generator, expected one, to fill masks"):
        find_weights(PUBLISHED, tiny_run / "discriminator", "generator")


def test_module_with_its_own_weights_asks_nobody(tiny_run, tmp_path):
    shutil.copytree(tiny_run / "discriminator", tmp_path / "assets")
    module = SimpleNamespace(name="tiny", weights=None, directory=tmp_path)
    assert find_weights(module, None, "discriminator") == tmp_path / "assets"


@pytest.mark.parametrize("component", ["discriminator", "generator"])
def test_archive_in_place_of_a_folder_is_refused(tmp_path, component):
    archive = tmp_path / "module.tar.gz"
    archive.write_bytes(b"")
    with pytest.raises(CheckpointError, match=r"found a file, expected a pretrained directory; .* for `hub install`"):
        find_weights(PUBLISHED, archive, component)


@pytest.mark.parametrize("depth", [1, 2, 3])
def test_folder_of_models_in_place_of_one_names_them(tmp_path, tiny_run, depth):
    folder = Path(tmp_path, *["models"] * (depth - 1), "run")
    shutil.copytree(tiny_run / "discriminator", folder)
    with pytest.raises(CheckpointError) as caught:
        find_weights(PUBLISHED, tmp_path, "discriminator")
    assert str(caught.value) == f"{tmp_path}: found no model, but 1 below it ({folder}), expected one of those"

"""A small pre-training run, and its module in processes of their own, where this package cannot be imported."""

import contextlib
import json
import os
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
import requests

from electra_paddle.config.geometry import discriminator_geometry, generator_geometry
from electra_paddle.hub.packaging.module_archive import export_module
from electra_paddle.text import Vocabulary

WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *(chr(0x4E00 + number) for number in range(45))]
NAME = "chinese-electra-tiny"
BLOCKER = """
import sys

class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] == "electra_paddle":
            raise ModuleNotFoundError(f"{name} is hidden in this test")

sys.meta_path.insert(0, Blocker())
"""


def save_network(architecture, folder, shape, words=WORDS, card="# card\n", seed=1):
    """A network of PaddleNLP's or this package's, with weights from a seed, as a pretrained directory."""
    from paddlenlp.transformers import ElectraConfig

    from electra_paddle.models.initialization import initialize
    from electra_paddle.models.pretrained_directory import save_pretrained

    model = architecture(ElectraConfig(**vars(shape)))
    initialize(model, seed, std=0.3)
    save_pretrained(model, folder, Vocabulary(words), True, card)
    return model


@pytest.fixture(scope="session")
def tiny_shape():
    return discriminator_geometry("small", len(WORDS), 40, {"hidden_size": 32, "num_hidden_layers": 2})


@pytest.fixture(scope="session")
def tiny_run(tiny_shape, tmp_path_factory):
    """The folder of a pre-training run: discriminator/ and generator/."""
    from paddlenlp.transformers import ElectraDiscriminator, ElectraGenerator

    folder = tmp_path_factory.mktemp("run")
    save_network(ElectraDiscriminator, folder / "discriminator", tiny_shape)
    save_network(ElectraGenerator, folder / "generator", generator_geometry(tiny_shape, 0.5))
    return folder


@pytest.fixture(scope="module")
def port():
    """A port that nothing listens at."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.fixture(scope="session")
def hidden_package(tmp_path_factory):
    """A folder for PYTHONPATH with which Python does not find electra_paddle."""
    folder = tmp_path_factory.mktemp("hidden")
    (folder / "sitecustomize.py").write_text(BLOCKER)
    return folder


class Hub:
    """PaddleHub's command and its Python interface, each time in a process of its own."""

    def __init__(self, home, hidden_package):
        self.home = home
        self.environment = {
            **os.environ,
            "HUB_HOME": str(home),
            "HF_HOME": str(home / "huggingface"),
            "HF_HUB_OFFLINE": "1",
            "PYTHONPATH": str(hidden_package),
        }
        self.program = Path(sys.executable).with_name("hub")

    def command(self, *arguments, status=0):
        """What `hub ARGUMENTS` prints."""
        log = self.home / "log.txt"
        assert self.start(log, *arguments).wait(timeout=900) == status, log.read_text()
        return log.read_text()

    def start(self, log, *arguments, **variables):
        """A process of the command `hub` whose output goes to a file."""
        self.home.mkdir(exist_ok=True)
        environment = self.environment | variables
        with open(log, "w") as stream:
            return subprocess.Popen(
                [self.program, *map(str, arguments)], env=environment, cwd=self.home, stdout=stream, stderr=stream
            )

    @contextlib.contextmanager
    def serving(self, modules, port, folder, num_workers=0, **variables):
        """The process of `hub serving start`, once it answers.

        Args:
            modules: name -> arguments of the installed module's constructor.
            folder: for its configuration and its log.
            num_workers: processes of gunicorn; 0 for Flask's own server.
            variables: of its environment.
        """
        directory = str(self.home / "modules" / NAME.replace("-", "_"))
        modules_info = {
            name: {"init_args": {"directory": directory, **arguments}, "predict_args": {"batch_size": 8}}
            for name, arguments in modules.items()
        }
        config, log = folder / "config.json", folder / "log.txt"
        settings = {"modules_info": modules_info, "port": port}
        settings |= {"use_multiprocess": num_workers > 0, "workers": num_workers or 1}
        config.write_text(json.dumps(settings))
        process = self.start(log, "serving", "start", "-c", config, **variables)
        try:
            for _ in range(1200):
                with contextlib.suppress(requests.ConnectionError):
                    requests.get(f"http://127.0.0.1:{port}", timeout=10)
                    break
                assert process.poll() is None, log.read_text()
                time.sleep(0.5)
            yield process
        finally:
            process.terminate()
            process.wait(timeout=60)

    def install(self, archive):
        """What `hub install` prints for an archive, or on Paddle 2.6 for the folder in it.

        There PaddleHub crashes within Python's zlib at every archive, where Python has it as a shared library.
        """
        import paddle

        if paddle.__version__.startswith("2."):
            shutil.unpack_archive(archive, archive.parent / "unpacked")
            archive = archive.parent / "unpacked" / archive.name.removesuffix(".tar.gz")
        return self.command("install", archive)

    def python(self, code):
        """Run code; returns what it assigns to `result`."""
        lines = ["import json, sys", "import paddlehub as hub", "import numpy as np", code]
        lines.append("print('RESULT' + json.dumps(result, default=float))")
        finished = subprocess.run(
            [sys.executable, "-c", "\n".join(lines)],
            env=self.environment,
            cwd=self.home,
            capture_output=True,
            text=True,
        )
        assert finished.returncode == 0, finished.stderr
        return json.loads(finished.stdout.rpartition("RESULT")[2])


@pytest.fixture(scope="session")
def hub(tiny_run, hidden_package, tmp_path_factory):
    """A HUB_HOME into which the real `hub install` has put an archive."""
    folder = tmp_path_factory.mktemp("hub")
    archive = export_module(tiny_run, folder / "chinese_electra_tiny.tar.gz")
    hub = Hub(folder / "home", hidden_package)
    output = hub.install(archive)
    assert f"Successfully installed {NAME}-1.0.0" in output and "Some errors occurred" not in output
    return hub

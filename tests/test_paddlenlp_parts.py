"""The import of PaddleNLP in the package's commands; each in a process of its own, as an import happens once."""

import subprocess
import sys

import pytest
from conftest import ROOT

BEGIN = "import sys; from electra_paddle.paddlenlp_parts import import_parts_only; import_parts_only(); "
UNNEEDED = {"pandas", "pyarrow", "sklearn", "fastapi", "paddlenlp.taskflow", "paddlenlp.server", "paddlenlp.datasets"}


def python(*arguments):
    done = subprocess.run([sys.executable, *arguments], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done


def test_the_encoder_comes_without_what_it_does_not_need():
    lines = (
        "from paddlenlp.transformers import ElectraModel, ElectraTokenizer; import paddlenlp",
        "print(*sys.modules); print(paddlenlp.__version__, paddlenlp.__spec__.name, hasattr(paddlenlp, '__wrapped__'))",
        "print('paddlenlp.taskflow' in sys.modules)",
    )
    modules, told, is_whole = python("-c", BEGIN + "; ".join(lines)).stdout.splitlines()[-3:]
    assert "paddlenlp.transformers.electra.modeling" in modules.split()
    assert not UNNEEDED & {*modules.split()}
    version = python("-c", "import paddlenlp; print(paddlenlp.__version__)").stdout.splitlines()[-1]
    assert told == f"{version} paddlenlp False" and is_whole == "False"


@pytest.mark.parametrize(
    "line",
    [
        "import paddlenlp; paddlenlp.Taskflow",
        "from paddlenlp import Taskflow",
        "from paddlenlp.datasets import load_dataset",
        "import paddlenlp.metrics",
    ],
)
def test_the_rest_follows_whole_when_any_of_it_is_asked_for(line):
    after = "import paddlenlp, types; print(type(paddlenlp) is types.ModuleType, *sys.modules)"
    is_module, *modules = python("-c", f"{BEGIN}{line}; {after}").stdout.splitlines()[-1].split()
    assert is_module == "True" and {*modules} >= UNNEEDED


def test_a_version_with_parts_in_another_order_is_imported_whole():
    """`transformers` before `data` fails in the supported versions, so it stands for the order of another one."""
    before = "import electra_paddle.paddlenlp_parts as parts; parts.PARTS = parts.PARTS[::-1]; "
    after = "import paddlenlp, types; print(type(paddlenlp) is types.ModuleType, paddlenlp.transformers.ElectraModel)"
    told = python("-c", f"{before}{BEGIN}{after}").stdout.splitlines()[-1]
    assert told == "True <class 'paddlenlp.transformers.electra.modeling.ElectraModel'>"


def test_who_imported_paddlenlp_before_keeps_what_there_is():
    after = "print(any(type(finder).__name__ == 'PartsFinder' for finder in sys.meta_path), type(paddlenlp).__name__)"
    assert python("-c", f"import paddlenlp; {BEGIN}{after}").stdout.splitlines()[-1] == "False module"


def test_a_name_that_paddlenlp_has_not_is_an_attribute_error():
    line = "import paddlenlp\ntry: paddlenlp.no_such_name\nexcept AttributeError as error: print(error)"
    assert python("-c", f"{BEGIN}\n{line}").stdout.splitlines()[-1] == (
        "module 'paddlenlp' has no attribute 'no_such_name'"
    )

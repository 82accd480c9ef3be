"""Who may import whom, and what must not be imported early."""

import ast
import subprocess
import sys

import pytest
from conftest import ROOT

LEVELS = [
    {"arrays"},
    {"errors", "batch", "cuda_code", "files", "paddlenlp_parts", "parsing", "unpickling"},
    {"archives", "registry", "locks", "processes"},
    {"kernels", "modelscope", "shared_room"},
    {"published_models", "task_kinds", "schedules"},
    {"config", "runtime", "text", "tensors"},
    {"data", "models", "training"},
    {"conversion"},
    {"diagnosis", "finetuning", "hub", "pretraining"},
    {"demo"},
    {"commands"},
    {"cli"},
    {"__main__"},
]
HEAVY = {
    "paddle",
    "paddlenlp",
    "paddlehub",
    "gradio",
    "tensorflow",
    "visualdl",
    "matplotlib",
    "optuna",
    "seqeval",
    "sklearn",
    "pydantic",
    "tokenizers",
    "huggingface_hub",
    "modelscope",
    "jieba",
    "opencc",
    "scipy",
    "zstandard",
    "google_crc32c",
    "onnx",
    "onnxruntime",
    "paddle2onnx",
}
ONLY_IMPORTERS = {
    "jieba": {"data/words.py"},
    "zstandard": {"data/compression.py"},
    "paddle.distributed": {"runtime.py"},
    "visualdl": {"training/loggers/visualdl.py"},
    "huggingface_hub": {"published_models.py", "conversion/convert_hf.py"},
    "packaging": {"diagnosis/doctor.py", "diagnosis/packages.py"},
    "requests": {"published_models.py"},
    "modelscope": {"modelscope.py"},
    "filelock": {"conversion/published.py"},
    "seqeval": {"finetuning/kinds/tagging.py"},
    "sklearn": {
        "demo/reviews.py",
        "finetuning/folds.py",
        "finetuning/kinds/classification.py",
        "finetuning/metrics.py",
        "models/informed.py",
    },
    "opencc": {"data/mixture.py"},
    "paddlehub": {
        "hub/loading.py",
        "hub/interface.py",
        "hub/packaging/installation.py",
        "hub/serving.py",
    },
    "google_crc32c": {"conversion/tensor_bundle.py"},
    "onnxruntime": {"hub/deployment/onnx_network.py"},
    "paddle.inference": {"hub/deployment/paddle_network.py"},
}
PACKAGE = ROOT / "electra_paddle"


def level(module):
    return next(number for number, names in enumerate(LEVELS) if module in names)


def imports(path, inside_functions=True):
    """Dotted names that a file imports."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    nodes = ast.walk(tree) if inside_functions else tree.body
    for node in nodes:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


FILES = sorted(path for path in PACKAGE.rglob("*.py") if path != PACKAGE / "__init__.py")


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_go_downwards(path):
    own = path.relative_to(PACKAGE).parts[0].removesuffix(".py")
    for name in imports(path):
        if not name.startswith("electra_paddle."):
            continue
        other = name.split(".")[1]
        if other not in (own, "__version__"):
            assert level(other) < level(own), f"{own} imports {other}"


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_some_libraries_have_few_importers(path):
    for name in imports(path):
        for library, importers in ONLY_IMPORTERS.items():
            if name == library or name.startswith(library + "."):
                assert str(path.relative_to(PACKAGE)) in importers, f"{path.name} imports {name}"


@pytest.mark.parametrize(
    "arguments",
    [
        ["-c", "import electra_paddle"],
        ["-m", "electra_paddle", "--help"],
        ["tasks/build_pretraining_data.py", "--help"],
        ["-m", "electra_paddle", "inspect_shards", "--help"],
        ["tools/benchmark.py", "--help"],
        ["tasks/run_pretrain.py", "--help"],
        ["tasks/run_finetuning.py", "--help"],
        ["tasks/evaluate_cmrc.py", "--help"],
        ["tools/export_hub_module.py", "--help"],
        ["tools/install_hub_module.py", "--help"],
        ["tools/export_inference.py", "--help"],
        ["tools/convert_hf.py", "--help"],
        ["-m", "electra_paddle", "models", "--help"],
        ["-m", "electra_paddle", "doctor", "--help"],
        ["-m", "electra_paddle", "demo", "--help"],
    ],
)
def test_help_and_import_do_not_pay_for_heavy_libraries(arguments):
    result = subprocess.run(
        [sys.executable, "-X", "importtime", *arguments], cwd=ROOT, capture_output=True, text=True, check=True
    )
    imported = {line.rpartition("|")[2].strip() for line in result.stderr.splitlines() if "|" in line}
    assert "electra_paddle" in imported or arguments[0] == "tools/benchmark.py"
    assert not imported & HEAVY


def test_public_names_load():
    import electra_paddle

    for name in electra_paddle.__all__:
        assert getattr(electra_paddle, name) is not None

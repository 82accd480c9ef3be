"""Package definition. The lock files under requirements/ are compiled from it: `make lock`."""

import pathlib
import re

from setuptools import find_packages, setup

HERE = pathlib.Path(__file__).parent
VERSION = re.search(r'__version__ = "(.+)"', (HERE / "electra_paddle/__init__.py").read_text(encoding="utf-8")).group(1)
BROUGHT = {  # what stands beside the package in a clone and inside it in a wheel: files.brought_folder
    f"electra_paddle.{parent}.{folder.name}": f"{parent}/{folder.name}"
    for parent in ("configs", "hub_modules")
    for folder in (HERE / parent).iterdir()
    if folder.is_dir()
}
ONNX = [
    "onnx>=1.16.1,<1.18",  # later ones need another protobuf than PaddleHub
    "onnxruntime>=1.19",
    "paddle2onnx>=1.2.9,!=1.3.*",  # 1.2.9 for Paddle 2.6 and 2.1 for Paddle 3.3, as in the locks; 1.3 fails
]

setup(
    name="electra-paddle",
    version=VERSION,
    description="Chinese ELECTRA for PaddlePaddle: pre-training, fine-tuning, conversion and PaddleHub modules",
    long_description=(HERE / "README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    license="Apache-2.0",
    python_requires=">=3.10,<3.13",
    packages=[*find_packages(include=["electra_paddle", "electra_paddle.*"]), *BROUGHT],
    package_dir=BROUGHT,
    package_data={
        "electra_paddle": [
            "py.typed",
            "sample/*",
            "hub/page.html",
            "hub/packaging/template/*",
            "finetuning/template/*",
            "demo/templates/*",
            "pretrained/*/*",
        ],
        **{name: ["*.yaml", "*.md", "*.txt"] for name in BROUGHT},
    },
    install_requires=[
        "paddlenlp>=2.8.1,<=3.0.0b4",
        "paddlehub==2.4.0",
        "visualdl>=2.5.3,<2.6",
        "numpy>=1.26,<2",
        # What this package itself imports beside them.
        "filelock",
        "jinja2",
        "jieba",
        "matplotlib",
        "packaging",
        "pydantic>=2.9,<2.12",
        "pyyaml",
        "safetensors>=0.4",
        "scikit-learn",
        "scipy",
        "seqeval",
        "tokenizers>=0.19,<0.22",
        "tqdm",
        "zstandard",
        # Bounds without which PaddleNLP or PaddleHub, last released before these packages' current
        # versions, install but do not import.
        "aistudio-sdk<0.3",  # 0.3 dropped `hub.download`, which PaddleNLP imports
        "datasets>=2,<=3.5",
        "flask<3.2",
        "gradio>=4.44,<5.24",
        "huggingface-hub<0.30",  # later ones dropped names that PaddleNLP imports
        "opencv-python<4.12",  # 4.12 needs numpy 2
        "pyarrow<21",  # later ones need numpy 2
        "protobuf>=3.20.2,<=3.20.3",  # PaddleHub's generated files are refused by 4
        "setuptools<70",  # pkg_resources, at run time
    ],
    extras_require={
        "cpu": ["paddlepaddle>=2.6.2,<3.4"],
        "gpu": ["paddlepaddle-gpu>=2.6.2,<3.4"],
        "tensorboard": ["tensorboardX"],
        "wandb": ["wandb"],
        "swanlab": ["swanlab[dashboard]"],
        "search": ["optuna>=3.6"],  # proposes hyper-parameters; a grid needs nothing
        "corpus": ["opencc==1.1.9"],  # converts Traditional characters, where a mixture asks for it
        "modelscope": ["modelscope>=1.40"],  # a second source of published models
        "convert": ["google-crc32c"],  # for TensorFlow's checkpoints, which are read without TensorFlow
        "onnx": ONNX,  # for networks exported in that format
        "dev": [
            "build",
            "google-crc32c",
            "hypothesis",
            "ipykernel",  # runs the notebooks of examples/
            "mypy>=1.11,<1.16",
            "modelscope>=1.40",
            "nanotoken>=0.1",  # measured beside ours
            "nbmake",
            *ONNX,
            "opencc==1.1.9",
            "optuna>=3.6",
            "pypinyin",
            "pytest>=8,<9",
            "pytest-cov",
            "pytest-timeout",
            "pytest-xdist",
            "ruff",
            "sklearn-crfsuite",
            "tensorboardX",
            "wandb",
            "websockets>=12",
            "wheel",
        ],
    },
    entry_points={"console_scripts": ["electra-paddle=electra_paddle.cli:main"]},
    classifiers=[
        "License :: OSI Approved :: Apache Software License",
        "Natural Language :: Chinese (Simplified)",
        "Programming Language :: Python :: 3.10",
        "Programming Language :: Python :: 3.11",
        "Programming Language :: Python :: 3.12",
    ],
)

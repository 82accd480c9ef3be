"""What pyproject.toml, which has the metadata and the dependencies, cannot say."""

import pathlib
import re

from setuptools import find_packages, setup

HERE = pathlib.Path(__file__).parent
BROUGHT = {  # what stands beside the package in a clone and inside it in a wheel: files.brought_folder
    f"electra_paddle.{parent}.{folder.name}": f"{parent}/{folder.name}"
    for parent in ("configs", "hub_modules")
    for folder in (HERE / parent).iterdir()
    if folder.is_dir()
}


def without_relative_links(text):
    """Markdown whose links to files of this repository are their texts alone: there are none on a package's page."""
    text = re.sub(r"!\[[^]]*\]\((?!https?:)[^)]*\)\n?", "", text)  # pictures
    return re.sub(r"\[((?:[^][]|\[[^]]*\])*)\]\((?!https?:|#)[^)]*\)", r"\1", text)


setup(
    long_description=without_relative_links((HERE / "README.md").read_text(encoding="utf-8")),
    long_description_content_type="text/markdown",
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
)

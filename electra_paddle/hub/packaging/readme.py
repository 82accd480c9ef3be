"""The README of a module: one template, for modules of one's own and for those of published models."""

from __future__ import annotations

import ast
import json
import shlex
from collections.abc import Sequence
from importlib import resources
from pathlib import Path
from string import Template

from electra_paddle.published_models import repository, shipped_folder

TEXTS = {
    1: ["今天天气很好"],
    2: ["今天天气很好", "明天会下雨"],
    3: ["他出门前带上了雨伞。", "可能要下雨吗？", "会|不会"],
}
OF_TASKS = {  # task -> texts of an item in its README, where they are not one or two texts
    "question-answering": ["哈尔滨是黑龙江省的省会。", "黑龙江省的省会是哪里？"],
    "multiple-choice": ["天阴得厉害，他出门前带上了", "雨伞|冰箱"],
    "pair-multiple-choice": ["他出门前带上了雨伞。", "可能要下雨吗？", "会|不会"],
    "fill-mask": ["哈尔滨是[MASK]龙江的省会"],
}
WITHIN = "The model's code and weights are in this module; nothing is downloaded."
WITHIN_ZH = "代码与权重都在模块里，不需要下载。"
PUBLISHED = """\
The weights are those that the Joint Laboratory of HIT and iFLYTEK Research (HFL) published under the Apache License
2.0. They are fetched from Hugging Face when the module is first made (`HF_ENDPOINT=https://hf-mirror.com` names a
mirror), converted once and kept in huggingface_hub's cache; installing fetches nothing. Without a network give
`pretrained=DIR`, a pretrained directory. With this project's code, `python tools/install_hub_module.py $name`
installs the module by its name, and `make hub-modules` packs the archives in dist/hub_modules/."""
PUBLISHED_ZH = """\
权重由哈工大讯飞联合实验室（HFL）以 Apache 2.0 许可发布，首次构造模块时从 Hugging Face 获取
（`HF_ENDPOINT=https://hf-mirror.com` 指定镜像），转换一次后保存在 huggingface_hub 的缓存里；
安装本身不下载。没有网络时给出 `pretrained=DIR`，即一个预训练目录。有本项目的代码时，
`python tools/install_hub_module.py $name` 按名称安装，`make hub-modules` 在 dist/hub_modules/ 生成归档。"""


def readme(
    name: str,
    summary: str,
    task: str | None = None,
    labels: Sequence[object] | None = None,
    num_texts: int = 1,
    card: str = "",
    is_published: bool = False,
) -> str:
    """The README of a module.

    Args:
        task: that it has unless another is chosen.
        labels: of its classes, where they are known.
        num_texts: texts of an item.
        card: the model's card.
        is_published: whether its weights are fetched.
    """
    texts = OF_TASKS.get(task or "", TEXTS[num_texts])
    values = {
        "name": name,
        "summary": summary,
        "archive": name.replace("-", "_"),
        "task": task or "embedding",
        "labels": ", ".join(map(str, labels)) if labels else "-",
        "items": json.dumps([texts], ensure_ascii=False),
        "texts": " ".join(map(shlex.quote, texts)),
        "line": "\\t".join(texts),
        "weights": Template(PUBLISHED if is_published else WITHIN).substitute(name=name),
        "weights_zh": Template(PUBLISHED_ZH if is_published else WITHIN_ZH).substitute(name=name),
        "card": card,
    }
    template = resources.files("electra_paddle.hub.packaging") / "template" / "README.md.txt"
    return Template(template.read_text(encoding="utf-8")).substitute(values).rstrip() + "\n"


def published_readme(folder: Path) -> str:
    """The README of a folder of hub_modules/, whose module.py says name and summary."""
    tree = ast.parse((folder / "module.py").read_text(encoding="utf-8"))
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call) and ast.unparse(node.func) == "moduleinfo"]
    told = {each.arg: ast.literal_eval(each.value) for each in calls[0].keywords if each.arg in ("name", "summary")}
    shipped = shipped_folder(repository(told["name"]) or "")
    if shipped is not None:
        return readme(told["name"], told["summary"], card=card_of(shipped))
    card = f"[hfl/{told['name']}-discriminator](https://huggingface.co/hfl/{told['name']}-discriminator)"
    return readme(told["name"], told["summary"], card=card, is_published=True)


def card_of(folder: Path) -> str:
    """A model's card, its title left out and its headings one level down."""
    text = (folder / "README.md").read_text(encoding="utf-8")
    return text.partition("\n")[2].replace("\n#", "\n##").strip()

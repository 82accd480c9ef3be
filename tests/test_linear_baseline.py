"""Linear models beside the networks: they learn what can be read off characters, and are scored as tasks are."""

import json

import pytest
from conftest import load_tool

from electra_paddle.errors import ConfigError

NAMES = "张 B-PER\n三 I-PER\n去 O\n{} B-LOC\n{} I-LOC\n了 O\n\n"


def questions(rows):
    """SQuAD's layout of (context, question, answer) triples."""
    paragraphs = [
        {
            "context": context,
            "qas": [
                {"id": str(n), "question": text, "answers": [{"text": answer, "answer_start": context.index(answer)}]}
            ],
        }
        for n, (context, text, answer) in enumerate(rows)
    ]
    return json.dumps({"data": [{"paragraphs": paragraphs}]}, ensure_ascii=False)


def reading(people, towns):
    rows = []
    for person, other, town, place in zip(people, people[1:], towns, towns[1:], strict=False):
        context = f"昨天下了雨，{person}住在{town}，{other}住在{place}，天气很冷。"
        rows.append((context, f"{person}住在哪里？", f"{person}住在{town}"))
    return questions(rows)


FILES = {
    "chnsenticorp": {
        "train.tsv": "label\ttext_a\n" + "1\t房间很好\n0\t房间很差\n" * 6,
        "dev.tsv": "label\ttext_a\n1\t服务很好\n0\t早餐很差\n",
    },
    "lcqmc": {
        "train.tsv": "text_a\ttext_b\tlabel\n" + "天气好吗\t天气好不好\t1\n天气好吗\t谁去北京\t0\n" * 6,
        "dev.tsv": "text_a\ttext_b\tlabel\n你吃了吗\t你吃了没有\t1\n你吃了吗\t书在这里\t0\n",
    },
    "msra_ner": {
        "train.txt": "".join(NAMES.format(*town) for town in ("北京", "上海", "天津") * 4),
        "dev.txt": NAMES.format(*"上海"),
    },
    "cmrc2018": {
        "train.json": reading("甲乙丙丁戊己庚辛", ("北京", "上海", "天津", "重庆", "广州", "杭州", "苏州", "武汉")),
        "dev.json": reading("子丑寅卯", ("西安", "长沙", "南京", "成都")),
    },
}


@pytest.mark.parametrize("task", FILES)
def test_what_characters_say_is_learned_and_scored(tmp_path, task):
    folder = tmp_path / "finetuning_data" / task
    folder.mkdir(parents=True)
    for name, text in FILES[task].items():
        (folder / name).write_text(text, encoding="utf-8")
    scores = load_tool("linear_baseline").baseline(tmp_path, task)
    metrics = {"msra_ner": {"f1"}, "cmrc2018": {"em", "f1"}}.get(task, {"accuracy"})
    assert scores == {"dev": dict.fromkeys(metrics, 100.0)}


def test_suite_says_of_how_many_examples_is_learned(tmp_path):
    folder = tmp_path / "finetuning_data/chnsenticorp"
    folder.mkdir(parents=True)
    (folder / "train.tsv").write_text(
        "label\ttext_a\n0\t服务很好\n1\t早餐很差\n" + "1\t房间很好\n0\t房间很差\n" * 6, encoding="utf-8"
    )
    (folder / "dev.tsv").write_text("label\ttext_a\n1\t很好\n0\t很差\n", encoding="utf-8")
    (tmp_path / "few.yaml").write_text("tasks: [chnsenticorp]\nhparams: {max_train_examples: 2}\n", encoding="utf-8")
    tool = load_tool("linear_baseline")
    ((name, most),) = tool.tasks_of(tmp_path / "few.yaml", None)
    assert tool.baseline(tmp_path, name, most) == {"dev": {"accuracy": 0.0}}  # the first two have the wrong label
    assert tool.baseline(tmp_path, name) == {"dev": {"accuracy": 100.0}}


def test_kind_without_a_baseline_is_refused(tmp_path):
    folder = tmp_path / "finetuning_data" / "scores"
    folder.mkdir(parents=True)
    (folder / "train.tsv").write_text("label\ttext_a\n0.5\t一\n0.7\t二\n", encoding="utf-8")
    (tmp_path / "scores.yaml").write_text("kind: regression\n", encoding="utf-8")
    with pytest.raises(ConfigError, match="kind regression, expected classification or tagging or reading"):
        load_tool("linear_baseline").baseline(tmp_path, str(tmp_path / "scores.yaml"))

"""The page of each task: opened, used and photographed in a real browser that reaches nothing but this computer."""

import csv
import io
import json
import re
import shutil
import subprocess
from types import SimpleNamespace

import pytest
import requests
from browser import chromium, wait_for
from hub.conftest import WORDS
from hub.test_question_answering import write_reader

from electra_paddle.hub.page import PAGE, page_of
from electra_paddle.hub.tasks.registry import BUILT_IN as TASKS

TEXT, OTHER = "".join(WORDS[5:14]), "".join(WORDS[20:24])
TYPED = {
    **dict.fromkeys(("embedding", "seq-cls", "multi-label-cls", "regression", "token-cls"), (TEXT,)),
    **dict.fromkeys(("replaced-token-detection", "text-correction"), (TEXT,)),
    **dict.fromkeys(("pair-cls", "pair-multi-label-cls", "pair-regression", "text-matching"), (TEXT, OTHER)),
    **dict.fromkeys(("similarity", "question-answering"), (TEXT, OTHER)),
    "multiple-choice": [TEXT, f"{OTHER}|{TEXT}"],
    "pair-multiple-choice": [TEXT, OTHER, f"{OTHER}|{TEXT}"],
    "fill-mask": [TEXT + "[MASK]" + OTHER],
}
BOX = "document.querySelectorAll('#fields textarea')[{}]"
SHOWN = "document.getElementById('shown').innerText"
MARKS = "[...document.querySelectorAll('#shown mark')].map(mark => getComputedStyle(mark).backgroundColor)"
PAGE_TEXT = "document.body.innerText"
OUTSIDE = "performance.getEntriesByType('resource').filter(entry => new URL(entry.name).origin !== location.origin)"


def percent(value):
    return f"{100 * value:.1f}%"


def told(answer):
    """Texts that a page shows of an answer."""
    if "edits" in answer:
        return [answer["corrected"]] if answer["edits"] else ["No character looks wrong."]
    if "entities" in answer:
        return [each["text"] for each in answer["entities"]] or ["No entity was found."]
    if "masks" in answer:
        return [part for best in answer["masks"] for each in best for part in (each["token"], percent(each["score"]))]
    if "characters" in answer:
        return []
    if "start" in answer:
        return [answer["text"] or "no answer", percent(answer["score"])]
    if "probabilities" in answer:
        values = answer["probabilities"]
        return [str(answer.get("label", "")), *map(percent, values.values() if isinstance(values, dict) else values)]
    (value,) = list(answer.values())[:1]
    return [json.dumps(value[:1])[1:6] if isinstance(value, list) else f"{round(value, 4):g}"]


def test_every_task_has_a_title_and_examples_for_its_texts():
    page = PAGE.read_text(encoding="utf-8")
    block = page[page.index("const TASKS") : page.index("const COLORS")]
    assert TASKS.keys() == TYPED.keys() == {*re.findall(r'^  "?([a-z-]+)"?: \[\[', block, re.MULTILINE)}


def test_nothing_in_the_values_ends_the_script():
    handler = SimpleNamespace(num_texts=(1,), text_names=("text", "second text"))
    module = SimpleNamespace(handler=handler, summary="</script><b>'\"", task=None, is_trained=True)
    page = page_of(module, "a</script>")
    assert page.count("</script>") == 1
    (values,) = re.findall(r"^const PAGE = (.*);$", page, re.MULTILINE)
    assert json.loads(values)["summary"] == "</script><b>'\"" and json.loads(values)["texts"] == ["text"]


@pytest.fixture(scope="module")
def server(hub, port, tiny_run, tiny_shape, tmp_path_factory):
    """A process with a module for each task; several threads compute, as they do where a user asks for that."""
    folder = tmp_path_factory.mktemp("serving")
    write_reader(folder / "reader", tiny_shape, "independent")
    modules = {task: {"task": task} for task in TASKS}
    modules["question-answering"]["pretrained"] = str(folder / "reader")
    modules["alone"] = {"task": "replaced-token-detection", "pretrained": str(tiny_run / "discriminator")}
    with hub.serving(modules, port, folder, OMP_NUM_THREADS="2") as process:
        yield process


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    rules = "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1, EXCLUDE localhost"
    with chromium(tmp_path_factory.mktemp("profile"), "--window-size=1000,1000", rules) as page:
        yield page


def predict(port, task, texts=None, **options):
    body = {"data": [texts or TYPED[task]], "output": "dict", **options}
    answer = requests.post(f"http://127.0.0.1:{port}/predict/{task}", json=body, timeout=600).json()
    assert answer["status"] == "000"
    return answer["results"][0]


def show(page, address):
    page.open("about:blank")
    page.open(address)
    wait_for(lambda: page.value(BOX.format(0) + " !== undefined"), "the page")


def use(page, address, texts):
    """Open a page, type texts, press the button."""
    show(page, address)
    for number, text in enumerate(texts):
        page.type(BOX.format(number), text)
    page.click("document.getElementById('answer')")


@pytest.mark.slow
@pytest.mark.parametrize("task", TYPED)
def test_answer_can_be_read_in_the_page(server, page, port, task, tmp_path):
    expected = predict(port, task)
    use(page, f"http://127.0.0.1:{port}/gradio/{task}", TYPED[task])
    shown = wait_for(lambda: page.value(SHOWN), "the answer")
    page.photograph(tmp_path / "page.png")
    for text in told(expected):
        assert text in shown
    assert page.value(OUTSIDE + ".length") == 0
    if task == "replaced-token-detection":
        alphas = [float(color.rstrip(")").split(",")[-1]) for color in page.value(MARKS)]
        assert alphas == pytest.approx(expected["probabilities"], abs=0.01)
        most = max(expected["probabilities"])
        assert f"{round(most, 4):g}" in page.value("document.querySelector('#shown td:nth-child(3)').innerText")
        suspects = predict(port, task, candidates=True, threshold=0.1)["suspects"]
        best = [each["candidates"][0] for each in suspects if each["candidates"][0]["score"] >= 0.2]
        labels = [f"→ {each['token']} {each['score']:.2f}" for each in best]
        assert labels
        assert page.value("[...document.querySelectorAll('#shown mark small')].map(each => each.innerText)") == labels
    if task == "question-answering" and expected["text"]:
        assert page.value("document.querySelector('#shown mark').innerText") == expected["text"]
    is_untrained = TASKS[task].is_learned and task != "question-answering"
    assert is_untrained == ("is untrained: its answers mean nothing" in page.value(PAGE_TEXT))


@pytest.mark.slow
def test_page_speaks_chinese_to_a_chinese_browser_and_either_at_a_click(server, port, tmp_path):
    with chromium(tmp_path / "profile", "--accept-lang=zh-CN", "--window-size=500,900") as page:
        show(page, f"http://127.0.0.1:{port}/gradio/fill-mask")
        assert page.value("document.documentElement.lang") == "zh"
        assert "完形填空" in page.value(PAGE_TEXT) and "Fill the mask" not in page.value(PAGE_TEXT)
        assert page.value("document.documentElement.scrollWidth <= window.innerWidth")
        page.click("document.querySelector('#examples button')")
        assert "[MASK]" in page.value(BOX.format(0) + ".value")
        page.click("document.getElementById('language')")
        assert "Fill the mask" in page.value(PAGE_TEXT) and "[MASK]" in page.value(BOX.format(0) + ".value")
        page.click("document.getElementById('clear')")
        page.type(BOX.format(0), TEXT)
        page.click("document.getElementById('mask')")
        assert page.value(BOX.format(0) + ".value") == TEXT + "[MASK]"


@pytest.mark.slow
def test_mistakes_are_told_in_a_person_s_words(server, page, port):
    use(page, f"http://127.0.0.1:{port}/gradio/question-answering", [TEXT])
    wait_for(lambda: 'Please fill in "Question".' in page.value(PAGE_TEXT), "the message")
    use(page, f"http://127.0.0.1:{port}/gradio/fill-mask", [TEXT])
    wait_for(lambda: "Please put at least one [MASK] into the text" in page.value(PAGE_TEXT), "the message")
    use(page, f"http://127.0.0.1:{port}/gradio/multiple-choice", [TEXT, TEXT])  # one choice
    wait_for(lambda: "Please give two choices at least" in page.value(PAGE_TEXT), "the message")
    use(page, f"http://127.0.0.1:{port}/gradio/alone", [TEXT])  # a discriminator without its generator
    wait_for(lambda: "There is no generator at hand" in page.value(PAGE_TEXT), "the answer")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("message", "chinese"),
    [
        ("data[0]: found choices '一', expected two at least", "请至少给出两个选项"),
        ("data[3]: found an empty second text, expected texts with at least one character", "请填写“第二个文本”。"),
        ("data[3]: found 1 text, expected 2", "这里有 1 个文本"),
        ("data[3]: found 3 texts, expected 2 as in the first item", "这里有 3 个文本"),
        ("data[1]: found a text without [MASK] ('好'), expected [MASK] where", "请在文本里放至少一个 [MASK]"),
        ("data: found an answer of 40,000,000 values, expected 33,554,432 at most", "内容太长"),
        ("data: found 5,000 items, expected 4,096 at most; send them in parts", "内容太长"),
        ("Module x is not available.", "请刷新页面"),
        ("The server encountered an internal error and was unable to complete your request.", "服务内部出错"),
        ("something new", "出错了，服务给出的原因（英文）：something new"),
    ],
)
def test_reasons_of_the_service_are_told_in_chinese(chinese_page, message, chinese):
    assert chinese in chinese_page.value(f"reason({json.dumps(message)})")


@pytest.fixture(scope="module")
def chinese_page(server, port, tmp_path_factory):
    with chromium(tmp_path_factory.mktemp("profile"), "--accept-lang=zh-CN") as page:
        show(page, f"http://127.0.0.1:{port}/gradio/fill-mask")
        yield page


@pytest.mark.slow
def test_cut_texts_are_said_and_the_request_can_be_repeated_with_curl(server, page, port):
    texts = ["".join(WORDS[5:45]) * 20]
    use(page, f"http://127.0.0.1:{port}/gradio/seq-cls", texts)
    wait_for(
        lambda: "128 tokens of it were read, its end was left out"
        in page.value("document.getElementById('notes').innerText"),
        "the note",
    )
    if shutil.which("curl") is None:
        pytest.skip("needs curl")
    line = page.value("document.getElementById('curl').textContent")
    output = subprocess.run(["sh", "-c", line + " --silent"], capture_output=True, text=True, check=True).stdout
    assert json.loads(output)["results"] == [predict(port, "seq-cls", texts)]


@pytest.mark.slow
def test_file_is_answered_line_by_line_and_comes_back_as_a_table(server, page, port, tmp_path):
    lines = ["".join(WORDS[5 + number : 9 + number]) + ',"' for number in range(35)]
    (tmp_path / "texts.txt").write_bytes("\r\n".join(lines).encode("gb18030") + b"\n\n")
    show(page, f"http://127.0.0.1:{port}/gradio/seq-cls")
    document = page.send("DOM.getDocument")["root"]["nodeId"]
    node = page.send("DOM.querySelector", nodeId=document, selector="#file")["nodeId"]
    page.send("DOM.setFileInputFiles", files=[str(tmp_path / "texts.txt")], nodeId=node)
    wait_for(lambda: page.value("!document.getElementById('download').hidden"), "the answers")
    table = page.value("document.getElementById('download').table")
    rows = list(csv.DictReader(io.StringIO(table.removeprefix("\ufeff"))))
    assert [row["text"] for row in rows] == lines
    assert [row["label"] for row in rows] == [str(predict(port, "seq-cls", [line])["label"]) for line in lines]


@pytest.mark.slow
def test_page_is_the_same_under_another_name_of_the_computer(server, page, port):
    (expected,) = told(predict(port, "similarity"))
    for host in ("127.0.0.1", "localhost"):
        use(page, f"http://{host}:{port}/gradio/similarity", TYPED["similarity"])
        wait_for(lambda: expected in (page.value(SHOWN) or ""), "the answer")

"""The page of each task: opened, used and photographed in a real browser that reaches nothing but this computer."""

from pathlib import Path
from types import SimpleNamespace

import pytest
import requests
from browser import chromium, wait_for
from hub.conftest import WORDS
from hub.test_question_answering import write_reader

from electra_paddle.hub.tasks.question_answering import ANSWER_COLOR
from electra_paddle.hub.tasks.registry import BUILT_IN as TASKS

TEXT, OTHER = "".join(WORDS[5:14]), "".join(WORDS[20:24])
TYPED = {
    "embedding": [TEXT],
    "seq-cls": [TEXT],
    "pair-cls": [TEXT, OTHER],
    "multi-label-cls": [TEXT],
    "pair-multi-label-cls": [TEXT, OTHER],
    "regression": [TEXT],
    "pair-regression": [TEXT, OTHER],
    "multiple-choice": [TEXT, f"{OTHER}|{TEXT}"],
    "pair-multiple-choice": [TEXT, OTHER, f"{OTHER}|{TEXT}"],
    "text-matching": [TEXT, OTHER],
    "token-cls": [TEXT],
    "similarity": [TEXT, OTHER],
    "question-answering": [TEXT, OTHER],
    "fill-mask": [TEXT + "[MASK]" + OTHER],
    "replaced-token-detection": [TEXT],
    "text-correction": [TEXT],
}
PIECES = "[...document.querySelectorAll('.textspan')]"
SHOWN = {  # task -> JavaScript that is not false once the answer is there
    "embedding": "JSON.parse(document.querySelectorAll('textarea')[2].value)",
    **dict.fromkeys(
        ("similarity", "regression", "pair-regression"), "Number(document.querySelector('input[type=number]').value)"
    ),
    **dict.fromkeys(("multiple-choice", "pair-multiple-choice"), "document.body.innerText.match(/\\d+%/g)"),
    "token-cls": f"{PIECES}.map(piece => piece.innerText.split(/\\s+/))",
    "question-answering": f"{PIECES}.map(piece => [piece.innerText.trim(), getComputedStyle(piece).backgroundColor])",
    "fill-mask": "(rows => rows.length > 5 && rows)([...document.querySelectorAll('tbody tr')]"
    ".map(row => row.innerText.trim().split(/\\s+/)).filter(row => row.length === 4))",
    "replaced-token-detection": f"{PIECES}.map(piece => getComputedStyle(piece).backgroundColor)",
    "text-correction": f"(pieces => pieces.length && pieces)({PIECES}.map(piece => piece.innerText.split(/\\s+/)[0]))",
}
BARS = "document.body.innerText.split('probabilities')[1].match(/[01]\\s+\\d+%/g)"
BOX = "document.querySelectorAll('textarea')[{}]"
BUTTON = "[...document.querySelectorAll('button')].find(button => button.innerText.trim() === 'Answer')"
FONTS = "performance.getEntriesByType('resource').filter(entry => /fonts?\\./.test(new URL(entry.name).host))"


def rgb(color):
    return tuple(bytes.fromhex(color.removeprefix("#")))


def test_every_task_has_a_view():
    assert TASKS.keys() == TYPED.keys() and all(task.components for task in TASKS.values())


def test_answer_is_marked_in_its_context():
    answer = {"text": "b", "score": 0.7, "start": 1, "end": 2}
    view = TASKS["question-answering"].view
    assert view(None, ["abc", "?"], answer) == [
        {"b": 0.7},
        [("a", None), ("b", "answer"), ("c", None)],
    ]
    none = {"text": "", "score": 0.7, "start": 0, "end": 0}
    assert view(None, ["abc", "?"], none) == [{"no answer": 0.7}, [("abc", None)]]


def test_masks_are_filled_with_their_best_tokens():
    answer = [[{"token": "b", "score": 0.75}, {"token": "x", "score": 0.25}], [{"token": "c", "score": 1.0}]]
    filled, rows = TASKS["fill-mask"].view(None, ["a[MASK][MASK]d"], answer)
    assert filled == [("a", None), ("b", "mask 1"), ("c", "mask 2"), ("d", None)]
    assert rows == [["mask 1", "b", 0.75], ["mask 1", "x", 0.25], ["mask 2", "c", 1.0]]


def test_tokens_outside_of_entities_are_not_marked():
    tokenizer = SimpleNamespace(encode_with_offsets=lambda text: ([7, 8], [0, 1], [1, 2]))
    module = SimpleNamespace(text_tokenizer=tokenizer)
    assert TASKS["token-cls"].view(module, ["ab"], (["O", "B-X"],)) == [[("a", None), ("b", "B-X")]]


def test_corrections_are_marked_with_what_stood_there():
    edit = {"start": 1, "original": "b", "suggestion": "x", "score": 0.75}
    answer = {"text": "abc", "corrected": "axc", "edits": [edit]}
    marked, rows = TASKS["text-correction"].view(None, ["abc"], answer)
    assert marked == [("a", None), ("x", "b"), ("c", None)] and rows == [[1, "b", "x", 0.75]]


def test_every_character_has_its_suspicion():
    assert TASKS["replaced-token-detection"].view(None, ["ab"], [0.25, 0.5]) == [[("a", 0.25), ("b", 0.5)]]


@pytest.fixture(scope="module")
def server(hub, port, tiny_shape, tmp_path_factory):
    """A process with a module for each task; several threads compute, as they do where a user asks for that."""
    folder = tmp_path_factory.mktemp("serving")
    write_reader(folder / "reader", tiny_shape, "independent")
    modules = {task: {"task": task} for task in TASKS}
    modules["question-answering"]["pretrained"] = str(folder / "reader")
    with hub.serving(modules, port, folder, OMP_NUM_THREADS="2") as process:
        yield process


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    rules = "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1, EXCLUDE localhost"
    with chromium(tmp_path_factory.mktemp("profile"), "--window-size=1000,1000", rules) as page:
        yield page


def predict(port, task, **options):
    body = {"data": [TYPED[task]], **options}
    answer = requests.post(f"http://127.0.0.1:{port}/predict/{task}", json=body, timeout=600).json()
    assert answer["status"] == "000"
    return answer["results"]


def use(page, address, texts):
    """Open a page, type texts, press the button."""
    page.open(address)
    wait_for(lambda: page.value(BUTTON + " !== undefined"), "the page")
    for number, text in enumerate(texts):
        page.type(BOX.format(number), text)
    page.click(BUTTON)


def photograph(page, path):
    """The colours in a photograph of the page."""
    from PIL import Image

    page.photograph(path)
    with Image.open(path) as image:
        return {color for _, color in image.convert("RGB").getcolors(1 << 24)}


@pytest.mark.slow
@pytest.mark.parametrize("task", TYPED)
def test_answer_can_be_read_in_the_page(server, page, port, task, tmp_path):
    expected = predict(port, task, **({"return_prob": True} if TASKS[task].has_classes else {}))
    use(page, f"http://127.0.0.1:{port}/gradio/{task}", TYPED[task])
    shown = wait_for(lambda: page.value(SHOWN.get(task, BARS)), "the answer")
    colors = photograph(page, tmp_path / "page.png")
    assert not page.value(FONTS + ".length")
    if task == "embedding":
        assert shown == pytest.approx(expected[0][0], abs=1e-6)
    elif task in ("similarity", "regression", "pair-regression"):
        assert shown == round(expected[0], 4)
    elif task in ("multiple-choice", "pair-multiple-choice"):
        percent = [f"{100 * probability:.0f}%" for probability in expected[0]["probabilities"]]
        assert sorted(shown) == sorted(percent)
    elif task == "token-cls":
        assert [piece[:2] for piece in shown] == [[char, str(n)] for char, n in zip(TEXT, expected[0][0], strict=True)]
    elif task == "question-answering":
        marked = [text.split()[0] for text, color in shown if color == f"rgb{rgb(ANSWER_COLOR)}"]
        assert marked == [expected[0]["answer"]] and rgb(ANSWER_COLOR) in colors
        assert f"{100 * expected[0]['score']:.0f}%" in page.value("document.body.innerText")
    elif task == "fill-mask":
        rows = [["mask", "1", each["token"], f"{round(each['score'], 4)}"] for each in expected[0][0]]
        assert shown[-5:] == rows
    elif task == "replaced-token-detection":
        alphas = [float(color.rstrip(")").split(",")[-1]) for color in shown]
        assert alphas == pytest.approx(expected[0], abs=0.01)
    elif task == "text-correction":
        assert "".join(shown) == expected[0]["corrected"]
    else:
        percent = [f"{100 * probability:.0f}%" for probability in expected[1][0]]
        assert sorted(bar.split()[1] for bar in shown) == sorted(percent)
        assert "is untrained: its answers mean nothing" in page.value("document.body.innerText")


@pytest.mark.slow
def test_page_is_the_same_under_another_name_of_the_computer(server, page, port):
    (expected,) = predict(port, "similarity")
    for host in ("127.0.0.1", "localhost"):
        use(page, f"http://{host}:{port}/gradio/similarity", TYPED["similarity"])
        assert wait_for(lambda: page.value(SHOWN["similarity"]), "the answer") == round(expected, 4)


@pytest.mark.slow
def test_mistakes_are_told_in_the_page(server, page, port):
    use(page, f"http://127.0.0.1:{port}/gradio/question-answering", [TEXT])
    message = "data[0]: found an empty question, expected texts with at least one character"
    wait_for(lambda: message in page.value("document.body.innerText"), "the message")


@pytest.mark.slow
def test_pages_end_with_the_server(server, page, port):
    page.open(f"http://127.0.0.1:{port}/gradio/similarity")
    wait_for(lambda: page.value(BUTTON + " !== undefined"), "the page")
    children = Path(f"/proc/{server.pid}/task/{server.pid}/children").read_text().split()
    assert children
    server.terminate()
    wait_for(lambda: not any(Path(f"/proc/{child}").exists() for child in children), "the end of the pages")

"""`hub serving start` in a process of its own, asked over the loopback interface."""

import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import requests
from hub.conftest import WORDS

pytestmark = pytest.mark.slow
SHORT, LONG = "".join(WORDS[5:9]), "".join(WORDS[5:50]) * 2223
TASKS = {
    "embedding": [[SHORT]],
    "seq-cls": [[SHORT]],
    "pair-cls": [[SHORT, SHORT]],
    "multi-label-cls": [[SHORT]],
    "pair-multi-label-cls": [[SHORT, SHORT]],
    "regression": [[SHORT]],
    "pair-regression": [[SHORT, SHORT]],
    "multiple-choice": [[SHORT, f"{SHORT}|{SHORT[:2]}"]],
    "pair-multiple-choice": [[SHORT, SHORT, f"{SHORT}|{SHORT[:2]}"]],
    "text-matching": [[SHORT, SHORT]],
    "token-cls": [[SHORT]],
    "similarity": [[SHORT, SHORT]],
    "question-answering": [[SHORT, SHORT]],
    "fill-mask": [[SHORT + "[MASK]"]],
    "replaced-token-detection": [[SHORT]],
    "text-correction": [[SHORT]],
}


@pytest.fixture(scope="module")
def server(hub, port, tmp_path_factory):
    """A process with a module for each task; they all are the installed one, under names of their own."""
    modules = {task: {"task": task} for task in TASKS}
    with hub.serving(modules, port, tmp_path_factory.mktemp("serving")) as process:
        yield process


@pytest.fixture
def address(server, port):
    return f"http://127.0.0.1:{port}"


def post(address, task, **body):
    response = requests.post(f"{address}/predict/{task}", json=body, timeout=600)
    assert response.status_code == 200
    return response.json()


@pytest.mark.parametrize("task", TASKS)
def test_every_task_answers(address, task):
    answer = post(address, task, data=TASKS[task])
    assert answer["status"] == "000" and len(answer["results"]) == 1


@pytest.mark.parametrize("task", TASKS)
def test_text_of_a_hundred_thousand_characters_is_answered(address, task):
    data = [[LONG + text[len(SHORT) :] if text != SHORT else LONG for text in TASKS[task][0]]]
    answer = post(address, task, data=data, max_seq_len=512)
    assert answer["status"] == "000"
    if task == "replaced-token-detection":
        assert len(answer["results"][0]) == len(LONG) == 100_035


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({"data": SHORT}, "data: found a plain string"),
        ({}, "data: found None"),
        ({"data": [SHORT]}, "data[0]: found a plain string"),
        ({"data": [[]]}, "data[0]: found 0 texts"),
        ({"data": [[1]]}, "data[0]: found a value of type int"),
        ({"data": [[SHORT]], "texts": 1}, "texts: found an unknown key"),
        ({"data": [[SHORT]], "batch_size": "8"}, "batch_size: found '8'"),
    ],
)
def test_wrong_objects_are_told_in_one_sentence(address, body, message):
    answer = post(address, "seq-cls", **body)
    assert answer["status"] == "101" and message in answer["msg"] and "\n" not in answer["msg"]


def test_empty_list_has_an_empty_answer(address):
    assert post(address, "seq-cls", data=[]) == {"status": "000", "msg": "", "results": []}


@pytest.mark.parametrize(("body", "status"), [(b'{"data": [', 400), (b"[1, 2]", 400), (b'"text"', 400)])
def test_what_is_no_json_object_is_a_bad_request(address, body, status):
    headers = {"Content-Type": "application/json"}
    response = requests.post(f"{address}/predict/seq-cls", data=body, headers=headers, timeout=60)
    assert response.status_code == status
    assert post(address, "seq-cls", data=[[SHORT]])["status"] == "000"


def test_unknown_module_is_told(address):
    assert post(address, "nothing", data=[[SHORT]])["status"] == "111"


def resident_megabytes(process):
    """Memory of a process that is not swapped out."""
    (line,) = [line for line in Path(f"/proc/{process.pid}/status").read_text().splitlines() if "VmRSS" in line]
    return int(line.split()[1]) / 1024


def test_many_clients_get_their_own_answers_and_memory_stays(server, address):
    texts = ["".join(WORDS[5 + number : 10 + number]) for number in range(35)]

    def ask(text):
        return post(address, "replaced-token-detection", data=[[text]])["results"]

    alone = {text: ask(text) for text in texts}
    before, end = resident_megabytes(server), time.monotonic() + 60

    def be_a_client(number):
        count = 0
        while time.monotonic() < end:
            text = texts[(number + count) % len(texts)]
            assert ask(text) == alone[text]
            count += 1
        return count

    with ThreadPoolExecutor(64) as pool:
        assert sum(pool.map(be_a_client, range(64))) >= 64
    assert resident_megabytes(server) - before < 50

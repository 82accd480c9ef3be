"""`hub serving start` in a process of its own, asked over the loopback interface."""

import json
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
import requests
from hub.conftest import NAME, WORDS

pytestmark = pytest.mark.slow
SHORT, LONG = "".join(WORDS[5:9]), "".join(WORDS[5:50]) * 2223
TASKS = {
    "embedding": [[SHORT]],
    "seq-cls": [[SHORT]],
    "pair-cls": [[SHORT, SHORT]],
    "text-matching": [[SHORT, SHORT]],
    "token-cls": [[SHORT]],
    "similarity": [[SHORT, SHORT]],
    "fill-mask": [[SHORT + "[MASK]"]],
    "replaced-token-detection": [[SHORT]],
}


@pytest.fixture(scope="module")
def address(hub, tmp_path_factory):
    """Of a server with a module for each task; they all are the installed one, under names of their own."""
    import socket

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    directory = str(hub.home / "modules" / NAME.replace("-", "_"))
    modules = {
        task: {"init_args": {"directory": directory, "task": task}, "predict_args": {"batch_size": 8}} for task in TASKS
    }
    config = tmp_path_factory.mktemp("serving") / "config.json"
    config.write_text(json.dumps({"modules_info": modules, "port": port, "use_multiprocess": False}))
    log = config.with_name("log.txt")
    process = hub.start(log, "serving", "start", "-c", config)
    url = f"http://127.0.0.1:{port}"
    for _ in range(1200):
        try:
            requests.get(url, timeout=10)
            break
        except requests.ConnectionError:
            assert process.poll() is None, log.read_text()
            time.sleep(0.5)
    yield url
    process.terminate()
    process.wait(timeout=60)


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


def test_clients_at_the_same_time_get_their_own_answers(address):
    texts = ["".join(WORDS[5 + number : 10 + number]) for number in range(32)]
    alone = [post(address, "replaced-token-detection", data=[[text]])["results"] for text in texts]
    with ThreadPoolExecutor(32) as pool:
        together = list(
            pool.map(lambda text: post(address, "replaced-token-detection", data=[[text]])["results"], texts * 4)
        )
    assert together == alone * 4

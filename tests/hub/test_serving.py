"""`hub serving start` in a process of its own, asked over the loopback interface."""

import signal
import socket
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import requests
from browser import wait_for
from conftest import ROOT
from hub.conftest import WORDS

pytestmark = pytest.mark.slow
JSON = {"Content-Type": "application/json"}
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
        ({"data": 5}, "data: found a value of type int"),
        ({}, "data: found None"),
        ({"data": [None]}, "data[0]: found None"),
        ({"data": [[]]}, "data[0]: found 0 texts"),
        ({"data": [[1]]}, "data[0]: found a value of type int"),
        ({"data": [[SHORT]], "texts": 1}, "texts: found an unknown key"),
        ({"data": [[SHORT]], "batch_size": "8"}, "batch_size: found '8'"),
        ({"data": [[SHORT]], "return_prob": "perhaps"}, "return_prob: found 'perhaps', expected true or false"),
        ({"data": [[SHORT]], "output": "xml"}, "output: found 'xml', expected 'plain' or 'dict'"),
    ],
)
def test_wrong_objects_are_told_in_one_sentence(address, body, message):
    answer = post(address, "seq-cls", **body)
    assert answer["status"] == "101" and message in answer["msg"] and "\n" not in answer["msg"]


def test_empty_list_has_an_empty_answer(address):
    assert post(address, "similarity", data=[]) == {"status": "000", "msg": "", "results": []}


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


def test_many_clients_get_their_own_answers_and_memory_stays_beside_visitors_who_hang(server, address, port):
    texts = ["".join(WORDS[5 + number : 10 + number]) for number in range(35)]

    def ask(text):
        return post(address, "replaced-token-detection", data=[[text]])["results"]

    alone = {text: ask(text) for text in texts}
    idle = [socket.create_connection(("127.0.0.1", port)) for _ in range(16)]
    for each in idle[8:]:
        each.sendall(b"POST /predict/seq-cls HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{")
    end = time.monotonic() + 60

    def be_a_client(number):
        count = 0
        while time.monotonic() < end:
            text = texts[(number + count) % len(texts)]
            assert ask(text) == alone[text]
            count += 1
        return count

    def upload_for_ever():
        while time.monotonic() < end:
            large = b"x" * (17 << 20)
            assert requests.post(f"{address}/predict/seq-cls", data=large, headers=JSON, timeout=60).status_code == 413
            assert requests.get(f"{address}/gradio/seq-cls/gradio_api/heartbeat/x", timeout=60).status_code == 404
            time.sleep(1)

    with ThreadPoolExecutor(65) as pool:
        uploads = pool.submit(upload_for_ever)
        counts = pool.map(be_a_client, range(64))
        time.sleep(30)  # each thread takes some memory of its own at first, and each upload while it is drained
        before = resident_megabytes(server)
        assert sum(counts) >= 64
        uploads.result()
    for each in idle:
        each.close()
    assert resident_megabytes(server) - before < 50


def test_truths_as_text_are_read_and_notes_come_with_the_answer(address):
    answer = post(address, "seq-cls", data=[[SHORT], [LONG]], return_prob="false", use_gpu="false")
    assert answer["status"] == "000" and answer["results"] in [[each, other] for each in (0, 1) for other in (0, 1)]
    assert "is untrained" in answer["msg"] and "1 of 2 items are longer than max_seq_len 128" in answer["msg"]
    assert post(address, "seq-cls", data=[[SHORT]])["msg"].endswith("is untrained, its answers mean nothing")


def test_bad_items_are_answered_by_none_where_that_is_asked_for(address):
    answer = post(address, "replaced-token-detection", data=[[SHORT], [" "]], on_error="skip")
    assert len(answer["results"][0]) == len(SHORT) and answer["results"][1] is None
    assert "1 of 2 items skipped: data[1]: found an empty text" in answer["msg"]


def test_visitors_who_hang_stop_nobody_else(server, address, port):
    """Silent connections, half a request, an endless stream of the page of before, and an upload."""
    idle = [socket.create_connection(("127.0.0.1", port)) for _ in range(8)]
    for each in idle[4:]:
        each.sendall(b"POST /predict/seq-cls HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{")
    stream = requests.get(f"{address}/gradio/seq-cls/gradio_api/heartbeat/x", timeout=60)
    assert stream.status_code == 404
    upload = requests.post(f"{address}/gradio/seq-cls/gradio_api/upload", data=b"x" * (1 << 20), timeout=60)
    assert upload.status_code == 404
    large = requests.post(f"{address}/predict/seq-cls", json={"data": [["x" * (17 << 20)]]}, timeout=60)
    assert large.status_code == 413 and large.json()["status"] == "101"
    assert post(address, "seq-cls", data=[[SHORT]])["status"] == "000"
    for each in idle:
        each.close()


def test_start_says_who_is_answered(server, hub):
    log = next(Path(part) for part in Path(f"/proc/{server.pid}/cmdline").read_text().split("\0") if "config" in part)
    assert "listens at 0.0.0.0" in (log.parent / "log.txt").read_text()


def children_of(pid):
    """Processes below one, as far as they live."""
    path = Path(f"/proc/{pid}/task/{pid}/children")
    direct = path.read_text().split() if path.exists() else []
    return [each for child in direct for each in (child, *children_of(child))]


@pytest.mark.parametrize(("workers", "number"), [(0, signal.SIGINT), (2, signal.SIGTERM), (2, signal.SIGINT)])
def test_page_works_with_several_workers_and_nothing_outlives_the_server(hub, tmp_path, workers, number):
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with hub.serving({"similarity": {"task": "similarity"}}, port, tmp_path, num_workers=workers) as process:
        address = f"http://127.0.0.1:{port}"
        half = [socket.create_connection(("127.0.0.1", port)) for _ in range(200)]
        for each in half:
            head = "POST /predict/similarity HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
            each.sendall(f"{head}Content-Length: 100\r\n\r\n{{".encode())
        for path in ("/gradio/similarity", "/gradio/similarity/app") * 8:
            assert "<title>" in requests.get(address + path, timeout=60).text
        assert post(address, "similarity", data=[[SHORT, SHORT]])["results"] == [pytest.approx(1, abs=1e-5)]
        below = children_of(process.pid)
        assert len(below) >= workers
        process.send_signal(number)
        process.wait(timeout=60)
        wait_for(lambda: not any(Path(f"/proc/{each}").exists() for each in below), "the end of the workers")
        with pytest.raises(requests.ConnectionError):
            requests.get(address, timeout=5)
        for each in half:
            each.close()


@pytest.fixture(scope="module")
def own(hub, tiny_run, tmp_path_factory):
    """The address of `electra-paddle serve` with a token and small limits."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    log = tmp_path_factory.mktemp("own") / "log.txt"
    command = [sys.executable, "-m", "electra_paddle", "serve", tiny_run, "--task", "replaced-token-detection"]
    options = ["--name", "typos", "--port", port, "--token", "open", "--max-items", 2, "--max-body", "0.1"]
    with open(log, "w") as stream:
        process = subprocess.Popen([*map(str, command + options)], cwd=ROOT, stdout=stream, stderr=stream)
    try:
        address = f"http://127.0.0.1:{port}"
        wait_for(lambda: "page http" in log.read_text() and requests.get(address, timeout=10).ok, "the service")
        yield address
    finally:
        process.terminate()
        assert process.wait(timeout=60) == 0


def test_own_service_answers_those_who_know_its_token_within_its_limits(own):
    url, allowed = f"{own}/predict/typos", {"Authorization": "Bearer open"}
    answer = requests.post(url, json={"data": [[SHORT]]}, headers=allowed, timeout=60).json()
    assert answer["status"] == "000" and len(answer["results"][0]) == len(SHORT)
    for headers in ({}, {"Authorization": "Bearer other"}):
        refused = requests.post(url, json={"data": [[SHORT]]}, headers=headers, timeout=60)
        assert refused.status_code == 401 and "Authorization: Bearer TOKEN" in refused.json()["msg"]
    many = requests.post(url, json={"data": [[SHORT]] * 3}, headers=allowed, timeout=60).json()
    assert many["msg"] == "data: found 3 items, expected 2 at most; send them in parts"
    assert requests.post(url, json={"data": [["x" * 200_000]]}, headers=allowed, timeout=60).status_code == 413
    wrong = requests.post(url, json={"data": [[SHORT, SHORT]]}, headers=allowed, timeout=60).json()
    assert wrong["status"] == "101" and wrong["msg"].startswith("data[0]: found 2 texts")
    assert '"needs_token": true' in requests.get(f"{own}/gradio/typos", timeout=60).text
    assert requests.get(f"{own}/gradio/other", timeout=60).status_code == 404

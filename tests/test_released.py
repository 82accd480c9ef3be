import hashlib
import http.server
import json
import os
import subprocess
import sys
import threading

import pytest
from conftest import ROOT

from electra_paddle.released import COMPONENTS, MODELS, repository

NAME = "chinese-electra-180g-base"
REPOSITORY = f"hfl/{NAME}-discriminator"
VOCABULARY = "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\n我\n爱\n你\n".encode()
WEIGHTS = bytes(range(256)) * (11 * 2**12)  # 11 MB: huggingface_hub writes, and can resume, pieces of 10 MiB

# Runs what it is told in a process of its own, because huggingface_hub reads its environment at import.
CLIENT = """
import hashlib, json, sys
from electra_paddle.errors import DataError
from electra_paddle.released import fetch_file
from electra_paddle.text import Vocabulary

for name, filename in json.loads(sys.argv[1]):
    try:
        if filename == "vocab.txt":
            result = len(Vocabulary.load(name))
        else:
            result = hashlib.sha256(fetch_file(name, filename).read_bytes()).hexdigest()
    except DataError as error:
        result = str(error)
    print(json.dumps(result))
"""


class FakeHub(http.server.ThreadingHTTPServer):
    """The part of huggingface.co that a download uses: text files in place, weights behind a redirection.

    Attributes:
        faults: repository -> what goes wrong there: a status for all answers, or
            "cut" (the next body breaks off), "deaf" (Range has no effect), "short" (bodies lack a byte, and say so),
            "stranger" (answers lack the hub's headers).
        requests: (method, repository, Range) in the order of their coming.
    """

    def __init__(self):
        super().__init__(("127.0.0.1", 0), HubHandler)
        self.url = f"http://127.0.0.1:{self.server_port}"
        self.faults, self.requests = {}, []
        threading.Thread(target=self.serve_forever, args=(0.02,), daemon=True).start()

    def leave(self):
        self.shutdown()
        self.server_close()


class HubHandler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_HEAD(self):
        self.answer(with_body=False)

    def do_GET(self):
        self.answer(with_body=True)

    def answer(self, with_body):
        place, _, filename = self.path.removeprefix("/cdn").partition("/resolve/main/")
        name, requested = place.removeprefix("/"), self.headers["Range"]
        self.server.requests.append((self.command, name, requested))
        fault = self.server.faults.get(name)
        content = {"vocab.txt": VOCABULARY, "model.safetensors": WEIGHTS}.get(filename)
        etag = hashlib.sha1(content or b"").hexdigest()
        if isinstance(fault, int):
            self.send(fault, {"Content-Length": 0})
        elif content is None:
            self.send(404, {"Content-Length": 0, "X-Error-Code": "EntryNotFound"})
        elif fault == "stranger":
            self.send(200, {"Content-Length": 5}, b"login" if with_body else b"")
        elif not with_body:
            self.send_metadata(filename, {"X-Repo-Commit": "c" * 40, "ETag": f'"{etag}"'}, len(content))
        else:
            self.send_content(content, requested, fault, name)

    def send_metadata(self, filename, headers, size):
        if filename == "vocab.txt":
            self.send(200, {"Content-Length": size, **headers})
        else:
            linked = {"Location": f"{self.server.url}/cdn{self.path}", "X-Linked-Size": size}
            self.send(302, {"Content-Length": 0, **linked, "X-Linked-Etag": headers["ETag"], **headers})

    def send_content(self, content, requested, fault, name):
        first = int(requested.removeprefix("bytes=").removesuffix("-")) if requested and fault != "deaf" else 0
        content = content[first : -1 if fault == "short" else None]
        status = 206 if first else 200
        if fault == "cut":
            del self.server.faults[name]
            self.send(status, {"Content-Length": len(content)}, content[: -len(content) // 32])
            self.close_connection = True
        elif first and not content:
            self.send(416, {"Content-Length": 0})
        else:
            self.send(status, {"Content-Length": len(content)}, content)

    def send(self, status, headers, body=b""):
        self.send_response(status)
        for key, value in headers.items():
            self.send_header(key, str(value))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *arguments):
        pass


@pytest.fixture
def hub():
    hub = FakeHub()
    yield hub
    hub.leave()


@pytest.fixture
def client(hub, tmp_path):
    """Function: (name, filename) pairs -> what came of each: number of tokens, sha256 or message."""

    def run(*calls, **environment):
        mine = {key: value for key, value in os.environ.items() if not key.startswith(("HF_", "HUGGINGFACE_"))}
        mine |= {"HF_ENDPOINT": hub.url, "HF_HOME": str(tmp_path / "home"), "NO_PROXY": "*", **environment}
        command = [sys.executable, "-c", CLIENT, json.dumps(calls)]
        result = subprocess.run(command, cwd=ROOT, env=mine, capture_output=True, text=True)
        assert result.returncode == 0, result.stderr
        return [json.loads(line) for line in result.stdout.splitlines()]

    return run


def test_all_22_published_repositories_have_a_name():
    repositories = [model.repository(component) for model in MODELS for component in COMPONENTS]
    assert len(set(repositories)) == 22
    assert {"hfl/chinese-electra-small-ex-generator", "hfl/chinese-legal-electra-large-generator"} < set(repositories)
    for name in repositories:
        assert repository(name) == repository(name.removeprefix("hfl/")) == name


def test_short_name_is_the_discriminator():
    assert repository("chinese-electra-180g-small") == "hfl/chinese-electra-180g-small-discriminator"


@pytest.mark.parametrize("name", ["", "hfl/", "chinese-legal-electra-small-ex", "other/chinese-electra-base"])
def test_other_names_are_unknown(name):
    assert repository(name) is None


def test_vocabulary_is_fetched_once_and_then_needs_no_network(hub, client):
    assert client((NAME, "vocab.txt"), (REPOSITORY, "vocab.txt")) == [8, 8]
    assert [method for method, _, _ in hub.requests] == ["HEAD", "GET"]
    hub.leave()
    assert client((NAME, "vocab.txt")) == [8]
    assert client((NAME, "vocab.txt"), HF_HUB_OFFLINE="1") == [8]


def test_missing_network_is_told_with_a_way_round(hub, client):
    hub.leave()
    expected = f"expected vocab.txt of {REPOSITORY}"
    assert client((NAME, "vocab.txt")) == [
        f"{NAME}: found no connection to {hub.url} (ConnectionError), and nothing in the cache, {expected}; "
        "set HF_ENDPOINT to a mirror, or give the path of a vocab.txt"
    ]
    assert client((NAME, "vocab.txt"), HF_HUB_OFFLINE="1") == [
        f"{NAME}: found HF_HUB_OFFLINE set, and nothing in the cache, {expected}; "
        "unset it once, or give the path of a vocab.txt"
    ]


def test_refusals_are_told_with_what_to_do(hub, client):
    faults = {
        404: "another mirror",
        429: "try later",
        500: "try later",
        "stranger": "not seem to be on huggingface.co)",
    }
    models = [model.name for model in MODELS][: len(faults)]
    hub.faults = {repository(name): fault for name, fault in zip(models, faults, strict=True)}
    *messages, absent = client(*((name, "vocab.txt") for name in models), (REPOSITORY, "absent.txt"))
    for name, (fault, advice), message in zip(models, faults.items(), messages, strict=True):
        assert message.startswith(f"{name}: found ") and advice in message
        assert (f"HTTP {fault} from {hub.url}" in message) == isinstance(fault, int)
    assert absent.startswith(f"{REPOSITORY}: found HTTP 404 from {hub.url}")


def test_download_that_broke_off_goes_on_the_next_time(hub, client):
    hub.faults = {REPOSITORY: "cut"}
    message, size = client((NAME, "vocab.txt"), (NAME, "vocab.txt"))
    assert message.startswith(f"{NAME}: found a download that broke off at {hub.url}") and "start again" in message
    assert size == 8
    hub.faults = {REPOSITORY: "cut"}
    message, digest = client((REPOSITORY, "model.safetensors"), (REPOSITORY, "model.safetensors"))
    assert "broke off" in message
    assert digest == hashlib.sha256(WEIGHTS).hexdigest()
    assert hub.requests[-1] == ("GET", REPOSITORY, f"bytes={10 * 2**20}-")


def test_download_that_cannot_go_on_starts_afresh(hub, client):
    hub.faults = {REPOSITORY: "cut"}
    client((REPOSITORY, "model.safetensors"))
    hub.faults = {REPOSITORY: "deaf"}
    assert client((REPOSITORY, "model.safetensors")) == [hashlib.sha256(WEIGHTS).hexdigest()]


def test_file_of_another_size_than_announced_is_refused(hub, client):
    hub.faults = {REPOSITORY: "short"}
    (message,) = client((NAME, "vocab.txt"))
    assert message.startswith(f"{NAME}: found a download that broke off")
    hub.faults = {}
    assert client((NAME, "vocab.txt")) == [8]

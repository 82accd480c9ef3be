"""A server on the loopback interface that plays the HTTP interfaces of Hugging Face and of ModelScope."""

import hashlib
import http.server
import json
import os
import subprocess
import sys
import threading
import urllib.parse
from pathlib import Path

from conftest import ROOT

COMMIT = "c" * 40


class FakeHub(http.server.ThreadingHTTPServer):
    """What a download uses of huggingface.co, texts in place and large files behind a redirection, and of ModelScope.

    Attributes:
        files: repository -> {file name: content}; `others` for the rest.
        faults: repository -> what goes wrong there: a status for all answers, or
            "cut" (the next body breaks off), "always cut", "deaf" (Range has no effect), "short" (bodies lack a byte,
            and say so), "changed" (another first byte than announced), "stranger" (answers lack the hub's headers).
        requests: (method, repository, Range) in the order of their coming.
    """

    def __init__(self, others=None):
        super().__init__(("127.0.0.1", 0), HubHandler)
        self.files, self.others = {}, others or {}
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
        if self.path.startswith("/api/v1/"):
            self.answer_as_modelscope()
            return
        place, _, file = self.path.removeprefix("/cdn").partition("/resolve/")
        name, filename, requested = place.removeprefix("/"), file.partition("/")[2], self.headers["Range"]
        self.server.requests.append((self.command, name, requested))
        fault = self.server.faults.get(name)
        content = self.server.files.get(name, self.server.others).get(filename)
        if isinstance(fault, int):
            self.send(fault, {"Content-Length": 0})
        elif content is None:
            self.send(404, {"Content-Length": 0, "X-Error-Code": "EntryNotFound", "X-Repo-Commit": COMMIT})
        elif fault == "stranger":
            self.send(200, {"Content-Length": 5}, b"login" if with_body else b"")
        elif not with_body:
            self.send_metadata(filename, content)
        else:
            self.send_content(content, requested, fault, name)

    def answer_as_modelscope(self):
        url = urllib.parse.urlsplit(self.path)
        name = url.path.removeprefix("/api/v1/models/").removesuffix("/repo")
        filename = urllib.parse.parse_qs(url.query).get("FilePath", [""])[0]
        content = self.server.files.get(name, {}).get(filename)
        self.server.requests.append((self.command, name, self.headers["Range"]))
        if content is None:
            self.send(404, {"Content-Length": 0})
        else:
            self.send_content(content, self.headers["Range"], self.server.faults.get(name), name)

    def send_metadata(self, filename, content):
        headers, size = {"X-Repo-Commit": COMMIT}, len(content)
        if filename.endswith((".txt", ".json")):
            self.send(200, {"Content-Length": size, "ETag": f'"{hashlib.sha1(content).hexdigest()}"', **headers})
        else:
            etag = f'"{hashlib.sha256(content).hexdigest()}"'
            linked = {"Location": f"{self.server.url}/cdn{self.path}", "X-Linked-Size": size, "X-Linked-Etag": etag}
            self.send(302, {"Content-Length": 0, "ETag": etag, **linked, **headers})

    def send_content(self, content, requested, fault, name):
        first = int(requested.removeprefix("bytes=").removesuffix("-")) if requested and fault != "deaf" else 0
        content = content[first : -1 if fault == "short" else None]
        content = b"?" + content[1:] if fault == "changed" else content
        status = 206 if first else 200
        if fault in ("cut", "always cut"):
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


def environment(hub, home):
    """Environment variables of a process that uses the hub, with caches in a folder `home`."""
    others = ("HF_", "HUGGINGFACE_", "MODELSCOPE_", "ELECTRA_PADDLE_")
    mine = {key: value for key, value in os.environ.items() if not key.startswith(others)}
    second = {"MODELSCOPE_ENDPOINT": hub.url, "MODELSCOPE_CACHE": str(home / "modelscope")}
    return mine | {"HF_ENDPOINT": hub.url, "HF_HOME": str(home), "NO_PROXY": "*", **second}


def read_files(folder):
    """file name -> content."""
    return {path.name: path.read_bytes() for path in Path(folder).iterdir()}


class Client:
    """Runs a script on calls, each time in a process of its own: huggingface_hub reads its environment at import.

    Args:
        script: it gets the calls as JSON in argv[1] and prints a line of JSON for each.
        home: its HF_HOME.

    Attributes:
        stderr: of the last run.
    """

    def __init__(self, script, hub, home):
        self.script, self.hub, self.home = script, hub, home

    def __call__(self, *calls, **variables):
        impatient = (
            "from electra_paddle import published_models\npublished_models.PAUSE = 0.01\n"  # before it tries again
        )
        command = [sys.executable, "-c", impatient + self.script, json.dumps(calls)]
        mine = environment(self.hub, self.home) | variables
        result = subprocess.run(command, cwd=ROOT, env=mine, capture_output=True, text=True)
        assert result.returncode == 0, result.stderr
        self.stderr = result.stderr
        return [json.loads(line) for line in result.stdout.splitlines()]

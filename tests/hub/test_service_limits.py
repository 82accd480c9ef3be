"""What one visitor of a service can take: time of a connection, items of a request, memory of an answer."""

import contextlib
import socket
import threading

import pytest
from hub.conftest import NAME, WORDS

from electra_paddle.cli import run_command
from electra_paddle.errors import DataError
from electra_paddle.hub import serving
from electra_paddle.hub.loading import load_module
from electra_paddle.hub.module import ElectraModule
from electra_paddle.hub.packaging.module_archive import export_module

TEXT = "".join(WORDS[5:9])


class Tiny(ElectraModule):
    name, summary, directory = NAME, "tiny", "nowhere"


@pytest.fixture
def module(tiny_run):
    """Makes a module as a service has it, with the limits of a service on its answers."""

    def make(task, max_values, **arguments):
        module = Tiny(task, pretrained=tiny_run, **arguments)
        serving.make_app({NAME: module}, max_items=3)
        module.max_values = max_values
        return module.predict_method

    return make


def test_visitor_who_sends_a_byte_now_and_then_cannot_hold_a_connection_for_good(monkeypatch):
    monkeypatch.setattr(serving, "ARRIVAL", 0.5)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = serving.make_server(serving.make_app({}), listener)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        with socket.create_connection(listener.getsockname(), timeout=0.05) as visitor:
            for sent in b"GET / HTTP/1.1\r\nX: " + b"x" * 1000:
                visitor.sendall(bytes([sent]))
                with contextlib.suppress(TimeoutError):
                    visitor.recv(1)  # the end, or what the server says to half a request
                    break
            else:
                pytest.fail("the connection is held")
        server.shutdown()


def test_request_has_a_largest_number_of_items(module):
    answers = module("similarity", 1000)
    assert len(answers([[TEXT, TEXT]] * 3)) == 3
    with pytest.raises(DataError, match="data: found 4 items, expected 3 at most; send them in parts"):
        answers([[TEXT, TEXT]] * 4)


@pytest.mark.parametrize(
    ("task", "item", "size", "options"),
    [
        ("embedding", [TEXT], 6 * 32, {}),  # [CLS], four characters and [SEP]; hidden size
        ("embedding", [TEXT], 32, {"pooling": "mean"}),
        ("token-cls", [TEXT], 6 * 2, {"return_prob": True}),  # classes
        ("fill-mask", ["[MASK]" + TEXT + "[MASK]"], 2 * 7, {"top_k": 7}),
        ("fill-mask", ["[MASK]" + TEXT], len(WORDS), {"top_k": 10**9}),
        ("similarity", [TEXT, TEXT], 1, {}),
    ],
)
@pytest.mark.filterwarnings("ignore:.*untrained")
def test_answer_that_would_take_too_much_memory_is_refused_before_it_is_computed(module, task, item, size, options):
    assert len(module(task, 2 * size)([item, item], **options)) == 2
    message = f"data: found an answer of {3 * size:,} values, expected {2 * size:,} at most; send fewer items at a time"
    with pytest.raises(DataError, match=message):
        module(task, 2 * size)([item] * 3, **options)


def test_python_has_no_such_limits(tiny_run):
    module = Tiny("similarity", pretrained=tiny_run)
    assert module.max_items is module.max_values is None and len(module.predict([[TEXT, TEXT]] * 5)) == 5


def test_installed_module_tells_mistakes_and_cuts_though_its_code_is_a_copy(tiny_run, tmp_path):
    folder = export_module(tiny_run, tmp_path / "chinese_electra_copied")
    client = load_module(str(folder), "similarity").service("copied").test_client()
    wrong = client.post("/predict/copied", json={"data": [1]})
    assert wrong.status_code == 200 and wrong.json["msg"].startswith("data[0]: found a value of type int")
    cut = client.post("/predict/copied", json={"data": [[TEXT * 9, TEXT]], "max_seq_len": 8}).json
    assert cut["status"] == "000" and "1 of 1 items are longer than max_seq_len 8" in cut["msg"]


def test_port_that_is_taken_is_told_in_one_line(tiny_run, capsys):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        assert run_command("serve", [str(tiny_run), "--port", str(port)], "serve") == 2
    told = capsys.readouterr()
    found = f"error: --port: found {port} (address already in use), expected a free one, at an own address"
    assert told.err.strip().splitlines()[-1] == found and "page http" not in told.out


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--port", "70000"], "--port: found 70000, expected a number from 1 to 65535"),
        (["--token", "秘密"], "--token: found spaces or characters beyond ASCII, expected what a header carries"),
        (["--host", "nowhere.invalid"], "a free one, at an own address"),
    ],
)
def test_service_that_nobody_could_reach_is_told_in_one_line(tiny_run, capsys, options, message):
    assert run_command("serve", [str(tiny_run), *options], "serve") == 2
    assert message in capsys.readouterr().err.strip().splitlines()[-1]

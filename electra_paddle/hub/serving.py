"""Modules over HTTP: a service of our own, and what makes PaddleHub's safe.

`hub serving` has one thread, reads from whoever connects for as long as he likes, and hands pages on from processes of
their own, which outlive it. Where it serves a module of this project it answers in threads, each connection with a time
limit and each body with a limit of size, and the pages are its own answers.
"""

from __future__ import annotations

import contextlib
import hmac
import os
import socket
import sys
import threading
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from electra_paddle.errors import ConfigError, ElectraPaddleError, reason
from electra_paddle.hub import command
from electra_paddle.hub.notes import collected
from electra_paddle.hub.page import HEADERS, page_of

if TYPE_CHECKING:
    from flask import Flask, Response
    from werkzeug.serving import BaseWSGIServer

    from electra_paddle.hub.module import ElectraModule

MAX_BODY = 16 << 20  # bytes of a request
MAX_ITEMS = 4096  # of a request
MAX_VALUES = 1 << 25  # numbers, labels and the like in an answer: about a GB of memory
MAX_WAITING = 256  # requests that wait for their turn
PATIENCE = 30  # seconds that a connection may be silent
ARRIVAL = 120  # seconds in which a request has to arrive, for those who are never silent for long
GUNICORN = {  # settings of `hub serving` with several workers
    "timeout": 0,
    "graceful_timeout": 3,
    "worker_exit": lambda server, worker: os._exit(0),  # Paddle takes seconds to end
    "on_exit": lambda server: os._exit(0),
}
LOCAL = ("127.0.0.1", "::1", "localhost")
OK, FAILED, UNKNOWN = "000", "101", "111"  # PaddleHub's status of an answer
OPEN = (
    "NOTE: hub serving listens at 0.0.0.0, to every computer that reaches this one, and asks for no password; "
    "`electra-paddle serve` listens to this computer alone and can ask for a token"
)


def envelope(status: str, message: str, results: Any) -> dict[str, Any]:
    """An answer as PaddleHub gives it."""
    return {"status": status, "msg": message, "results": results}


class Turns:
    """One prediction at a time, as it takes all cores; few wait."""

    def __init__(self, max_waiting: int = MAX_WAITING) -> None:
        self._turn, self._places = threading.Lock(), threading.BoundedSemaphore(max_waiting)

    def __enter__(self) -> None:
        if not self._places.acquire(blocking=False):
            from flask import abort

            abort(503, "too many requests are waiting, try later")
        self._turn.acquire()

    def __exit__(self, *error: object) -> None:
        self._turn.release()
        self._places.release()


def make_app(
    modules: Mapping[str, ElectraModule],
    token: str | None = None,
    max_body: int = MAX_BODY,
    max_items: int = MAX_ITEMS,
) -> Flask:
    """The service `electra-paddle serve`: POST /predict/NAME as PaddleHub has it, and a page at /gradio/NAME and /.

    Args:
        token: what `Authorization: Bearer TOKEN` has to say, where anything is to be said.
        max_body: bytes of a request.
        max_items: items of a request.
    """
    for module in modules.values():
        module.max_items, module.max_values = max_items, MAX_VALUES
    from flask import Flask, abort, request

    app = Flask("electra-paddle")
    app.config["MAX_CONTENT_LENGTH"] = max_body
    turns = Turns()
    add_errors(app)

    def page(name: str) -> Response:
        if name not in modules:
            abort(404, f"found no module {name!r}, expected {' or '.join(modules)}")
        return app.response_class(page_of(modules[name], name, token is not None), headers=HEADERS)

    @app.get("/")
    def first() -> Response:
        return page(next(iter(modules)))

    @app.get("/gradio/<name>")
    def named(name: str) -> Response:
        return page(name)

    @app.post("/predict/<name>")
    def predict(name: str) -> dict[str, Any]:
        if token is not None:
            given = request.headers.get("Authorization", "").removeprefix("Bearer ")
            if not hmac.compare_digest(given.encode(), token.encode()):
                abort(401, "found no such token, expected Authorization: Bearer TOKEN")
        if name not in modules:
            return envelope(UNKNOWN, f"Module {name} is not available.", "")
        body = read_body()
        with turns, collected() as notes:
            try:
                results = modules[name].predict_method(**body)
            except ElectraPaddleError as error:
                return envelope(FAILED, str(error), "")
        return envelope(OK, "; ".join(notes), results)

    return app


def read_body() -> dict[str, Any]:
    """The JSON object of a request; another one ends here, with status 400."""
    from flask import abort, request

    body = request.get_json(silent=True)
    if not isinstance(body, dict):
        expected = 'expected one such as {"data": [["text"]]}, with the header Content-Type: application/json'
        abort(400, f"body: found no JSON object, {expected}")
    return body


def add_errors(app: Flask) -> None:
    """Tell what went wrong on the way to a prediction in the form of its answer."""
    from werkzeug.exceptions import HTTPException

    @app.errorhandler(HTTPException)
    def tell(error: HTTPException) -> tuple[dict[str, Any], int]:
        return envelope(FAILED, error.description or error.name, ""), error.code or 500


def port_number(port: int | str) -> int:
    """A port as a number; PaddleHub's command leaves it as the text that was typed.

    Raises:
        ConfigError: it is none.
    """
    if not (str(port).isdecimal() and 0 < int(port) < 1 << 16):
        raise ConfigError("--port", port, "a number from 1 to 65535")
    return int(port)


def listen(host: str, port: int) -> socket.socket:
    """A socket for `make_server`.

    Raises:
        ConfigError: something else listens at the port, or the address is none of this computer.
    """
    from werkzeug.serving import select_address_family

    listener = socket.socket(select_address_family(host, port))
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError as error:
        listener.close()
        raise ConfigError("--port", f"{port} ({reason(error)})", "a free one, at an own address") from error
    listener.listen(128)
    return listener


def make_server(app: Flask, listener: socket.socket) -> BaseWSGIServer:
    """A server that answers at a socket, in a thread for each connection, of which nobody can hold one for good."""
    from werkzeug import serving

    class Handler(serving.WSGIRequestHandler):
        timeout = PATIENCE
        protocol_version = "HTTP/1.1"

        def handle_one_request(self) -> None:
            arrival = threading.Timer(ARRIVAL, stop_reading, [self.connection])
            arrival.daemon = True
            arrival.start()
            try:
                super().handle_one_request()
            finally:
                arrival.cancel()

        def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
            if str(code)[:1] in "45":
                super().log_request(code, size)

    host, port = listener.getsockname()[:2]
    return serving.make_server(host, port, app, threaded=True, request_handler=Handler, fd=listener.fileno())


def stop_reading(connection: socket.socket) -> None:
    """Let whoever reads from a connection find its end; what is written still arrives."""
    with contextlib.suppress(OSError):  # it is closed
        connection.shutdown(socket.SHUT_RD)


def worker_class() -> type:
    """The class of gunicorn's workers: the server above. Gunicorn's own threads wait for slow visitors without end."""
    from gunicorn.workers.base import Worker

    class ElectraWorker(Worker):
        def run(self) -> None:
            server = make_server(self.wsgi, self.sockets[0].sock)
            threading.Thread(target=server.serve_forever, daemon=True).start()
            while self.alive and os.getppid() == self.ppid:
                self.notify()
                time.sleep(0.2)

    return ElectraWorker


class Served:
    """A module's page and its answers on this computer.

    Args:
        module: an ElectraModule.
    """

    def __init__(self, module: ElectraModule) -> None:
        self._module = module

    def launch(self, server_port: int = 7860, server_name: str = "127.0.0.1") -> None:
        """Serve them until the process ends."""
        app = make_app({self._module.name: self._module})
        with listen(server_name, server_port) as listener:
            print(f"http://{server_name}:{server_port}/", flush=True)
            make_server(app, listener).serve_forever()


def protect_hub_serving(module: ElectraModule) -> None:
    """Make the service safe that is about to start in this process; nothing where it is none of `hub serving`.

    Args:
        module: one that it will serve.
    """
    if not command.is_hub("serving", "start"):
        return
    module.max_items, module.max_values = MAX_ITEMS, MAX_VALUES
    from paddlehub.serving import app_compat, http_server

    if hasattr(app_compat, "is_protected"):  # by another module, perhaps with another copy of this package
        return
    app_compat.is_protected = True
    turns, create_app, predict = Turns(), app_compat.create_app, app_compat.predict_v2
    load_config = http_server.StandaloneApplication.load_config

    def predict_in_turn(module_info: dict[str, Any], body: dict[str, Any]) -> Any:
        with turns, collected() as notes:
            answer = predict(module_info, body)
        if answer["status"] == OK and notes:
            answer["msg"] = "; ".join(notes)
        return answer

    def create_protected_app(*arguments: Any, **named: Any) -> Flask:
        app = create_app(*arguments, **named)
        app.config["MAX_CONTENT_LENGTH"] = MAX_BODY
        app.before_request(own_answer)
        add_errors(app)

        @command.ends_serving_in_one_line
        def run(host: str, port: int | str, **_: Any) -> None:
            with listen(host, port_number(port)) as listener:
                make_server(app, listener).serve_forever()
            os._exit(0)  # Paddle takes seconds to end

        app.run = run
        print(OPEN, file=sys.stderr, flush=True)
        return app

    def load_protected_config(application: Any) -> None:
        load_config(application)
        for name, value in {**GUNICORN, "worker_class": worker_class()}.items():
            application.cfg.set(name, value)

    app_compat.predict_v2, app_compat.create_app = predict_in_turn, create_protected_app
    http_server.StandaloneApplication.load_config = load_protected_config


def own_answer() -> Any:
    """The answer to a request of `hub serving` that PaddleHub shall not give: for a page of a module of this project,
    or without a JSON object for one; None for other requests.
    """
    from flask import abort, current_app, request
    from paddlehub.serving.app_compat import v2_module_info

    _, first, name, *rest = [*request.path.split("/"), "", ""]
    if first not in ("gradio", "predict") or name not in v2_module_info.modules:
        return None
    module = v2_module_info.get_module_info(name)["module"]
    if not hasattr(module, "page"):
        return None
    if first == "predict":
        read_body()
        return None
    if request.method != "GET" or [part for part in rest if part] not in ([], ["app"]):
        abort(404)
    return current_app.response_class(module.page(name), headers=HEADERS)

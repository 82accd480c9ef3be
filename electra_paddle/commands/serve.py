"""A model over HTTP, with a page for the browser."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace

DESCRIPTION = "Answer over HTTP: POST /predict/NAME as `hub serving` has it, and a page for the browser at /."
TOKEN = "ELECTRA_PADDLE_TOKEN"  # environment variable


def add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument(
        "model",
        metavar="MODEL",
        help="a fine-tuned or pretrained directory, a run's folder, a published name, or an installed PaddleHub module",
    )
    parser.add_argument("--task", help="what to do [what it was fine-tuned for, else embedding]")
    parser.add_argument("--name", help="in the address /predict/NAME [MODEL's]")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen at; 0.0.0.0: all [127.0.0.1]")
    parser.add_argument("--port", type=int, default=8866, help="[8866]")
    parser.add_argument(
        "--token", help=f"requests have to say `Authorization: Bearer TOKEN` [the environment variable {TOKEN}]"
    )
    parser.add_argument("--max-body", type=float, default=16, metavar="MB", help="size of a request [16]")
    parser.add_argument("--max-items", type=int, default=4096, metavar="N", help="items of a request [4096]")


def run(arguments: Namespace) -> None:
    import re
    import signal
    import sys

    from electra_paddle.errors import ConfigError
    from electra_paddle.hub.loading import load_module
    from electra_paddle.hub.serving import LOCAL, listen, make_server, port_number

    if arguments.max_body <= 0 or arguments.max_items < 1:
        raise ConfigError("--max-body, --max-items", f"{arguments.max_body}, {arguments.max_items}", "more than 0")
    port = port_number(arguments.port)
    token = arguments.token or os.environ.get(TOKEN) or None
    if token is not None and not re.fullmatch("[!-~]+", token):
        raise ConfigError("--token", "spaces or characters beyond ASCII", "what a header carries: letters and digits")
    module = load_module(arguments.model, arguments.task)
    name = arguments.name or module.name
    if not hasattr(module, "service"):
        advice = f"hub serving start -m {arguments.model}"
        raise ConfigError("MODEL", f"the module {name}, of another kind or older", "one of this version", advice)
    app = module.service(name, token, int(arguments.max_body * (1 << 20)), arguments.max_items)
    listener = listen(arguments.host, port)
    address = f"http://{arguments.host}:{port}"
    print(f"{name}: {module.task or 'embedding'}; page {address}/, answers POST {address}/predict/{name}", flush=True)
    if arguments.host not in LOCAL and token is None:
        print("NOTE: every computer that reaches this one is answered; --token asks for a password", file=sys.stderr)
    for number in (signal.SIGTERM, signal.SIGINT):  # at once: nothing is half-written, and Paddle takes long to end
        signal.signal(number, lambda *_: os._exit(0))
    make_server(app, listener).serve_forever()

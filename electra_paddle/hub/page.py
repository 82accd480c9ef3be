"""A page for the browser, made with Gradio: `hub serving` shows it at /gradio/NAME."""

from __future__ import annotations

import multiprocessing
import os
import threading
import time
import traceback
from collections.abc import Callable, Sequence
from multiprocessing.connection import Connection
from typing import TYPE_CHECKING, Any

from electra_paddle.errors import ElectraPaddleError

if TYPE_CHECKING:
    from electra_paddle.hub.module import ElectraModule

UNTRAINED = "**The head of this task is untrained: its answers mean nothing.**"


class Page:
    """The object that PaddleHub takes for a Gradio application.

    It forks a process for it, calls `launch` there, and hands on to it what is asked for below /gradio/NAME. The
    network stays where it was made, since neither threads of OpenMP nor what is on a GPU survive a fork: a thread
    there answers, and the new process asks it through a pipe.

    Args:
        module: an ElectraModule.
        root: path of /gradio/NAME, None where no request asks for the page.
    """

    def __init__(self, module: ElectraModule, root: str | None = None) -> None:
        self._pipe, end = multiprocessing.Pipe()
        self._lock = threading.Lock()
        threading.Thread(target=answer_all, args=(module, end), daemon=True).start()
        self.blocks, self.root = lay_out(module, self.ask), root

    def ask(self, texts: Sequence[str]) -> Any:
        """The values of the output components for the texts of an item.

        Raises:
            gradio.Error: shown in the page.
        """
        with self._lock:
            self._pipe.send(texts)
            values, message = self._pipe.recv()
        if message is not None:
            import gradio as gr

            error = gr.Error(message)
            error.print_exception = False  # it is no fault of the program
            raise error
        return values if len(values) > 1 else values[0]

    def launch(self, server_port: int | None = None) -> None:
        """Serve the page until the process that this one was started from ends."""
        from gradio import route_utils

        if self.root is not None:
            # PaddleHub does not tell under which host name it was asked. A path is the same under all of them.
            root = self.root
            route_utils.get_root_url = lambda *arguments, **named: root
        server = os.getppid()
        self.blocks.launch(server_port=server_port, prevent_thread_lock=True, quiet=True, show_api=False)
        while os.getppid() == server:
            time.sleep(1)


def root_of_request() -> str | None:
    """The path /gradio/NAME of the page that a request asks `hub serving` for; None outside of a request."""
    from flask import has_request_context, request

    if not has_request_context() or request.view_args is None:
        return None
    return f"/gradio/{request.view_args['module_name']}"


def answer_all(module: ElectraModule, pipe: Connection) -> None:
    """Answer to the texts that come through a pipe, one item after the other: (values, None) or (None, message)."""
    while True:
        texts = pipe.recv()
        reply: tuple[list[Any] | None, str | None]
        try:
            reply = module.handler.view(module, texts, answer_to(module, texts)), None
        except ElectraPaddleError as error:
            reply = None, str(error)
        except Exception as error:  # the page goes on, as `hub serving` does
            traceback.print_exc()
            reply = None, str(error)
        pipe.send(reply)


def answer_to(module: ElectraModule, texts: Sequence[str]) -> Any:
    """The module's prediction for an item, in sequences as long as in fine-tuning if that is known."""
    has_classes = module.handler.has_classes
    answers = module.predict([texts], return_prob=has_classes)
    return [part[0] for part in answers] if has_classes else answers[0]


def lay_out(module: ElectraModule, ask: Callable[[list[str]], Any]) -> Any:
    """The gradio.Blocks of a module's page.

    Args:
        ask: function from the texts of an item to the values of the output components.
    """
    import gradio as gr
    from gradio.themes.utils.fonts import Font

    name = module.task or "embedding"
    is_optional = len(module.handler.num_texts) > 1  # the last text

    def press(*texts: str) -> Any:
        return ask(list(texts[:-1] if is_optional and not texts[-1] else texts))

    # other fonts come from the network
    theme = gr.themes.Default(font=[Font("system-ui")], font_mono=[Font("monospace")])
    with gr.Blocks(title=module.name, theme=theme, analytics_enabled=False) as blocks:
        gr.Markdown(f"# {module.name}\n\n{module.summary}\n\nTask: {name}")
        if not module.is_trained:
            gr.Markdown(UNTRAINED)
        labels = list(module.handler.text_names[: max(module.handler.num_texts)])
        labels[-1] += " (may stay empty)" if is_optional else ""
        boxes = [gr.Textbox(label=label, lines=3) for label in labels]
        button = gr.Button("Answer", variant="primary")
        outputs = [getattr(gr, kind)(**arguments) for kind, arguments in module.handler.components]
        # Without a queue an answer is one response: PaddleHub does not hand on a stream before it ends.
        button.click(press, boxes, outputs, queue=False)
    return blocks

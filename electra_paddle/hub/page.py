"""The page of a module for the browser: one file that needs no other, and asks the service for answers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from electra_paddle.hub.module import ElectraModule

PAGE = Path(__file__).with_name("page.html")
PLACE = "/*PAGE*/{}"  # in it, where the values are put
HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-store",
}


def page_of(module: ElectraModule, name: str, needs_token: bool = False) -> str:
    """The page as HTML.

    Args:
        name: under which the service knows the module; POST /predict/NAME answers.
        needs_token: whether the service asks for one.
    """
    handler = module.handler
    values = {
        "name": name,
        "summary": module.summary,
        "task": module.task or "embedding",
        "texts": handler.text_names[: max(handler.num_texts)],
        "is_optional": len(handler.num_texts) > 1,  # the last text
        "is_trained": module.is_trained,
        "needs_token": needs_token,
        "address": f"/predict/{name}",
    }
    text = json.dumps(values, ensure_ascii=False).replace("<", "\\u003c")  # nothing ends the script early
    return PAGE.read_text(encoding="utf-8").replace(PLACE, text)

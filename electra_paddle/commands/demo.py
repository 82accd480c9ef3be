"""What this package does, in a few minutes, without a network."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace

DESCRIPTION = (
    "See chinese-electra-nano, which comes with this package, find and correct wrong characters, fill a mask, learn to "
    "judge reviews beside the same network from random weights and a linear model, and become a PaddleHub module. "
    "Writes a report in HTML."
)


def add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument(
        "--run-dir",
        type=Path,
        default=Path("electra-demo"),
        help="where everything is written; cleared first if an earlier demo made it [electra-demo]",
    )
    parser.add_argument("--epochs", type=float, default=4, help="of fine-tuning [4]")
    parser.add_argument("--no-browser", action="store_true", help="do not open the report")


def run(arguments: Namespace) -> None:
    import os
    import sys
    import webbrowser

    from electra_paddle.demo.steps import Demo
    from electra_paddle.errors import ConfigError

    if not arguments.epochs > 0:
        raise ConfigError("--epochs", arguments.epochs, "a number above 0")
    report = Demo(arguments.run_dir, arguments.epochs).run()
    has_display = sys.platform in ("darwin", "win32") or "DISPLAY" in os.environ or "WAYLAND_DISPLAY" in os.environ
    if not arguments.no_browser and has_display and sys.stdout.isatty():
        webbrowser.open(report.as_uri())

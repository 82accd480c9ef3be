"""What is right and wrong with this installation and this machine."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace

DESCRIPTION = (
    "Look at packages, processor, GPUs, memory, hub and folders; status 1, and what to do, if something is wrong."
)


def add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def run(arguments: Namespace) -> None:
    import json

    from electra_paddle import __version__
    from electra_paddle.diagnosis.doctor import examine
    from electra_paddle.diagnosis.findings import worst

    findings = []
    for finding in examine():
        findings.append(finding)
        if not arguments.json:
            print(finding, flush=True)
    state = worst(findings)
    if arguments.json:
        lines = [finding._asdict() for finding in findings]
        print(json.dumps({"version": __version__, "state": state, "findings": lines}, ensure_ascii=False))
    if state == "wrong":
        raise SystemExit(1)

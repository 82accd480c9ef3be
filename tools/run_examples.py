"""Run the examples of a page of the manual, or of README, in the current folder.

Blocks of bash and Python run in their order, all of Python's in this process. A block that begins with `# NAME.EXT` is
written to that file instead. A comment above a block says what else holds:

    <!-- no-run: WHY -->    it is not run
    <!-- slow -->           it is left out with --fast
    <!-- output -->         of a block of text: what the block of Python before it printed; --refresh writes it anew

    python tools/run_examples.py README.md --refresh
"""

import argparse
import difflib
import re
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple

BLOCK = re.compile(r"(?:^<!-- ([^\n]*) -->\n)?^```(\w*)[^\n]*\n(.*?)^```$", re.MULTILINE | re.DOTALL)
FILE = re.compile(r"# ([\w.-]+\.(?:py|yaml))\b")


class Block(NamedTuple):
    """A fenced block.

    Attributes:
        mark: the comment above it, or "".
        start, end: where its code lies in the page.
    """

    mark: str
    language: str
    code: str
    start: int
    end: int

    @property
    def is_run(self) -> bool:
        return self.language in ("bash", "python") and not self.mark.startswith("no-run")

    @property
    def file(self) -> str | None:
        """The name of the file whose contents it shows."""
        found = FILE.match(self.code)
        return found[1] if found and self.language in ("python", "yaml") else None


def blocks_of(text: str) -> list[Block]:
    """All fenced blocks of a page."""
    return [Block(found[1] or "", found[2], found[3], *found.span(3)) for found in BLOCK.finditer(text)]


def run(text: str, is_fast: bool) -> dict[int, str]:
    """Run a page's blocks.

    Returns:
        Number of a block of outputs -> what stands there now, for those whose Python was run.

    Raises:
        SystemExit: a command failed.
    """
    sys.path.insert(0, str(Path.cwd()))
    printed: list[str] = []
    names = {"__name__": "__main__", "print": lambda *values, **how: keep(printed, values, how)}
    outputs, shown = {}, None
    for number, block in enumerate(blocks_of(text)):
        if block.file:
            Path(block.file).write_text(block.code, encoding="utf-8")
        elif block.mark == "output":
            if shown is not None:
                outputs[number] = shown
        elif block.is_run and not (is_fast and block.mark == "slow"):
            print(block.code, flush=True)
            printed.clear()
            if block.language == "bash":
                run_bash(block.code)
            else:
                exec(compile(block.code, f"<block {number}>", "exec"), names)
            shown = "".join(printed)
        else:
            shown = None
    return outputs


def run_bash(code: str) -> None:
    status = subprocess.run(["bash", "-euo", "pipefail", "-c", code]).returncode
    if status:
        sys.exit(f"error: found exit status {status}, expected 0:\n{code}")


def keep(printed: list[str], values: tuple[Any, ...], how: dict[str, Any]) -> None:
    """`print` of the examples: shown, and kept without what libraries print."""
    print(*values, **how)
    printed.append(how.get("sep", " ").join(map(str, values)) + how.get("end", "\n"))


def replace_outputs(text: str, outputs: dict[int, str]) -> str:
    blocks = blocks_of(text)
    for number in sorted(outputs, reverse=True):
        text = text[: blocks[number].start] + outputs[number] + text[blocks[number].end :]
    return text


def without_digits(text: str) -> str:
    """A text whose numbers may be others: they depend on the processor."""
    return re.sub(r"\d+(\.\d+)?", "0", text)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0], allow_abbrev=False)
    parser.add_argument("page", type=Path, help="README.md, or a page of docs/")
    parser.add_argument("--fast", action="store_true", help="leave out what is marked as slow")
    parser.add_argument("--refresh", action="store_true", help="write the outputs into the page, in both languages")
    arguments = parser.parse_args()
    page = arguments.page.resolve()
    text = page.read_text(encoding="utf-8")
    outputs = run(text, arguments.fast)
    fresh = replace_outputs(text, outputs)
    if arguments.refresh:
        for path in (page, *(path for path in others(page) if path.exists())):
            path.write_text(replace_outputs(path.read_text(encoding="utf-8"), outputs), encoding="utf-8")
    elif without_digits(fresh) != without_digits(text):
        found = "\n".join(difflib.unified_diff(text.splitlines(), fresh.splitlines(), "page", "printed now", n=1))
        print(f"error: {page}: found other outputs, mend with --refresh:\n{found}", file=sys.stderr)
        return 1
    return 0


def others(page: Path) -> list[Path]:
    """The page in Chinese, in docs/ or beside README."""
    return [page.with_name(f"{page.stem}{ending}.md") for ending in (".zh", "_zh")]


if __name__ == "__main__":
    sys.exit(main())

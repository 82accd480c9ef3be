"""Text files to documents: one sentence or paragraph a line, a blank line between documents."""

import re
from pathlib import Path

from electra_paddle.errors import DataError

SENTENCE_END = re.compile(r"(?<=[。！？；!?…])[”’」』）》]*(?=[^”’」』）》。！？；!?…])")


def corpus_files(path):
    """The .txt files of a corpus in a fixed order: the file itself, or all below a folder.

    Raises:
        DataError: nothing there, or nothing in it.
    """
    path = Path(path)
    if not path.exists():
        raise DataError(path, "no such file or folder", "a .txt file, or a folder of them")
    files = sorted(path.rglob("*.txt")) if path.is_dir() else [path]
    if not files:
        raise DataError(path, "no .txt file", "at least one")
    if not any(file.stat().st_size for file in files):
        raise DataError(path, "no text", "one sentence or paragraph a line, blank lines between documents")
    return files


def split_sentences(line):
    """Cut a paragraph after 。！？； and the quotes that close there; nothing is lost.

    >>> split_sentences("他说：“好。”然后走了！真的？")
    ['他说：“好。”', '然后走了！', '真的？']
    """
    cuts = [0, *(match.end() for match in SENTENCE_END.finditer(line)), len(line)]
    return [line[start:end] for start, end in zip(cuts, cuts[1:]) if start < end]


def read_documents(files, sentences=False, on_bytes=lambda count: None):
    """Yield each document as a list of its lines; a document ends at a blank line and at the end of its file.

    Args:
        sentences: cut each line into sentences.
        on_bytes: called with the number of bytes read since the last call.

    Raises:
        DataError: a line that is not UTF-8.
    """
    for file in files:
        lines = []
        with open(file, "rb") as stream:
            for number, raw in enumerate(stream, 1):
                on_bytes(len(raw))
                try:
                    line = raw.decode("utf-8").strip()
                except UnicodeDecodeError as error:
                    raise DataError(
                        f"{file}:{number}", f"invalid UTF-8 at byte {error.start} of the line", "UTF-8 text"
                    ) from error
                if line:
                    lines.extend(split_sentences(line) if sentences else [line])
                elif lines:
                    yield lines
                    lines = []
        if lines:
            yield lines

"""What MkDocs changes in a page: links that lead from one language to the other on a repository's page.

There a Chinese page links to `page.zh.md`, and each page to the same one in the other language. On the site both
languages have the name `page.md`, and the menu changes the language.
"""

import re
from typing import Any

OTHER_LANGUAGE = re.compile(r"^\[(?:中文|English)\]\([a-z-]+(?:\.zh)?\.md\)\n\n", re.MULTILINE)
CHINESE_FILE = re.compile(r"(\]\([a-z-]+)\.zh\.(md|png)")


def on_page_markdown(markdown: str, **_: Any) -> str:
    return CHINESE_FILE.sub(r"\1.\2", OTHER_LANGUAGE.sub("", markdown, count=1))

"""The manual's pages: equal in both languages, links that lead somewhere, generated parts as generated."""

import re

import pytest
from conftest import ROOT, load_tool

import electra_paddle

PAGES = sorted(path for path in (ROOT / "docs").glob("*.md") if not path.name.endswith(".zh.md"))
PAIRS = [(ROOT / "README.md", ROOT / "README_zh.md"), *((page, page.with_suffix(".zh.md")) for page in PAGES)]
BOTH = [path for pair in PAIRS for path in pair]
FENCED = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)
COMMENT = re.compile(r"(?:^|(?<=\s))#\s.*$", re.MULTILINE)
HEADING = re.compile(r"^(#+) (.*)$", re.MULTILINE)
LINK = re.compile(r"\]\(([^)\s]+)\)")

examples = load_tool("run_examples")
reference = load_tool("make_reference")


def text_of(path):
    return path.read_text(encoding="utf-8")


def without_code(text):
    return FENCED.sub("", text)


def anchors(path):
    """The anchors of a page's headings, as repositories' pages and the site make them."""
    titles = [title for _, title in HEADING.findall(without_code(text_of(path)))]
    plain = [re.sub(r"[`*]|\[|\]\([^)]*\)", "", title).lower() for title in titles]
    return {re.sub(r"\s", "-", re.sub(r"[^\w\s-]", "", title)) for title in plain}


def code_of(path):
    """Mark, language and code of each block, without comments and the spaces before them."""
    blocks = examples.blocks_of(text_of(path))
    lines = [[line.rstrip() for line in COMMENT.sub("", block.code).splitlines()] for block in blocks]
    return [(block.mark, block.language, rows) for block, rows in zip(blocks, lines, strict=True)]


def test_each_page_is_there_in_both_languages():
    found = {path.name for path in (ROOT / "docs").glob("*.md")}
    assert found == {path.name for path in BOTH} - {"README.md", "README_zh.md"} and len(PAGES) > 20


@pytest.mark.parametrize("english, chinese", PAIRS, ids=[english.stem for english, _ in PAIRS])
def test_both_languages_have_the_same_headings_and_code(english, chinese):
    levels = [[level for level, _ in HEADING.findall(without_code(text_of(path)))] for path in (english, chinese)]
    assert levels[0] == levels[1] and levels[0][0] == "#"
    assert code_of(english) == code_of(chinese)
    tables = [len(re.findall(r"^\|", without_code(text_of(path)), re.MULTILINE)) for path in (english, chinese)]
    assert tables[0] == tables[1]


CARD = "electra_paddle/pretrained/chinese_electra_nano/README.md"
IN_BOTH_LANGUAGES = ("CONTRIBUTING.md", "CHANGELOG.md", "SECURITY.md", CARD)  # one file each


@pytest.mark.parametrize("page", BOTH, ids=[page.name for page in BOTH])
def test_links_lead_to_pages_and_headings_that_are_there(page):
    for link in LINK.findall(without_code(text_of(page))):
        if link.startswith(("http://", "https://")):
            continue
        name, _, anchor = link.partition("#")
        target = page.parent / name if name else page
        assert target.exists(), link
        assert not anchor or anchor in anchors(target), link


@pytest.mark.parametrize("english, chinese", PAIRS, ids=[english.stem for english, _ in PAIRS])
def test_a_page_links_to_pages_of_its_own_language_and_once_to_the_other(english, chinese):
    for page, other, own in ((english, chinese, False), (chinese, english, True)):
        links = [link.partition("#")[0] for link in LINK.findall(without_code(text_of(page)))]
        links = [link for link in links if link.endswith(".md") and link not in IN_BOTH_LANGUAGES]
        assert links.count(other.name) == 1
        assert all(link.endswith(".zh.md") == own for link in links if link != other.name)


@pytest.mark.parametrize("name", ["api.md", "api.zh.md"])
def test_api_s_page_names_all_that_is_public(name):
    shown = {line.rpartition(".")[2] for line in text_of(ROOT / "docs" / name).splitlines() if line.startswith(":::")}
    entries = {"FinetuningConfig", "PretrainingConfig", "TaskDescription"}  # which have pages of their own
    assert set(electra_paddle.__all__) - shown == {"__version__"} | entries


@pytest.mark.parametrize("name", ["README.md", "README_zh.md"])
def test_readme_is_a_front_door(name):
    lines = text_of(ROOT / name).splitlines()
    assert len(lines) <= 150 and "make demo" in "\n".join(lines[:20])


def test_generated_pages_are_those_that_the_script_writes():
    for name, text in reference.pages().items():
        assert text_of(ROOT / name) == text, f"{name}: mend with python tools/make_reference.py"


def test_a_sentence_without_chinese_is_named(monkeypatch):
    sentences = reference.read_sentences()
    del sentences["No options."]
    monkeypatch.setattr(reference, "read_sentences", lambda: sentences)
    with pytest.raises(SystemExit, match="found no Chinese for these sentences:\nNo options.$"):
        reference.pages()


def test_each_page_is_in_the_site_s_menu_and_in_the_list_of_pages():
    menu = text_of(ROOT / "mkdocs.yml")
    for page in PAGES:
        assert f"- {page.name}\n" in menu
        assert page.stem == "index" or f"]({page.name})" in text_of(ROOT / "docs/index.md")


@pytest.mark.parametrize("page", [chinese for _, chinese in PAIRS], ids=lambda page: page.name)
def test_chinese_sentences_are_whole_lines(page):
    """A page shows the end of a line as a space, which Chinese does not have between its characters."""
    character = "[\u3001-\u303f\u4e00-\u9fff\uff01-\uff60]"
    assert re.findall(f"[^\n]*{character}\n{character}[^\n]*", without_code(text_of(page))) == []


def test_anchors_are_made_as_on_a_repository_s_page(tmp_path):
    (tmp_path / "page.md").write_text("# A task's `key`\n\n```bash\n# no heading\n```\n## 与 TensorFlow 互转\n")
    assert anchors(tmp_path / "page.md") == {"a-tasks-key", "与-tensorflow-互转"}

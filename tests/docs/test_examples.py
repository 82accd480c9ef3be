"""The examples of README and of the manual are run as they are printed, in a folder that looks like a clone."""

import sys

import pytest
from conftest import ROOT, load_tool

FAST = ("docs/installation.md", "docs/corpora.md")
PYTHON = "docs/python.md"
ALONE = ("README.md", "docs/first-steps.md")  # make themselves what others find

examples = load_tool("run_examples")


def blocks_of(page):
    return examples.blocks_of((ROOT / page).read_text(encoding="utf-8"))


def pages():
    names = ["README.md", *(f"docs/{path.name}" for path in sorted((ROOT / "docs").glob("*.md")))]
    return [name for name in names if not name.endswith(".zh.md") and any(block.is_run for block in blocks_of(name))]


def run_page(clone, page, options=""):
    return clone.run(f"{sys.executable} {ROOT}/tools/run_examples.py {ROOT / page} {options}")


@pytest.mark.parametrize("page", FAST)
def test_fast_examples_run(page, bare, copied):
    run_page(copied(bare), page)


def test_readme_prints_what_it_shows(bare, copied):
    run_page(copied(bare), "README.md", "--fast")


def test_python_s_page_trains_answers_and_takes_parts_of_one_s_own(bare, copied):
    clone = copied(bare)
    assert "runs/moods/finetuning_models/moods_model_" in run_page(clone, PYTHON)
    assert "pretrain/state_length" in (clone.folder / "runs/models/with-parts/table.tsv").read_text()


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("page", [page for page in pages() if page not in (*FAST, PYTHON)])
def test_examples_run(page, request, copied):
    run_page(copied(request.getfixturevalue("bare" if page in ALONE else "stocked")), page)


def test_blocks_that_are_not_run_say_why():
    for page in pages():
        for block in blocks_of(page):
            is_known = block.mark in ("", "slow", "output") or block.mark.startswith("made by: ")
            assert is_known or block.mark.removeprefix("no-run: ").strip(" .") != block.mark, (page, block.mark)
            assert block.mark != "output" or block.language == "text"


PAGE = """
```python
# colours.py
SKY = "blue"
```

```bash
echo "grey" > sky.txt
```

```python
from colours import SKY

print(SKY, 1.25)
print(open("sky.txt").read().strip())
```

<!-- output -->
```text
old 3
```

<!-- no-run: needs the network -->
```bash
exit 1
```

<!-- slow -->
```bash
exit 2
```
"""


def test_outputs_are_compared_but_for_numbers_and_written_anew(bare, copied):
    clone = copied(bare)
    page = clone.folder / "page.md"
    page.write_text(PAGE)
    command = f"{sys.executable} {ROOT}/tools/run_examples.py page.md --fast"
    with pytest.raises(AssertionError, match="found other outputs, mend with --refresh"):
        clone.run(command)
    (clone.folder / "page.zh.md").write_text(PAGE)
    clone.run(f"{command} --refresh")
    assert page.read_text() == PAGE.replace("old 3", "blue 1.25\ngrey") == (clone.folder / "page.zh.md").read_text()
    page.write_text(PAGE.replace("old 3", "blue 7\ngrey"))
    clone.run(command)


def test_a_command_that_fails_ends_the_run(bare, copied):
    clone = copied(bare)
    (clone.folder / "page.md").write_text(PAGE)
    with pytest.raises(AssertionError, match="found exit status 2, expected 0"):
        clone.run(f"{sys.executable} {ROOT}/tools/run_examples.py page.md")

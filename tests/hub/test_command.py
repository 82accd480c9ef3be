"""What `hub run NAME` takes and prints, run within this process; `test_hub.py` runs the command itself."""

import io
import json
import sys
import tracemalloc

import pytest
from hub.conftest import NAME, WORDS

SHORT, LONG = "".join(WORDS[5:9]), "".join(WORDS[5:50])


@pytest.fixture(scope="module")
def kind(tiny_run):
    """The class of a module with the weights of the small run."""
    from electra_paddle.hub.module import ElectraModule

    class Tiny(ElectraModule):
        name, summary, directory = NAME, "tiny", "nowhere"

        def __init__(self, *arguments, **named):
            super().__init__(*arguments, **{"pretrained": tiny_run, **named})

    return Tiny


@pytest.fixture
def run(kind, tmp_path, monkeypatch, capfd):
    """Run with a file of these bytes; returns the lines that are printed, the last one by PaddleHub."""
    from electra_paddle.hub import command

    monkeypatch.chdir(tmp_path)

    def run(content, *options, is_piped=False):
        if content is not None:
            (tmp_path / "in.txt").write_bytes(content)
            options = ("--input_file", "-" if is_piped else "in.txt", *options)
            monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(content)))
        capfd.readouterr()
        print(command.run(kind, list(map(str, options))))
        return capfd.readouterr().out.splitlines()

    return run


@pytest.mark.parametrize("is_piped", [False, True])
@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "{}: found an empty file, expected one item a line"),
        ("一\t一\n \n".encode(), "{}:2: found an empty line, expected one item a line"),
        (
            "一\t一\n一\n".encode(),
            "{}:2: found 1 text, expected 2: text and second text; a tab stands between the texts",
        ),
        ("一\t一\n一\t一\t一\n".encode(), "{}:2: found 3 texts, expected 2: text and second text"),
        ("一\t \n".encode(), "{}:1: found an empty second text, expected texts with at least one character"),
        ("一\t一\n一\t".encode() + b"\xff\n", "{}:2: found invalid UTF-8 at byte 5 of the line, expected UTF-8 text"),
    ],
)
def test_line_that_is_no_item_is_told_with_its_number(run, capfd, content, message, is_piped):
    with pytest.raises(SystemExit, match="2"):
        run(content, "--task", "similarity", is_piped=is_piped)
    output = capfd.readouterr()
    assert output.err.splitlines()[-1].startswith(
        "error: " + message.format("standard input" if is_piped else "in.txt")
    )


def test_text_that_its_task_cannot_take_is_told_with_its_line(run, capfd):
    with pytest.raises(SystemExit):
        run(f"[MASK]{SHORT}\n{SHORT}\n".encode(), "--task", "fill-mask")
    assert "error: in.txt:2: " in capfd.readouterr().err


def test_items_of_one_file_have_as_many_texts_as_the_first(run, capfd):
    with pytest.raises(SystemExit):
        run("一\n一\t一\n".encode())
    assert "error: in.txt:2: found 2 texts, expected 1, as in the first item\n" in capfd.readouterr().err


@pytest.mark.parametrize("is_piped", [False, True])
def test_byte_order_mark_and_line_ends_of_windows_are_no_text(run, is_piped):
    content = f"\ufeff{SHORT}\r\n{LONG}\r\n".encode()
    lines = run(content, "--task", "replaced-token-detection", is_piped=is_piped)
    assert [[character for character, _ in json.loads(line)] for line in lines] == [list(SHORT), list(LONG)]
    assert lines == run(f"{SHORT}\n{LONG}".encode(), "--task", "replaced-token-detection")


def test_answers_go_to_a_file_that_is_replaced_only_when_it_is_asked_for(run, tmp_path, capfd):
    content = "".join(f"{LONG[: 1 + number % 40]}\n" for number in range(100)).encode()
    lines = run(content)
    assert len(lines) == 100
    assert run(content, "--output_file", "out.jsonl") == ["out.jsonl: 100 answers"]
    assert (tmp_path / "out.jsonl").read_text().splitlines() == lines
    with pytest.raises(SystemExit):
        run(content, "--output_file", "out.jsonl")
    assert "found out.jsonl, which exists, expected a new file; --overwrite replaces it" in capfd.readouterr().err
    with pytest.raises(SystemExit):
        run(content + b"\n", "--output_file", "out.jsonl", "--overwrite", is_piped=True)  # the last line is empty
    assert (tmp_path / "out.jsonl").read_text().splitlines() == lines
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in.txt", "out.jsonl"]


def test_answers_come_while_items_are_still_read(kind, monkeypatch):
    """And no more is in memory than a chunk."""
    from electra_paddle.hub import command

    monkeypatch.setattr(command, "MOST_ITEMS", 64)
    taken = []

    class Endless(io.RawIOBase):
        def __iter__(self):
            while True:
                taken.append(1)
                yield f"{LONG}\n".encode()

    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(Endless()))
    parser = command.argparse.ArgumentParser()
    command.add_arguments(parser)
    lines = command.answer_lines(kind, parser.parse_args(["--input_file", "-"]))
    first = next(lines)
    assert len(taken) == 32 and len(json.loads(first)) == 32
    for _ in range(200):
        next(lines)
    tracemalloc.start()
    before = tracemalloc.take_snapshot()
    for _ in range(640):
        assert next(lines)[:20] == first[:20]
    growth = sum(each.size_diff for each in tracemalloc.take_snapshot().compare_to(before, "filename"))
    tracemalloc.stop()
    assert growth < 2e6  # 640 items of 47 tokens and 32 numbers would be 23 MB as Python has them
    lines.close()


def test_embedding_on_the_command_line_is_that_of_predict(run, kind):
    (line,) = run(None, "--input_text", SHORT)
    ((pooled, _),) = kind().predict([[SHORT]])
    assert json.loads(line) == pytest.approx(pooled, abs=1e-6)


@pytest.mark.parametrize("given", ["json", "list", "file"])
@pytest.mark.filterwarnings("ignore:.*untrained")
def test_labels_are_given_in_json(run, tmp_path, given):
    text = {"json": '{"0": "差", "1": "好", "2": "无"}', "list": '["差", "好", "无"]', "file": "labels.json"}[given]
    (tmp_path / "labels.json").write_text('\ufeff{"1": "好", "0": "差", "2": "无"}', encoding="utf-8")
    (line,) = run(None, "--input_text", SHORT, "--task", "seq-cls", "--label_map", text)
    assert json.loads(line)["label"] in "差好无" and json.loads(line)["probability"] >= 1 / 3


@pytest.mark.filterwarnings("ignore:.*untrained")
def test_number_of_classes_and_character_between_tokens_are_options(run):
    options = ("--task", "token-cls", "--num_classes", "3", "--split_char")
    for content, character in ((b"\xe4\xb8\x80 \xe4\xb8\x81x \xe4\xb8\x82", " "), ("一\t丁x\t丂".encode(), "\t")):
        (line,) = run(content, *options, character)
        pairs = json.loads(line)
        assert [token for token, _ in pairs] == ["一", "丁x", "丂"]
        assert {label for _, label in pairs} <= {0, 1, 2}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--split_char", ","), "--split_char: found ',', expected none; task: embedding"),
        (
            ("--split_char", "", "--task", "token-cls"),
            "--split_char: found '', expected a character between the tokens",
        ),
        (
            ("--task", "seq-cls", "--label_map", "nowhere.json"),
            "--label_map: found nowhere.json (no such file or direct",
        ),
        (("--task", "seq-cls", "--label_map", "{"), "--label_map: found { (expecting property name"),
        (
            ("--task", "seq-cls", "--label_map", '{"1": "a"}'),
            "label_map: found the ids [1], expected each of 0 to 0 once",
        ),
        (("--task", "seq-cls", "--num_classes", "0"), "num_classes: found 0, expected a whole number from 1 on"),
        (("--batch_size", "0"), "batch_size: found 0, expected a whole number from 1 on"),
        (("--output_file", "in.txt/out"), "--output_file: found in.txt/out ("),
    ],
)
def test_option_of_no_use_is_told_in_one_line(run, tmp_path, capfd, options, message):
    (tmp_path / "in.txt").write_text("a")
    with pytest.raises(SystemExit, match="2"):
        run(None, "--input_text", SHORT, *options)
    assert f"error: {message}" in capfd.readouterr().err


def test_odd_item_is_noted_once_with_its_line(run, capfd):
    from electra_paddle.hub.command import checked
    from electra_paddle.hub.items import Item
    from electra_paddle.hub.tasks.registry import tasks

    swapped = [Item(f"in.txt:{number}", [SHORT, LONG * 2]) for number in (1, 2)]
    assert list(checked(swapped, tasks()["question-answering"])) == swapped
    expected = "WARNING: in.txt:1: a question longer than its context: the order is [context, question]\n"
    assert capfd.readouterr().err == expected


@pytest.mark.filterwarnings("ignore:.*untrained")
def test_fields_are_named_where_that_is_asked_for_and_cut_lines_are_said_once(run, capfd):
    lines = run(f"{SHORT}\n{SHORT * 50}\n{SHORT * 60}\n".encode(), "--task", "seq-cls", "--output", "dict")
    assert [set(json.loads(line)) for line in lines] == [{"label", "score", "probabilities"}] * 3
    command = ["--task", "seq-cls"]
    with pytest.raises(SystemExit):
        run(f"{SHORT}\n".encode(), *command, "--output", "xml")
    assert "output: found 'xml', expected 'plain' or 'dict'" in capfd.readouterr().err


def test_cut_lines_are_said_with_their_numbers(run, capfd, monkeypatch):
    from electra_paddle.hub import command

    monkeypatch.setattr(command, "tell_once", lambda kind, note: print(note))
    told, *_ = run(f"{SHORT}\n{SHORT * 50}\n".encode(), "--task", "embedding")
    assert "1 of 2 items are longer than max_seq_len 128 and lose their end (in.txt:2)" in told

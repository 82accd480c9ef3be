"""A file's contents say what it is, whatever its name: JSON, encodings, line ends."""

import gzip
import json
import os
import random

import pytest
from small_corpus import WORDS, build

from electra_paddle.cli import main
from electra_paddle.data.compression import array_lines
from electra_paddle.data.corpus import corpus_files, notes_about
from electra_paddle.data.recognition import recognise
from electra_paddle.data.shards import Shards
from electra_paddle.errors import ConfigError, DataError

CHARACTERS = WORDS[5:]
TEXTS = ["".join(random.Random(number).choices(CHARACTERS, k=20)) for number in range(60)]
SIMPLIFIED = "今天的天气很好，我们和他一起去了公园，那里有很多人在说话。这是一个关于中国的故事，他不在家。" * 20
TRADITIONAL = "今天的天氣很好，我們和他一起去了公園，那裡有很多人在說話。這是一個關於中國的故事，他不在家。" * 20


def write(corpus, name, text):
    for path in corpus.glob("corpus*"):
        path.unlink()
    data = text if isinstance(text, bytes) else text.encode()
    (corpus / name).write_bytes(gzip.compress(data) if name.endswith(".gz") else data)
    return corpus / name


def tokens_of(corpus, name, **settings):
    """All tokens of the shards that a file makes."""
    shards = Shards((corpus / name).with_name(f"shards_{name}"))
    ids, lengths, _, _ = shards.read(range(len(shards)), 32)
    return [ids[row, : lengths[row]].tolist() for row in range(len(ids))]


def build_of(corpus, name, **settings):
    return build(corpus, f"shards_{name}", source=name, segment_rule="lossless", **settings)


AS_LINES = "".join(json.dumps({"id": 1, "text": text}, ensure_ascii=False) + "\n" for text in TEXTS)
AS_ARRAY = json.dumps([{"text": text} for text in TEXTS], indent=1)
NESTED = "".join(json.dumps({"doc": {"body": text}}) + "\n" for text in TEXTS)


@pytest.mark.parametrize(
    ("name", "text", "settings"),
    [
        ("wiki_00", AS_LINES, {}),
        ("dump.json", AS_LINES, {}),
        ("dump.txt", AS_LINES, {}),
        ("array.json", AS_ARRAY, {}),
        ("array.json.gz", AS_ARRAY, {}),
        ("bom.json", b"\xef\xbb\xbf" + AS_LINES.encode(), {}),
        ("nested.jsonl", NESTED, {"text_field": "doc.body"}),
        ("gbk.jsonl", AS_LINES.encode("gb18030"), {"encoding": "gbk"}),
        ("utf16.json", AS_ARRAY.encode("utf-16"), {"encoding": "utf-16"}),
    ],
)
def test_json_is_read_as_what_it_is_whatever_its_name(corpus, name, text, settings):
    plain = write(corpus, "plain.jsonl", AS_LINES)
    build_of(corpus, plain.name)
    write(corpus, name, text)
    build_of(corpus, name, **settings)
    assert tokens_of(corpus, name) == tokens_of(corpus, plain.name)


def test_what_was_recognised_is_said(corpus, tmp_path):
    write(corpus, "wiki_00", AS_LINES)
    (corpus / "mac.txt").write_text("一二\r三四\r\r五六\r")
    files = [*corpus_files(corpus / "wiki_00"), *corpus_files([corpus / "mac.txt", corpus / "mac.txt"])]
    assert notes_about(files) == [
        "read as JSON lines by their contents: wiki_00",
        "lines end with a carriage return in: mac.txt, mac.txt",
        "given more than once, and read as often: mac.txt",
    ]


def test_carriage_returns_alone_end_lines(corpus):
    lines = "\n".join(TEXTS[:10]) + "\n\n" + "\n".join(TEXTS[10:]) + "\n"
    write(corpus, "unix.txt", lines)
    build_of(corpus, "unix.txt")
    write(corpus, "mac.txt", lines.replace("\n", "\r"))
    build_of(corpus, "mac.txt")
    assert tokens_of(corpus, "mac.txt") == tokens_of(corpus, "unix.txt")


@pytest.mark.parametrize(("text", "encoding"), [(SIMPLIFIED, "gb18030"), (TRADITIONAL, "big5"), (SIMPLIFIED, "utf-16")])
@pytest.mark.parametrize("on_error", ["stop", "skip"])
def test_another_encoding_is_named_with_the_way_round(corpus, text, encoding, on_error):
    path = write(corpus, "old.txt", text.encode(encoding))
    with pytest.raises(DataError) as caught:
        build_of(corpus, path.name, on_error=on_error)
    assert f"old.txt: found text that is no UTF-8 but seems to be {encoding}, expected UTF-8 text; " in str(
        caught.value
    )
    assert f"give --encoding {encoding}, or convert it: iconv -f {encoding.upper()} -t UTF-8 {path}" in str(
        caught.value
    )


def test_bytes_that_are_no_text_are_not_called_an_encoding():
    assert recognise(random.Random(0).randbytes(10_000), True).likely_encoding is None
    assert recognise("好".encode()[:2] * 100, True).likely_encoding is None


def test_text_that_begins_like_json_is_text():
    for text in (b"{\n", b"[1] see below\n", b"{not json}\n", b"[{broken\n"[:1], b""):
        assert recognise(text, True).layout == "text"
    assert recognise(b'{"a": 1', False).layout == "text"


def test_field_for_files_without_json_is_refused(corpus):
    write(corpus, "plain.txt", "一二三\n")
    with pytest.raises(ConfigError, match="--text-field: found body, expected none, as no file holds JSON"):
        build_of(corpus, "plain.txt", text_field="body")


def test_a_line_of_json_may_be_of_any_length(corpus):
    text = "".join(random.Random(3).choices(CHARACTERS, k=2_000_000))  # six million bytes
    write(corpus, "long.jsonl", json.dumps({"text": text}, ensure_ascii=False) + "\n")
    manifest = build_of(corpus, "long.jsonl")
    assert manifest["num_corpus_tokens"] == 2_000_000 and manifest["skipped"] == {}


@pytest.mark.parametrize("size", [1, 7, 10_000])
def test_arrays_are_cut_into_lines_at_any_chunks(size):
    values = [{"text": 'a]}[{,\\" ', "n": [1, {"x": None}]}, {}, {"text": "文"}]
    for text in (json.dumps(values), "\n [ " + " ,\n".join(map(json.dumps, values)) + " ] \n"):
        data = text.encode()
        chunks = [data[start : start + size] for start in range(0, len(data), size)]
        assert [json.loads(line) for line in array_lines(chunks, "a")] == values
    for broken in ("[{} {}]", "[{},,{}]", "[{}", "[{}, {", '[{"a": 1} x]', "["):
        with pytest.raises(DataError, match="a JSON array that is damaged behind element"):
            list(array_lines([broken.encode()], "a"))


def test_links_in_a_circle_pipes_and_zeros_are_one_line_each(corpus, capsys):
    folder = corpus / "folder"
    folder.mkdir()
    (folder / "a.txt").write_text("一二三\n")
    (folder / "loop").symlink_to(folder, target_is_directory=True)
    assert [file.name for file in corpus_files(folder)] == ["a.txt"]
    os.mkfifo(corpus / "pipe.txt")
    with pytest.raises(DataError, match="pipe.txt: found neither a file nor a folder"):
        corpus_files(corpus / "pipe.txt")
    write(corpus, "zeros.txt", bytes(6_000_000))
    (corpus / "broken.txt").write_bytes(b"\xff" * 6_000_000)
    for name in ("zeros.txt", "broken.txt"):
        command = ["build_pretraining_data", "--corpus-dir", corpus / name, "--vocab-file", corpus / "vocab.txt"]
        assert main([*map(str, command), "--output-dir", str(corpus / f"out_{name}")]) == 2
        errors = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error")]
        assert len(errors) == 1 and len(errors[0]) < 500, errors


def test_loss_of_text_is_said_with_the_way_round(corpus, capsys):
    write(corpus, "paragraphs.txt", "\n\n".join("".join(TEXTS) for _ in range(3)) + "\n")
    command = [
        "build_pretraining_data",
        "--corpus-dir",
        corpus / "paragraphs.txt",
        "--vocab-file",
        corpus / "vocab.txt",
    ]
    assert main([*map(str, command), "--output-dir", str(corpus / "lossy"), "--max-seq-length", "32"]) == 0
    (line,) = [line for line in capsys.readouterr().err.splitlines() if line.startswith("WARNING")]
    assert "are lost to the google rule" in line and "--segment-rule lossless --split-sentences keeps them" in line

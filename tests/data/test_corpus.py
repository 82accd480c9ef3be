import bz2
import gzip
import itertools
import json
import lzma
from collections import Counter

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from electra_paddle.config import ShardSettings
from electra_paddle.data import text_blocks as reading
from electra_paddle.data.compression import DamagedFileError
from electra_paddle.data.corpus import corpus_files, cut_into_spans, part_size, plan_parts
from electra_paddle.data.text_blocks import decode_json, line_blocks, read_span, sample_text
from electra_paddle.errors import DataError

STOP, SKIP = ShardSettings(), ShardSettings(on_error="skip")
COMPRESS = {
    "": lambda data: data,
    ".gz": gzip.compress,
    ".bz2": lambda data: bz2.compress(data, 1),
    ".xz": lzma.compress,
    ".zst": lambda data: zstandard.ZstdCompressor().compress(data),
}


def write(path, text, compression=""):
    path.with_name(path.name + compression).write_bytes(COMPRESS[compression](text.encode()))


def text_of(parts, settings=STOP, skipped=None):
    """The text of all parts, those apart whose span ends."""
    skipped = Counter() if skipped is None else skipped
    return ["".join(read_span(span, settings, skipped)) for part in parts for span in part.spans]


def test_folder_gives_its_files_in_order_and_leaves_others_alone(tmp_path):
    (tmp_path / "b").mkdir()
    for name in ("b/2.txt", "a.txt.xz", "c.jsonl.gz", "b/1.jsonl", "notes.md", "d.txt.zst", "e.gz"):
        (tmp_path / name).write_bytes(b"x")
    files = corpus_files(tmp_path)
    assert [file.name for file in files] == ["a.txt.xz", "b/1.jsonl", "b/2.txt", "c.jsonl.gz", "d.txt.zst"]
    assert [file.is_json for file in files] == [False, True, False, True, False]
    assert [file.compression for file in files] == [".xz", "", "", ".gz", ".zst"]


def test_patterns_and_lists_take_files_of_any_name(tmp_path):
    for name in ("wiki_00", "wiki_01", "other"):
        (tmp_path / name).write_text("一\n", encoding="utf-8")
    files = corpus_files([tmp_path / "wiki_*", tmp_path / "other"])
    assert [file.name for file in files] == ["wiki_00", "wiki_01", "other"]


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("absent", "absent: found no such file"),
        ("*.csv", "found no such file"),
        (".", "found no .txt, .jsonl or .json file"),
    ],
)
def test_nothing_there_is_said(tmp_path, path, message):
    (tmp_path / "table.tsv").touch()
    with pytest.raises(DataError, match=message):
        corpus_files(tmp_path / path)


@pytest.mark.parametrize("compression", COMPRESS)
def test_every_compression_gives_the_same_text(tmp_path, compression):
    write(tmp_path / "a.txt", "一\n二\n\n三\n", compression)
    assert text_of(plan_parts(corpus_files(tmp_path), 1000, STOP, tmp_path)) == ["一\n二\n\n三\n"]


def test_zstandard_file_of_several_frames_is_read_to_its_end(tmp_path):
    (tmp_path / "a.txt.zst").write_bytes(COMPRESS[".zst"]("一\n".encode()) + COMPRESS[".zst"]("二\n".encode()))
    assert text_of(plan_parts(corpus_files(tmp_path), 1000, STOP, tmp_path)) == ["一\n二\n"]


def test_json_documents_lose_their_blank_lines_and_end_with_one(tmp_path):
    rows = [{"text": "一\n\n 二", "id": 1}, {"text": ""}, {"text": "三\n"}]
    write(tmp_path / "a.jsonl", "\ufeff" + "\n\n".join(json.dumps(row) for row in rows))
    (text,) = text_of(plan_parts(corpus_files(tmp_path), 1000, STOP, tmp_path))
    assert [document.split("\n") for document in text.split("\n\n") if document] == [["一", " 二"], ["三"]]


LINES = st.lists(st.text("一二三ab \t", max_size=12), max_size=60)


@given(lines=LINES, size=st.integers(1, 200), compression=st.sampled_from(["", ".xz"]), count=st.integers(1, 3))
def test_plan_loses_nothing_and_cuts_at_blank_lines_only(tmp_path_factory, lines, size, compression, count):
    folder = tmp_path_factory.mktemp("plan")
    text = "\n".join(["一", *lines])
    for number in range(count):
        write(folder / f"{number}.txt", text, compression)
    parts = list(plan_parts(corpus_files(folder), size, STOP, folder))
    assert [part.number for part in parts] == list(range(len(parts)))
    pieces = text_of(parts)
    assert "".join(pieces) == text * count
    for part in parts:
        for span in part.spans:
            assert span.start == 0 or is_boundary(text, span.start)


def is_boundary(text, position):
    lines = text.encode()[:position].decode().split("\n")
    return lines[-1] == "" and not lines[-2].strip()


def test_large_files_fall_into_parts_of_about_the_size_and_small_ones_share_them(tmp_path):
    document = "一" * 30 + "\n\n"
    write(tmp_path / "a.txt", document * 100)
    for number in range(20):
        write(tmp_path / f"b{number}.txt", document)
    parts = list(plan_parts(corpus_files(tmp_path), 1000, STOP, tmp_path))
    assert len(parts) == 11  # 120 documents of 92 bytes, 11 of them in each part but the last
    assert max(len(part.spans) for part in parts) > 5


def test_large_compressed_file_is_laid_down_part_by_part_where_wanted(tmp_path):
    document = "一" * 30 + "\n\n"
    write(tmp_path / "a.txt", document * 100, ".xz")
    parts = list(plan_parts(corpus_files(tmp_path), 200, STOP, tmp_path, lambda part: part.number % 2 == 0))
    assert len(parts) == 34
    assert [part.spans[0].spool is not None for part in parts] == [number % 2 == 0 for number in range(34)]
    assert parts[2].spans[0].spool.read_text(encoding="utf-8") == document * 3
    whole = list(plan_parts(corpus_files(tmp_path), 200, STOP, tmp_path))
    assert [part.spans[0][:3] for part in whole] == [part.spans[0][:3] for part in parts]


@given(
    data=st.lists(st.sampled_from([b"ab\n", b"\n", b" \n", b"c", b"\r\n"]), max_size=80).map(b"".join),
    size=st.integers(1, 50),
    chunk=st.integers(1, 40),
)
def test_spans_do_not_depend_on_how_the_bytes_arrive(data, size, chunk):
    class File:
        layout, is_json = "text", False

    def spans(step):
        pieces, span = [], b""
        chunks = (data[at : at + step] for at in range(0, len(data), step))
        for piece, ends in cut_into_spans(chunks, size, File, True):
            span += piece
            if ends:
                pieces.append(span)
                span = b""
        assert not span
        return pieces

    assert spans(chunk) == spans(len(data) or 1)
    assert b"".join(spans(chunk)) == data


def test_number_of_parts_is_bounded(tmp_path):
    class File:
        compression, size = "", 180_000_000_000

    assert part_size([File]) * 512 <= File.size < (part_size([File]) + 1) * 512
    File.size = 1000
    assert part_size([File]) == 8_000_000


# Damaged input


def read(folder, settings):
    skipped = Counter()
    size = 1_000_000
    return "".join(text_of(plan_parts(corpus_files(folder), size, settings, folder), settings, skipped)), skipped


def test_invalid_utf8_is_named_by_its_byte_or_skipped_by_its_line(tmp_path):
    (tmp_path / "a.txt").write_bytes("好\n坏".encode() + b"\xff\n" + "好\n".encode())
    with pytest.raises(DataError, match=r"a.txt: found invalid UTF-8 at byte 7, expected UTF-8 text; mend"):
        read(tmp_path, STOP)
    assert read(tmp_path, SKIP) == ("好\n好\n", {"lines of invalid UTF-8": 1})


def test_place_of_invalid_utf8_is_counted_from_the_beginning_of_the_file(tmp_path, monkeypatch):
    monkeypatch.setattr(reading, "BLOCK", 10)
    (tmp_path / "a.txt").write_bytes("一二\n\n".encode() * 50 + b"\xe4\xb8\n")
    with pytest.raises(DataError, match="invalid UTF-8 at byte 400"):
        text_of(plan_parts(corpus_files(tmp_path), 60, STOP, tmp_path))


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("{", "found no valid JSON"),
        ("[1]", "found list, expected text under 'text'"),
        ('{"body": "一"}', "found 'body', expected text under 'text'; give --text-field"),
        ('{"text": 3}', "found int under 'text', expected text under 'text'"),
        ("[" * 100_000, "found no valid JSON"),
    ],
)
def test_damaged_json_line_is_named_by_its_number_or_skipped(tmp_path, line, message):
    write(tmp_path / "a.jsonl", '{"text": "一"}\n\n' + line + '\n{"text": "二"}\n')
    with pytest.raises(DataError, match=f"a.jsonl:3: {message}"):
        read(tmp_path, STOP)
    assert read(tmp_path, SKIP) == ("一\n\n二\n\n", {"damaged JSON lines": 1})


def test_empty_file_is_named_or_skipped(tmp_path):
    write(tmp_path / "a.txt", "")
    write(tmp_path / "b.txt", "一\n")
    with pytest.raises(DataError, match="a.txt: found an empty file"):
        read(tmp_path, STOP)
    assert read(tmp_path, SKIP) == ("一\n", {"empty files": 1})


@pytest.mark.parametrize("compression", [".gz", ".bz2", ".xz", ".zst"])
@pytest.mark.parametrize("size", [1_000_000_000, 100])
def test_truncated_file_is_named_or_read_as_far_as_it_goes(tmp_path, compression, size):
    text = "".join(f"{number * number * 7919}\n\n" for number in range(60_000))
    data = COMPRESS[compression](text.encode())
    (tmp_path / f"a.txt{compression}").write_bytes(data[: len(data) // 2])
    files = corpus_files(tmp_path)
    with pytest.raises(DamagedFileError, match=rf"a.txt{compression}: found damaged {compression} data after"):
        text_of(plan_parts(files, size, STOP, tmp_path))
    skipped = Counter()
    kept = "".join(text_of(plan_parts(files, size, SKIP, tmp_path), SKIP, skipped))
    assert text.startswith(kept) and len(kept) > 1000
    assert skipped == {"damaged files": 1}


@pytest.mark.parametrize("compression", [".gz", ".bz2", ".xz", ".zst"])
@pytest.mark.parametrize("size", [1_000_000_000, 1])
def test_file_that_is_not_compressed_as_its_name_says_is_damaged(tmp_path, compression, size):
    (tmp_path / f"a.txt{compression}").write_bytes(b"plain text")
    files = corpus_files(tmp_path)
    with pytest.raises(DamagedFileError):
        text_of(plan_parts(files, size, STOP, tmp_path))
    skipped = Counter()
    assert "".join(text_of(plan_parts(files, size, SKIP, tmp_path), SKIP, skipped)) == ""
    assert skipped == {"damaged files": 1}


@given(st.lists(st.text("一a\n", max_size=30).map(str.encode)), st.integers(9, 40))
def test_blocks_hold_whole_lines_unless_a_line_is_very_long(chunks, longest):
    data = b"".join(chunks)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(reading, "LONGEST_LINE", longest)
        blocks = list(line_blocks(iter(chunks)))
    assert b"".join(blocks) == data
    for block in blocks:
        block.decode()  # no character is cut
        assert block
    for block, following in itertools.pairwise(blocks):
        assert block.endswith(b"\n") or (len(block) > longest - 8 and not following.startswith(b"\n"))


def test_sample_of_a_large_corpus_comes_from_all_over_it(tmp_path):
    write(tmp_path / "a.txt", "".join(f"{number:06d}\n\n" for number in range(500_000)))
    write(tmp_path / "b.txt", "x\n\n" * 100_000)
    blocks = list(sample_text(corpus_files(tmp_path), STOP, 1000))
    numbers = [int(block.split()[0]) for block, _ in blocks if block[0] != "x"]
    assert len(numbers) >= 9 and numbers == sorted(numbers) and numbers[-1] - numbers[0] > 300_000
    assert all(count == len(block) for block, count in blocks)


def test_small_corpus_is_sampled_whole(tmp_path):
    write(tmp_path / "a.txt", "一\n")
    write(tmp_path / "b.txt", "二\n", ".gz")
    assert [block for block, _ in sample_text(corpus_files(tmp_path), STOP, 1000)] == ["一\n", "二\n"]


def test_surrogates_of_json_reach_the_tokenizer_without_harm(tmp_path):
    write(tmp_path / "a.jsonl", '{"text": "\\ud800一"}\n')
    (file,) = corpus_files(tmp_path)
    assert decode_json((tmp_path / "a.jsonl").read_bytes(), file, 0, STOP, Counter()) == "\ud800一\n\n"


ARTICLES = """<doc id="13" url="https://zh.wikipedia.org/wiki?curid=13" title="数学">
数学

数学是研究数量、结构以及空间等概念的一门学科。
若 a &lt; b，则 b &gt; a &amp; a ≠ b。

</doc>
<doc id="14" url="https://zh.wikipedia.org/wiki?curid=14" title="空">
空

</doc>
<doc id="18" url="https://zh.wikipedia.org/wiki?curid=18" title="哲学">
哲学

哲学是研究普遍的、基本问题的学科。

</doc>
"""
ARTICLES_AS_TEXT = [
    "数学\n数学是研究数量、结构以及空间等概念的一门学科。\n若 a < b，则 b > a & a ≠ b。\n\n",
    "空\n\n",
    "哲学\n哲学是研究普遍的、基本问题的学科。\n\n",
]


@pytest.mark.parametrize("compression", COMPRESS)
def test_folder_that_wikiextractor_wrote_is_read_article_by_article(tmp_path, compression):
    (tmp_path / "AA").mkdir()
    write(tmp_path / "AA/wiki_00", ARTICLES, compression)
    write(
        tmp_path / "AA/wiki_01", json.dumps({"id": "1", "title": "逻辑", "text": "逻辑\n\n逻辑学"}) + "\n", compression
    )
    files = corpus_files(tmp_path)
    assert [(file.name, file.layout) for file in files] == [
        (f"AA/wiki_00{compression}", "articles"),
        (f"AA/wiki_01{compression}", "lines"),
    ]
    (text,) = text_of(plan_parts(files[:1], 10_000, STOP, tmp_path))
    assert text == "".join(ARTICLES_AS_TEXT)


@pytest.mark.parametrize("compression", ["", ".bz2", ".xz"])
@pytest.mark.parametrize("size", [1, 200, 280, 600])  # bytes; articles end at 205, 288 and 430
def test_articles_are_cut_into_parts_at_their_ends_only(tmp_path, compression, size):
    write(tmp_path / "wiki_00", ARTICLES, compression)
    parts = []
    for part in plan_parts(corpus_files(tmp_path / f"wiki_00{compression}"), size, STOP, tmp_path):
        parts += text_of([part])
    assert "".join(parts) == "".join(ARTICLES_AS_TEXT)
    assert all(part.endswith("\n\n") for part in parts)
    assert len(parts) == {1: 3, 200: 2, 280: 2, 600: 1}[size]

import json
import string
import unicodedata

import numpy as np
import pytest
from conftest import shared_file
from hypothesis import example, given, settings
from hypothesis import strategies as st

from electra_paddle.text import Tokenizer, Vocabulary, encode_pair, pad

WORDS = [
    "[PAD]",
    "[UNK]",
    "[CLS]",
    "[SEP]",
    "[MASK]",
    "我",
    "爱",
    "你",
    "un",
    "##aff",
    "##able",
    "a",
    "##b",
    "!",
    "，",
    "cafe",
]


@pytest.fixture
def vocabulary():
    return Vocabulary(WORDS)


def tokens(vocabulary, text, **options):
    return [vocabulary.tokens[index] for index in Tokenizer(vocabulary, **options).encode(text)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("我爱你", ["我", "爱", "你"]),
        ("unaffable!", ["un", "##aff", "##able", "!"]),
        ("ab axb", ["a", "##b", "[UNK]"]),  # a piece that is missing makes the whole word unknown
        ("Café，", ["cafe", "，"]),
        ("我\u200b爱\u3000你\ufffd", ["我", "爱", "你"]),
        ("[MASK]", ["[UNK]", "[UNK]", "[UNK]"]),  # special tokens in a text are ordinary text
        ("a" + "b" * 199, ["a"] + ["##b"] * 199),
        ("a" + "b" * 200, ["[UNK]"]),
        ("", []),
    ],
)
def test_splits_as_the_reference(vocabulary, text, expected):
    assert tokens(vocabulary, text) == expected


def test_case_and_accents_stay_where_asked(vocabulary):
    assert tokens(vocabulary, "Cafe cafe", do_lower_case=False) == ["[UNK]", "cafe"]


def test_equals_the_reference_on_real_text():
    vocabulary = Vocabulary.load(shared_file("data/vocab.txt"))
    lower, cased = Tokenizer(vocabulary), Tokenizer(vocabulary, do_lower_case=False)
    lines = shared_file("golden/tokenizer.jsonl").read_text(encoding="utf-8").splitlines()
    rows = [json.loads(line) for line in lines]
    rows = [row for row in rows if not row.get("unicode_version_sensitive")]
    assert len(rows) > 500
    for row in rows:
        assert lower.encode(row["text"]) == row["ids"]
        if "tokens_cased" in row:
            assert [vocabulary.tokens[index] for index in cased.encode(row["text"])] == row["tokens_cased"]


# Characters that Unicode 3.2 knew, with the category they have today: tables of any age agree on them.
SETTLED = [
    char
    for char in map(chr, range(0x110000))
    if unicodedata.ucd_3_2_0.category(char) == unicodedata.category(char) not in ("Cn", "Cs") and char != "Σ"
]
PIECES = [*string.ascii_lowercase, *string.digits, "the", "ing", "我", "爱", "中", "～", "의", *"，。！?-'\"`"]
RICH = Vocabulary(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *PIECES, *("##" + piece for piece in PIECES)])
BOTH = [(True, None), (False, None), (True, False), (False, True)]
MIXED = st.text(st.sampled_from(SETTLED) | st.sampled_from("abcdeing 0我爱中，。-～ÀéΩ한\u0301\u200b\t　")) | st.text()


def oracle(do_lower_case, strip_accents):
    """The tokenizers library with the same rules."""
    from tokenizers import Tokenizer as Oracle
    from tokenizers import models, normalizers, pre_tokenizers

    model = models.WordPiece(dict(RICH.ids), unk_token="[UNK]", max_input_chars_per_word=200)
    tokenizer = Oracle(model)
    tokenizer.normalizer = normalizers.BertNormalizer(strip_accents=strip_accents, lowercase=do_lower_case)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    return lambda text: tokenizer.encode(text, add_special_tokens=False).ids


ORACLES = {options: oracle(*options) for options in BOTH}
TOKENIZERS = {options: Tokenizer(RICH, *options) for options in BOTH}


@pytest.mark.parametrize("options", BOTH)
@settings(max_examples=300)
@given(text=st.text(st.sampled_from(SETTLED) | st.sampled_from("abc中，。- ～Àé한\u0301\u200b")))
def test_equals_the_tokenizers_library_on_arbitrary_text(options, text):
    assert TOKENIZERS[options].encode(text) == ORACLES[options](text)


@pytest.mark.parametrize("name", ["wiki_passages.txt", "pingcap_docs_cn.txt"])
def test_equals_the_tokenizers_library_on_whole_corpora(name):
    from tokenizers import BertWordPieceTokenizer

    vocabulary = Vocabulary.load(shared_file("data/vocab.txt"))
    text = shared_file(f"data/corpus/{name}").read_text(encoding="utf-8")
    library = BertWordPieceTokenizer(dict(vocabulary.ids), lowercase=True)
    library._tokenizer.model.max_input_chars_per_word = 200
    lines = [line for line in text.split("\n") if all(map(is_settled, set(line)))]
    assert len(lines) > 0.9 * text.count("\n")
    expected = [encoding.ids for encoding in library.encode_batch(lines, add_special_tokens=False)]
    encoded = Tokenizer(vocabulary).encode_lines("\n".join(lines))
    assert encoded.ids.tolist() == [index for ids in expected for index in ids]
    assert encoded.line_ends.tolist() == np.cumsum([len(ids) for ids in expected]).tolist()


def is_settled(char, known=frozenset(SETTLED)):
    return char in known


@pytest.mark.parametrize("options", BOTH)
@settings(max_examples=300)
@given(text=MIXED)
@example("ΑΣ. ΑΣ'Α Σ")  # the lower case of Σ depends on its neighbours, also across punctuation
@example("a\u302e\u302ab 我")  # combining characters that NFD reorders
@example("각한글 ǅ ﬁ İstanbul")
@example("x" * 201 + "我" + "y" * 200)
@example("一\n\n \n二\n")
@example("\ud800a\udfff")
def test_whole_blocks_equal_the_rules_applied_to_each_character(options, text):
    tokenizer = TOKENIZERS[options]
    encoded = tokenizer.encode_lines(text)
    ids, starts, ends, line_ends, position = [], [], [], [], 0
    for line in text.split("\n"):
        one, first, last = tokenizer.encode_by_rule(line)
        ids += one
        starts += [position + start for start in first]
        ends += [position + end for end in last]
        line_ends.append(len(ids))
        position += len(line) + 1
    assert encoded.ids.tolist() == ids
    assert encoded.starts.tolist() == starts and encoded.ends.tolist() == ends
    assert encoded.line_ends.tolist() == line_ends


@pytest.mark.parametrize("options", BOTH)
@given(text=MIXED)
def test_offsets_map_back_to_the_text_that_made_the_token(options, text):
    tokenizer = TOKENIZERS[options]
    ids, starts, ends = tokenizer.encode_with_offsets(text)
    before = 0
    for index, start, end in zip(ids, starts, ends, strict=True):
        assert before <= end and 0 <= start < end <= len(text)  # in order, never empty
        before = start
        if index != RICH.unk:
            piece = RICH.tokens[index].removeprefix("##")
            do_lower_case, strip = options
            assert piece in plain(text[start:end], do_lower_case, do_lower_case if strip is None else strip)


def plain(text, do_lower_case, strip_accents):
    text = text.lower() if do_lower_case else text
    if strip_accents:
        text = unicodedata.normalize("NFD", text)
        text = "".join(char for char in text if unicodedata.category(char) != "Mn")
    return "".join(char for char in text if char in "\t\n" or not unicodedata.category(char).startswith("C"))


def test_offsets_skip_what_was_removed_and_keep_what_changed_length(vocabulary):
    text = "\ufeff Cafe\u0301，\u200b我\u0301爱"
    ids, starts, ends = Tokenizer(vocabulary).encode_with_offsets(text)
    assert [vocabulary.tokens[index] for index in ids] == ["cafe", "，", "我", "爱"]
    assert [text[start:end] for start, end in zip(starts, ends, strict=True)] == ["Cafe", "，", "我", "爱"]


def test_syllable_that_falls_apart_into_several_tokens_gives_each_its_place():
    jamo = Vocabulary([*WORDS[:5], "\u1112", "##\u1161", "##\u11ab", "我"])
    ids, starts, ends = Tokenizer(jamo).encode_with_offsets("我한我")
    assert [jamo.tokens[index] for index in ids] == ["我", "\u1112", "##\u1161", "##\u11ab", "我"]
    assert (starts, ends) == ([0, 1, 1, 1, 2], [1, 2, 2, 2, 3])


def test_memory_of_runs_is_bounded(vocabulary, monkeypatch):
    from electra_paddle.text import tokenizer as module

    monkeypatch.setattr(module, "MAX_CACHED_RUNS", 50)
    tokenizer = Tokenizer(vocabulary)
    for number in range(300):
        assert tokenizer.encode(f"a{'b' * (number % 190)} x{number}")[0] == vocabulary.ids["a"]
        assert len(tokenizer._runs) <= 53


def test_pair_loses_tokens_from_the_longer_text_and_ties_from_the_second(vocabulary):
    ids, second = encode_pair(Tokenizer(vocabulary), "我我我我", "你你", 7)
    assert [vocabulary.tokens[index] for index in ids] == ["[CLS]", "我", "我", "[SEP]", "你", "你", "[SEP]"]
    assert second == 4
    ids, second = encode_pair(Tokenizer(vocabulary), "我我", "你你", 6)
    assert [vocabulary.tokens[index] for index in ids] == ["[CLS]", "我", "我", "[SEP]", "你", "[SEP]"]


def test_single_text_is_cut_to_the_length(vocabulary):
    ids, second = encode_pair(Tokenizer(vocabulary), "我爱你我爱你", None, 5)
    assert len(ids) == second == 5 and ids[-1] == vocabulary.sep


def test_padding_fills_to_the_longest_and_marks_the_second_segment():
    batch = pad([([2, 5, 3, 6, 3], 3), ([2, 3], 2)])
    assert batch.input_ids.tolist() == [[2, 5, 3, 6, 3], [2, 3, 0, 0, 0]]
    assert batch.token_type_ids.tolist() == [[0, 0, 0, 1, 1], [0] * 5]
    assert batch.attention_mask.tolist() == [[1] * 5, [1, 1, 0, 0, 0]]

import json

import pytest
from conftest import shared_file
from hypothesis import given
from hypothesis import strategies as st

from electra_paddle.errors import DataError
from electra_paddle.text import Tokenizer, Vocabulary, build_vocabulary, encode_pair, pad

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


@given(st.text())
def test_any_text_gives_ids_of_the_vocabulary(text):
    ids = Tokenizer(Vocabulary(WORDS)).encode(text)
    assert all(0 <= index < len(WORDS) for index in ids)


def test_missing_special_token_is_named(tmp_path):
    (tmp_path / "vocab.txt").write_text("[PAD]\n[UNK]\n[CLS]\n我\n", encoding="utf-8")
    with pytest.raises(DataError, match=r"vocab.txt: found no \[SEP\] \[MASK\] in 4 lines"):
        Vocabulary.load(tmp_path / "vocab.txt")


def test_built_vocabulary_has_special_tokens_where_chinese_bert_has_them(tmp_path):
    vocabulary = build_vocabulary(["我爱你，我爱学习 learning learned"] * 3, 130)
    assert [vocabulary.pad, vocabulary.unk, vocabulary.cls, vocabulary.sep, vocabulary.mask] == [0, 100, 101, 102, 103]
    assert {"我", "爱", "，"} <= set(vocabulary.tokens)
    assert Tokenizer(vocabulary).encode("我爱你").count(vocabulary.unk) == 0
    vocabulary.save(tmp_path / "vocab.txt")
    assert Vocabulary.load(tmp_path / "vocab.txt").sha256 == vocabulary.sha256


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

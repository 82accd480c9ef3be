import dataclasses
import json
import random

import numpy as np
import pytest
from conftest import shared_file
from hypothesis import given
from hypothesis import strategies as st

from electra_paddle.config import ShardSettings
from electra_paddle.data.packing import Packer
from electra_paddle.data.sentences import boundaries, sentence_cuts
from electra_paddle.text import Tokenizer, Vocabulary

CHARACTERS = "一二三四五六七八九十"
SMALL = Vocabulary(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "，", "。", "”", "！", "？", *CHARACTERS])
RULES = {"hfl": "hfl", "google_2020_03_16": "google"}


def cut(text):
    places = sentence_cuts(np.array([ord(char) for char in text], np.uint32)).tolist()
    return [text[start:end] for start, end in zip([0, *places], [*places, len(text)], strict=True)]


def test_sentences_keep_their_closing_quotes():
    assert cut("他说：“好。”然后走了！真的？！") == ["他说：“好。”", "然后走了！", "真的？！"]
    assert cut("”开头。”）好") == ["”开头。”）", "好"]
    assert cut("没有”结束") == ["没有”结束"]


@given(st.text("一。！”）a\n", max_size=30))
def test_sentences_are_cut_behind_an_end_mark_and_before_other_text(text):
    pieces = cut(text)
    assert "".join(pieces) == text
    for piece in pieces[:-1]:
        assert piece.rstrip("”）")[-1:] in ("。", "！")
    for piece in pieces[1:]:
        assert piece[0] not in "。！”）\n"


def ends(text, **options):
    sentence_ends, document_ends = boundaries(Tokenizer(SMALL).encode_lines(text), text, **options)
    return sentence_ends.tolist(), document_ends.tolist()


def test_lines_end_sentences_and_blank_lines_end_documents():
    assert ends("一二\n三\n\n \u3000\n四\n") == ([2, 3, 4], [3])
    assert ends("\n一\n") == ([1], [0])  # ends a document that began before
    assert ends("一\n\u200b\n二\n") == ([1, 2], [])  # a line without tokens is not blank
    assert ends("一\n\n二\n", blanks_separate_docs=False) == ([1, 2], [])
    assert ends("一。二\n三", split_sentences=True) == ([2, 3, 4], [])


def pack(texts, settings, uniform, vocabulary=SMALL):
    """(first ids, second ids) of all examples of blocks of text, and the packer."""
    packer, tokenizer, examples = Packer(vocabulary, settings, uniform), Tokenizer(vocabulary), []
    blocks = [(encoded, text) for text in texts for encoded in [tokenizer.encode_lines(text)]]
    for packed in [
        *(packer.add(encoded.ids, None, *boundaries(encoded, text)) for encoded, text in blocks),
        packer.end_document(),
    ]:
        assert packed.lengths.sum() == len(packed.ids)
        begin = 0
        for length, second in zip(packed.lengths.tolist(), packed.seconds.tolist(), strict=True):
            ids = packed.ids[begin : begin + length].tolist()
            begin += length
            assert ids[0] == vocabulary.cls and ids[-1] == ids[second - 1] == vocabulary.sep
            examples.append((ids[1 : second - 1], ids[second:-1]))
    return examples, packer


@pytest.fixture(scope="module")
def golden():
    """(the reference's results, its corpus, the real vocabulary)."""
    results = json.loads(shared_file("golden/packing.json").read_text(encoding="utf-8"))
    text = shared_file("golden/packing_corpus.txt").read_text(encoding="utf-8")
    return results, text, Vocabulary.load(shared_file("data/vocab.txt"))


@pytest.mark.parametrize("rule", RULES)
def test_rules_equal_the_reference_where_no_randomness_is_left(golden, rule):
    results, text, vocabulary = golden
    cases = [case for case in results["deterministic"] if case["rule"] == rule]
    assert cases
    for case in cases:
        lines = "\n".join(text.split("\n")[: case["first_lines"]]) + "\n"
        settings = ShardSettings(case["max_seq_length"], RULES[rule])
        examples, _ = pack([lines], settings, lambda value=case["constant_uniform"]: value, vocabulary)
        assert [[len(first), len(second)] for first, second in examples] == case["part_lengths"]


@pytest.mark.parametrize("rule", RULES)
def test_statistics_lie_within_four_standard_errors_of_the_reference(golden, rule):
    results, text, vocabulary = golden
    encoded = Tokenizer(vocabulary).encode_lines(text)
    text_ends = boundaries(encoded, text)
    for result in results["results"]:
        if result["rule"] != rule:
            continue
        runs = []
        for seed in range(20):
            packer = Packer(
                vocabulary, ShardSettings(result["max_seq_length"], RULES[rule]), random.Random(seed).random
            )
            packed = [packer.add(encoded.ids, None, *text_ends), packer.end_document()]
            lengths, seconds = (
                np.concatenate([getattr(part, name) for part in packed]) for name in ("lengths", "seconds")
            )
            two, first = seconds < lengths, seconds - 2
            runs.append(
                {
                    "n_examples": len(lengths),
                    "share_two_segments": two.mean(),
                    "mean_first": first.mean(),
                    "mean_second": np.where(two, lengths - seconds - 1, 0).mean(),
                    "share_empty_first": (first == 0).mean(),
                    "tokens": lengths.sum(),
                }
            )
        for name in runs[0]:
            error = result["sd"][name] * (2 / 20) ** 0.5
            ours = np.mean([run[name] for run in runs])
            assert abs(ours - result["mean"][name]) <= 4 * error + 1e-9, name


TEXTS = st.lists(st.text(CHARACTERS + "，\n", max_size=40).map(lambda text: text + "\n"), max_size=8)


@given(
    texts=TEXTS, rule=st.sampled_from(["google", "hfl", "lossless"]), length=st.integers(5, 40), seed=st.integers(0, 99)
)
def test_examples_do_not_depend_on_how_the_text_arrives(texts, rule, length, seed):
    settings = ShardSettings(length, rule)
    in_blocks, one = pack(texts, settings, random.Random(seed).random)
    at_once, other = pack(["".join(texts)], settings, random.Random(seed).random)
    assert in_blocks == at_once
    assert (one.num_documents, one.num_sentences, one.num_kept) == (
        other.num_documents,
        other.num_sentences,
        other.num_kept,
    )
    assert all(len(first) + len(second) + 2 + bool(second) <= length for first, second in in_blocks)
    assert one.num_kept == sum(len(first) + len(second) for first, second in in_blocks)


@given(texts=TEXTS, length=st.integers(5, 40), seed=st.integers(0, 99))
def test_lossless_rule_uses_every_token_once_and_in_order(texts, length, seed):
    examples, packer = pack(texts, ShardSettings(length, "lossless"), random.Random(seed).random)
    used = [index for first, second in examples for index in (*first, *second)]
    assert used == Tokenizer(SMALL).encode("".join(texts))
    assert packer.num_kept == packer.num_tokens == len(used)
    assert all(first for first, _ in examples)


def test_lossless_rule_never_joins_documents():
    text = "一一一\n\n二二二\n三三\n\n四\n"
    examples, packer = pack([text], ShardSettings(30, "lossless"), lambda: 0.9)
    assert ["".join(SMALL.tokens[i] for i in (*first, *second)) for first, second in examples] == [
        "一一一",
        "二二二三三",
        "四",
    ]
    assert packer.num_documents == 3 and packer.num_sentences == 4


def test_lossless_rule_makes_pairs_as_often_as_the_corrected_rule():
    rng = random.Random(3)
    lines = ["".join(rng.choices(CHARACTERS, k=rng.randint(5, 25))) for _ in range(6000)]
    text = "\n".join(line + ("\n" if number % 40 == 39 else "") for number, line in enumerate(lines)) + "\n"
    shares = {}
    for rule in ("google", "lossless"):
        examples, _ = pack([text], ShardSettings(64, rule), random.Random(0).random)
        shares[rule] = np.mean([bool(second) for _, second in examples])
    assert abs(shares["google"] - shares["lossless"]) < 0.03
    assert 0.8 < shares["google"] < 0.95


def test_share_of_single_segments_and_of_short_examples_is_configured():
    text = "一二三四五\n" * 4000
    for single, short in ((0.0, 0.0), (0.5, 0.0), (1.0, 0.5)):
        settings = ShardSettings(64, single_segment_prob=single, short_sequence_prob=short)
        examples, _ = pack([text], settings, random.Random(0).random)
        assert abs(np.mean([not second for _, second in examples]) - single) < 0.07
        lengths = [len(first) + len(second) for first, second in examples[:-1]]
        assert abs(np.mean([length < 55 for length in lengths]) - short * 0.85) < 0.08


def test_word_starts_follow_their_tokens_and_begin_every_segment():
    settings = dataclasses.replace(ShardSettings(12, "lossless"), word_starts=True, short_sequence_prob=0)
    packer = Packer(SMALL, settings, lambda: 0.5)
    text = "一二三四五六七八九十一二三四\n"
    encoded = Tokenizer(SMALL).encode_lines(text)
    starts = np.arange(len(encoded.ids)) % 4 == 0
    packed = [packer.add(encoded.ids, starts, *boundaries(encoded, text)), packer.end_document()]
    (first,), (second,) = (np.split(part.word_starts, np.cumsum(part.lengths)[:-1]) for part in packed)
    assert first.tolist() == [True, True, False, False, False, True, False, False, False, True, True]
    assert second.tolist() == [True, True, False, False, True, False, True]

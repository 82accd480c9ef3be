import json
import random

import numpy as np
import pytest
from conftest import shared_file
from hypothesis import given
from hypothesis import strategies as st

from electra_paddle.batch import TokenBatch
from electra_paddle.data.build import build_pretraining_data
from electra_paddle.data.corpus import read_documents, split_sentences
from electra_paddle.data.loader import PretrainingBatches
from electra_paddle.data.masking import mask_batch
from electra_paddle.data.packing import Packer
from electra_paddle.data.shards import Shards
from electra_paddle.errors import ConfigError, DataError
from electra_paddle.text import Tokenizer, Vocabulary


def test_documents_end_at_blank_lines_and_at_the_end_of_a_file(tmp_path):
    (tmp_path / "a.txt").write_text("一\n二\n\n\n三", encoding="utf-8")
    (tmp_path / "b.txt").write_text("四\n", encoding="utf-8")
    assert list(read_documents([tmp_path / "a.txt", tmp_path / "b.txt"])) == [["一", "二"], ["三"], ["四"]]


def test_sentences_keep_their_closing_quotes():
    assert split_sentences("他说：“好。”然后走了！真的？！") == ["他说：“好。”", "然后走了！", "真的？！"]


@given(st.text(alphabet="一二。！？；”…a "))
def test_cutting_sentences_loses_nothing(text):
    assert "".join(split_sentences(text)) == text


def test_packing_equals_the_reference_where_no_randomness_is_left():
    golden = json.loads(shared_file("golden/packing.json").read_text(encoding="utf-8"))
    lines = shared_file("golden/packing_corpus.txt").read_text(encoding="utf-8").split("\n")
    tokenizer = Tokenizer(Vocabulary.load(shared_file("data/vocab.txt")))
    cases = [case for case in golden["deterministic"] if case["rule"] == "google_2020_03_16"]
    assert cases
    for case in cases:
        documents = [[]]
        for line in lines[: case["first_lines"]]:
            if line.strip():
                documents[-1].append(tokenizer.encode(line))
            else:
                documents.append([])
        packer = Packer(case["max_seq_length"], lambda value=case["constant_uniform"]: value)
        assert [[len(first), len(second)] for first, second in packer.pack(documents)] == case["part_lengths"]


def test_packing_statistics_lie_within_four_standard_errors_of_the_reference():
    golden = json.loads(shared_file("golden/packing.json").read_text(encoding="utf-8"))
    lines = shared_file("golden/packing_corpus.txt").read_text(encoding="utf-8").split("\n")
    tokenizer = Tokenizer(Vocabulary.load(shared_file("data/vocab.txt")))
    documents = [[]]
    for line in lines:
        if line.strip():
            documents[-1].append(tokenizer.encode(line))
        else:
            documents.append([])
    for result in golden["results"]:
        if result["rule"] != "google_2020_03_16":
            continue
        runs = [
            list(Packer(result["max_seq_length"], random.Random(seed).random).pack(documents)) for seed in range(20)
        ]
        ours = {
            "n_examples": np.mean([len(run) for run in runs]),
            "share_two_segments": np.mean([np.mean([bool(second) for _, second in run]) for run in runs]),
            "mean_first": np.mean([np.mean([len(first) for first, _ in run]) for run in runs]),
        }
        for name, value in ours.items():
            error = result["sd"][name] * (2 / 20) ** 0.5
            assert abs(value - result["mean"][name]) <= 4 * error, name


WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *(chr(0x4E00 + number) for number in range(60))]


@pytest.fixture
def corpus(tmp_path):
    rng = random.Random(0)
    lines = []
    for _ in range(40):
        lines += ["".join(rng.choices(WORDS[5:], k=rng.randint(3, 40))) for _ in range(6)] + [""]
    (tmp_path / "corpus.txt").write_text("\n".join(lines), encoding="utf-8")
    Vocabulary(WORDS).save(tmp_path / "vocab.txt")
    return tmp_path


def build(folder, out="shards", **options):
    return build_pretraining_data(folder / "corpus.txt", folder / "vocab.txt", folder / out, 32, **options)


def test_shards_hold_what_was_packed(corpus):
    manifest = build(corpus)
    vocabulary = Vocabulary.load(corpus / "vocab.txt")
    shards = Shards(corpus / "shards", vocabulary)
    documents = read_documents([corpus / "corpus.txt"])
    encoded = ([Tokenizer(vocabulary).encode(line) for line in document] for document in documents)
    examples = list(Packer(32, random.Random(0).random).pack(encoded))
    assert len(shards) == len(examples) == manifest["num_examples"]
    for number, (first, second) in enumerate(examples):
        ids, start = shards[number]
        expected = [vocabulary.cls, *first, vocabulary.sep] + ([*second, vocabulary.sep] if second else [])
        assert ids.tolist() == expected and start == len(first) + 2


def test_two_processes_build_the_same_bytes_as_one(corpus):
    build(corpus, "one")
    build(corpus, "two", num_processes=2)
    files = sorted(path.name for path in (corpus / "one").iterdir())
    assert files == sorted(path.name for path in (corpus / "two").iterdir())
    assert all((corpus / "one" / name).read_bytes() == (corpus / "two" / name).read_bytes() for name in files)


def test_shards_are_not_overwritten_unless_told(corpus):
    build(corpus)
    before = (corpus / "shards/manifest.json").read_bytes()
    with pytest.raises(ConfigError, match="--overwrite"):
        build(corpus, seed=1)
    assert (corpus / "shards/manifest.json").read_bytes() == before
    build(corpus, seed=1, overwrite=True)
    assert (corpus / "shards/manifest.json").read_bytes() != before


def test_folder_of_something_else_is_never_replaced(corpus):
    (corpus / "thesis").mkdir()
    (corpus / "thesis/chapter.txt").touch()
    with pytest.raises(ConfigError, match="holds something else"):
        build(corpus, "thesis", overwrite=True)
    assert (corpus / "thesis/chapter.txt").exists()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "no text"),
        (b"\n \n\n", "no text"),
        ("好\n坏".encode() + b"\xff\n", "corpus.txt:2: found invalid UTF-8 at byte 3"),
    ],
)
def test_useless_corpus_ends_in_an_error_and_leaves_nothing(corpus, content, message):
    (corpus / "corpus.txt").write_bytes(content)
    with pytest.raises(DataError, match=message):
        build(corpus)
    assert sorted(path.name for path in corpus.iterdir()) == ["corpus.txt", "vocab.txt"]


def test_shards_of_another_vocabulary_are_refused(corpus):
    build(corpus)
    with pytest.raises(DataError, match="another vocabulary"):
        Shards(corpus / "shards", Vocabulary([*WORDS, "新"]))


def test_truncated_shard_is_named(corpus):
    build(corpus)
    path = corpus / "shards/shard_00000.tokens.npy"
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(DataError, match="shard_00000.tokens.npy: found a damaged"):
        Shards(corpus / "shards", Vocabulary(WORDS))


def batches(corpus, rank=0, num_processes=1, seed=7):
    vocabulary = Vocabulary(WORDS)
    shards = Shards(corpus / "shards", vocabulary)
    return PretrainingBatches(shards, vocabulary, 8, 32, 0.15, 5, seed, rank, num_processes)


def test_two_ranks_see_together_what_one_sees(corpus):
    build(corpus)
    whole, halves = batches(corpus), [batches(corpus, rank, 2) for rank in (0, 1)]
    for number in (0, 3, 50):
        together = whole[number]
        first, second = (half[number] for half in halves)
        for array, one, other in list(zip(together, first, second, strict=True))[:7]:
            assert (array == np.concatenate([one, other])).all()
        assert first.mlm_normalizer == second.mlm_normalizer == together.mlm_normalizer / 2


def test_batch_depends_on_seed_and_number_only(corpus):
    build(corpus)
    loader = batches(corpus)
    late = loader[40]
    assert all((a == b).all() for a, b in zip(late, batches(corpus)[40], strict=True))
    assert not (late.input_ids == batches(corpus, seed=8)[40].input_ids).all()
    streamed = list(loader.iterate(38, 42))
    assert len(streamed) == 4 and (streamed[2].masked_input_ids == late.masked_input_ids).all()


def test_every_epoch_holds_every_example_once(corpus):
    build(corpus)
    loader = batches(corpus)
    count = len(loader.shards)
    for epoch in (0, 1):
        assert sorted(loader._example(epoch * count + place) for place in range(count)) == list(range(count))


def test_masking_hides_the_stated_share_and_never_special_tokens():
    vocabulary, rng = Vocabulary(WORDS), np.random.default_rng(0)
    ids = rng.integers(5, len(WORDS), (400, 64))
    lengths = rng.integers(3, 65, 400)
    mask = (np.arange(64) < lengths[:, None]).astype(np.int64)
    ids[:, 0] = vocabulary.cls
    ids[np.arange(400), lengths - 1] = vocabulary.sep
    ids *= mask
    batch = mask_batch(TokenBatch(ids, np.zeros_like(ids), mask), vocabulary, 0.15, 9, rng)
    used = batch.masked_weights > 0
    expected = np.maximum(1, np.minimum(9, np.rint(lengths.astype(np.float32) * np.float32(0.15))))
    assert (used.sum(1) == np.minimum(expected, lengths - 2)).all()
    for row in range(400):
        chosen = batch.masked_positions[row][used[row]]
        assert len(set(chosen)) == len(chosen)
        assert not {vocabulary.cls, vocabulary.sep, vocabulary.pad} & set(ids[row, chosen])
    changed = batch.masked_input_ids != ids
    assert set(batch.masked_input_ids[changed]) == {vocabulary.mask}
    assert abs(changed.sum() / used.sum() - 0.85) < 0.02
    assert (batch.masked_labels[used] == np.take_along_axis(ids, batch.masked_positions, 1)[used]).all()


def test_error_in_the_background_reaches_the_caller(corpus):
    build(corpus)
    loader = batches(corpus)
    loader.vocabulary = None
    with pytest.raises(AttributeError):
        list(loader.iterate(0, 3))

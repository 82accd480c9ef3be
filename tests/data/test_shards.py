import contextlib
import json
import random

import numpy as np
import pytest
from small_corpus import WORDS, build

from electra_paddle.data import shards as module
from electra_paddle.data.packing import Packed
from electra_paddle.data.shards import Shards, ShardWriter, read_manifest, verify
from electra_paddle.errors import DataError
from electra_paddle.text import Vocabulary


def test_files_grow_and_hold_what_was_added(tmp_path):
    rng = np.random.default_rng(0)
    writer = ShardWriter(tmp_path, "shard_00000", 30_000, has_word_starts=True)
    everything = []
    for _ in range(5):
        lengths = rng.integers(3, 20, 7)
        ids, starts = rng.integers(0, 30_000, lengths.sum()), rng.random(lengths.sum()) < 0.5
        everything.append(Packed(ids, starts, lengths, rng.integers(2, 4, 7)))
        writer.add(everything[-1])
    entry = writer.close()
    ids, starts, lengths, seconds = (np.concatenate(arrays) for arrays in zip(*everything, strict=True))
    assert entry["num_examples"] == 35 and entry["num_tokens"] == len(ids)
    tokens = np.load(tmp_path / "shard_00000.tokens.npy")
    assert tokens.dtype == np.uint16 and (tokens == ids).all()
    examples = np.load(tmp_path / "shard_00000.examples.npy")
    assert (np.diff(examples[:, 0]) == lengths).all() and (examples[:-1, 1] == seconds).all()
    bits = np.unpackbits(np.load(tmp_path / "shard_00000.words.npy"))[: len(ids)]
    assert (bits == starts).all()
    assert sorted(entry["sha256"]) == sorted(path.name for path in tmp_path.iterdir())


def test_large_vocabularies_get_wide_ids(tmp_path):
    writer = ShardWriter(tmp_path, "s", 100_000)
    writer.add(Packed(np.array([2, 99_999, 3]), None, np.array([3]), np.array([3])))
    writer.close()
    assert np.load(tmp_path / "s.tokens.npy").tolist() == [2, 99_999, 3]


def test_nothing_has_its_name_before_it_is_whole(tmp_path):
    writer = ShardWriter(tmp_path, "s", 100)
    writer.add(Packed(np.array([2, 3]), None, np.array([2]), np.array([2])))
    assert all(path.suffix == ".partial" for path in tmp_path.iterdir())
    writer.discard()
    assert not list(tmp_path.iterdir())


def test_rows_are_read_padded_in_the_order_asked_for(corpus):
    build(corpus, word_starts=True, size=2000)
    shards = Shards(corpus / "shards")
    assert len(shards.manifest["shards"]) > 3
    numbers = [len(shards) - 1, 0, 5, 5, len(shards) // 2]
    ids, lengths, seconds, words = shards.read(numbers, 40)
    assert ids.shape == words.shape == (5, 40)
    assert (ids[2] == ids[3]).all()
    for row, number in enumerate(numbers):
        one, length, second, word = shards.read([number], 32)
        assert (ids[row, :32] == one[0]).all() and (words[row, :32] == word[0]).all()
        assert lengths[row] == length[0] and seconds[row] == second[0]
        assert not ids[row, lengths[row] :].any() and not words[row, lengths[row] :].any()
    measured = shards.lengths(numbers)
    assert (measured[0] == lengths).all() and (measured[1] == seconds).all()


def test_shards_of_another_vocabulary_are_refused(corpus):
    build(corpus)
    with pytest.raises(DataError, match="another vocabulary"):
        Shards(corpus / "shards", Vocabulary([*WORDS, "新"]))


@pytest.mark.parametrize("kind", ["tokens", "examples"])
def test_truncated_or_missing_file_is_named(corpus, kind):
    build(corpus)
    path = corpus / f"shards/shard_00000.{kind}.npy"
    data = path.read_bytes()
    path.write_bytes(data[:-100])
    with pytest.raises(DataError, match=f"shard_00000.{kind}.npy: found a damaged"):
        Shards(corpus / "shards")
    path.unlink()
    with pytest.raises(DataError, match=f"shard_00000.{kind}.npy: found a damaged or missing"):
        Shards(corpus / "shards")
    np.save(path, np.zeros(3))
    with pytest.raises(DataError, match=r"found an array of shape \(3,\)"):
        Shards(corpus / "shards")


def test_flipped_bit_is_found_and_its_shard_named(corpus):
    build(corpus, size=2000)
    assert verify(corpus / "shards") == read_manifest(corpus / "shards")
    path = corpus / "shards/shard_00002.tokens.npy"
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 4
    path.write_bytes(data)
    (corpus / "shards/shard_00001.examples.npy").unlink()
    with pytest.raises(DataError, match="found shard_00001.examples.npy missing, shard_00002.tokens.npy changed"):
        verify(corpus / "shards")


@pytest.mark.parametrize("content", ["", "[]", '{"format": 1}'])
def test_manifest_of_another_kind_is_refused(tmp_path, content):
    (tmp_path / "manifest.json").write_text(content)
    with pytest.raises(DataError, match="build the shards again"):
        read_manifest(tmp_path)


def test_manifest_says_what_the_shards_are(corpus):
    manifest = build(corpus, seed=3, size=3000)
    assert manifest == json.loads((corpus / "shards/manifest.json").read_text(encoding="utf-8"))
    assert manifest["vocab_sha256"] == Vocabulary(WORDS).sha256
    assert (manifest["num_documents"], manifest["num_sentences"]) == (40, 240)
    assert manifest["seed"] == 3 and manifest["max_seq_length"] == 32 and manifest["segment_rule"] == "google"
    text = (corpus / "corpus.txt").read_bytes()
    assert manifest["num_corpus_tokens"] == len(text.decode().replace("\n", ""))
    assert manifest["sources"] == [
        {"file": "corpus.txt", "bytes": len(text), "sha256": module.sha256(corpus / "corpus.txt")}
    ]
    special = np.sum([np.load(path)[:, 0].size - 1 for path in (corpus / "shards").glob("*.examples.npy")])
    assert special == manifest["num_examples"]
    assert 0.5 < manifest["share_of_tokens_kept"] < 1
    assert manifest["share_of_tokens_kept"] == round(manifest["num_kept_tokens"] / manifest["num_corpus_tokens"], 6)


def test_many_shards_fit_under_the_limit_of_open_files():
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < 4096:
        pytest.skip(f"this machine allows {hard} open files")
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (256, hard))
        module.allow_open_files(1536)
        assert resource.getrlimit(resource.RLIMIT_NOFILE)[0] >= 1536
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def flip(path, rng):
    """Change one bit of a file; returns what it held."""
    data = bytearray(path.read_bytes())
    before = bytes(data)
    data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
    path.write_bytes(data)
    return before


def test_every_flipped_bit_of_a_manifest_is_refused_or_changes_nothing(corpus):
    manifest = build(corpus, size=3000)
    rng, path, num_refused = random.Random(0), corpus / "shards/manifest.json", 0
    for _ in range(300):
        before = flip(path, rng)
        try:
            assert read_manifest(corpus / "shards") == manifest  # white space between entries
        except DataError:
            num_refused += 1
        path.write_bytes(before)
    assert num_refused > 250


@pytest.mark.parametrize("kind", ["examples", "tokens"])
def test_flipped_bits_of_shards_never_end_in_a_traceback_and_checksums_find_all(corpus, kind):
    build(corpus, size=3000)
    rng = random.Random(1)
    paths = sorted((corpus / "shards").glob(f"*.{kind}.npy"))
    for _ in range(60):
        path = rng.choice(paths)
        before = flip(path, rng)
        with contextlib.suppress(DataError):
            shards = Shards(corpus / "shards")
            ids, lengths, seconds, _ = shards.read(range(len(shards)), 32)
            assert ids.max() < len(WORDS) and (lengths > 0).all() and (seconds <= lengths).all()
        with pytest.raises(DataError, match=f"{path.name} changed"):
            verify(corpus / "shards")
        path.write_bytes(before)


def test_shards_of_the_format_before_are_read(corpus):
    manifest = build(corpus, size=3000)
    path = corpus / "shards/manifest.json"
    del manifest["checksum"]
    path.write_text(json.dumps({**manifest, "format": 2}))
    assert len(Shards(corpus / "shards")) == manifest["num_examples"]
    assert build(corpus, size=3000)["format"] == 2  # the same work is not done twice

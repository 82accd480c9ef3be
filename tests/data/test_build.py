import gzip
import json
import lzma
import os
import random
import resource
import signal
import subprocess
import sys
import time
from unittest.mock import Mock

import numpy as np
import pytest
from conftest import ROOT
from small_corpus import WORDS, build, contents, random_text

from electra_paddle.config import ShardSettings
from electra_paddle.data.build import Share, build_pretraining_data, write_vocabulary
from electra_paddle.data.estimate import estimate
from electra_paddle.data.shards import Shards, verify
from electra_paddle.errors import ConfigError, DataError
from electra_paddle.text import Vocabulary

COMMAND = [sys.executable, str(ROOT / "tasks/build_pretraining_data.py")]


@pytest.mark.parametrize("source", ["plain", "compressed", "many"])
def test_any_number_of_workers_builds_the_same_bytes(corpus, source):
    folder = corpus / source
    folder.mkdir()
    if source == "plain":
        (folder / "a.txt").write_text(random_text(1, 200), encoding="utf-8")
    elif source == "compressed":
        (folder / "a.txt.xz").write_bytes(lzma.compress(random_text(1, 400).encode()))
    else:
        for number in range(30):
            (folder / f"{number:02}.txt.gz").write_bytes(gzip.compress(random_text(number, 5).encode()))
    manifest = build(corpus, "one", source, size=5000)
    build(corpus, "two", source, num_workers=2, size=5000)
    build(corpus, "three", source, num_workers=3, size=5000)
    assert len(manifest["shards"]) > 6
    assert contents(corpus / "one") == contents(corpus / "two") == contents(corpus / "three")
    verify(corpus / "one")


def times(folder):
    """When each record of a finished part was written."""
    return {path.name: path.stat().st_mtime_ns for path in folder.glob("part_*.json")}


def test_compressed_corpus_gives_the_examples_of_the_plain_one(corpus):
    text = random_text(1, 100)
    (corpus / "a.txt").write_text(text, encoding="utf-8")
    (corpus / "b.txt.gz").write_bytes(gzip.compress(text.encode()))
    rows = [json.dumps({"body": document}) for document in text.strip("\n").split("\n\n")]
    (corpus / "c.jsonl").write_text("\n".join(rows), encoding="utf-8")
    plain, compressed, rows = (
        build(corpus, name[0], name, text_field=field)
        for name, field in (("a.txt", "text"), ("b.txt.gz", "text"), ("c.jsonl", "body"))
    )
    assert plain["shards"] == compressed["shards"] == rows["shards"]


def test_processes_of_a_job_share_the_work_and_the_last_one_finishes(corpus):
    (corpus / "b.txt.xz").write_bytes(lzma.compress(random_text(1, 100).encode()))
    sources = ["corpus.txt", "b.txt.xz"]
    build(corpus, "alone", sources, size=3000)
    settings = ShardSettings(32)
    arguments = ([corpus / name for name in sources], corpus / "vocab.txt", corpus / "shared", settings)
    assert build_pretraining_data(*arguments, share=Share(1, 3), size=3000) is None
    assert build_pretraining_data(*arguments, share=Share(0, 3), size=3000) is None
    assert not (corpus / "shared").exists()
    records = times(corpus / ".shared.electra-partial")
    assert build_pretraining_data(*arguments, share=Share(1, 3), size=3000) is None  # does nothing twice
    assert records == {
        path.name: path.stat().st_mtime_ns for path in (corpus / ".shared.electra-partial").glob("part_*.json")
    }
    manifest = build_pretraining_data(*arguments, share=Share(2, 3), size=3000)
    assert contents(corpus / "shared") == contents(corpus / "alone")
    assert build_pretraining_data(*arguments, share=Share(0, 3), size=3000) == manifest  # all is there


def test_two_nodes_of_the_launcher_build_what_one_process_builds(corpus, free_port):
    (corpus / "corpus.txt").write_text(random_text(0, 60_000), encoding="utf-8")
    build(corpus, "alone")
    arguments = ["--corpus-dir", "corpus.txt", "--vocab-file", "vocab.txt", "--output-dir", "shared"]
    nodes = [
        subprocess.Popen(
            [sys.executable, "-m", "paddle.distributed.launch", "--nnodes", "2", "--master", f"127.0.0.1:{free_port}"]
            + ["--rank", str(rank), "--nproc_per_node", "1", "--log_dir", f"log{rank}", COMMAND[1], *arguments]
            + ["--max-seq-length", "32"],
            cwd=corpus,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
        )
        for rank in (0, 1)
    ]
    assert [node.wait(timeout=300) for node in nodes] == [0, 0]
    assert len(list((corpus / "shared").glob("*.tokens.npy"))) > 2
    assert contents(corpus / "shared") == contents(corpus / "alone")


def test_killed_again_and_again_the_same_command_ends_with_the_same_bytes(corpus):
    (corpus / "corpus.txt").write_text(random_text(0, 60_000), encoding="utf-8")
    (corpus / "more.txt.xz").write_bytes(lzma.compress(random_text(1, 60_000).encode(), preset=0))
    command = [*COMMAND, "--corpus-dir", "corpus.txt", "more.txt.xz", "--vocab-file", "vocab.txt"]
    command += ["--max-seq-length", "32", "--num-processes", "2", "--output-dir"]
    start = time.monotonic()
    subprocess.run([*command, "whole"], cwd=corpus, stderr=subprocess.DEVNULL, check=True)
    duration = time.monotonic() - start
    command.append("killed")
    rng, before = random.Random(0), {}
    for kills in range(8):
        process = subprocess.Popen(command, cwd=corpus, stderr=subprocess.DEVNULL, start_new_session=True)
        moment = time.monotonic() + rng.uniform(0.1, 0.6) * duration
        while process.poll() is None:  # the first kills come with a part, so that some of the work is done
            if finished_parts(corpus) != before if kills < 2 else time.monotonic() > moment:
                break
            time.sleep(0.005)
        if process.poll() is not None:
            break
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        if (corpus / "killed").exists():  # all was done but to tidy up and to say so
            verify(corpus / "killed")
            break
        assert before.items() <= finished_parts(corpus).items()  # nothing is done twice
        before = finished_parts(corpus)
    assert kills >= 2 and process.returncode in (0, -signal.SIGKILL)
    subprocess.run(command, cwd=corpus, stderr=subprocess.DEVNULL, check=True)
    assert contents(corpus / "killed") == contents(corpus / "whole")
    assert not (corpus / ".killed.electra-partial").exists()


def finished_parts(corpus):
    """Names and times of the records of parts."""
    return times(corpus / ".killed.electra-partial")


def test_kill_after_the_shards_got_their_name_leaves_the_tidying_to_the_next_start(corpus, monkeypatch):
    build(corpus, "whole")
    with monkeypatch.context() as context, pytest.raises(KeyboardInterrupt):
        context.setattr("electra_paddle.data.build.remove_leftovers", Mock(side_effect=KeyboardInterrupt))
        build(corpus, "killed")
    (corpus / "killed/notes.txt").write_text("of the user")
    assert (corpus / "killed/part_00000.json").exists()
    build(corpus, "killed")
    assert contents(corpus / "killed") == {**contents(corpus / "whole"), "notes.txt": b"of the user"}


@pytest.mark.parametrize("delay", [0, 0.3, 0.8])  # while it starts, and while it works
def test_worker_that_is_killed_ends_the_build_with_one_line(corpus, delay):
    (corpus / "corpus.txt").write_text(3 * random_text(0, 60_000), encoding="utf-8")
    command = [*COMMAND, "--corpus-dir", "corpus.txt", "--vocab-file", "vocab.txt", "--output-dir", "out"]
    process = subprocess.Popen([*command, "--num-processes", "2"], cwd=corpus, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and not (workers := spawned(process.pid)):
        time.sleep(0.05)
    time.sleep(delay)
    os.kill(workers[0], signal.SIGKILL)
    _, errors = process.communicate(timeout=120)
    assert process.returncode == 2
    assert "error: --num-processes: found a worker that was killed" in errors and "Traceback" not in errors


def spawned(pid):
    """The workers among a process's children."""
    import psutil

    children = psutil.Process(pid).children()
    return [child.pid for child in children if "spawn_main" in " ".join(child.cmdline())]


def test_full_disk_ends_in_one_line_and_leaves_no_half_shard(corpus):
    (corpus / "corpus.txt").write_text(random_text(0, 60_000), encoding="utf-8")
    command = [*COMMAND, "--corpus-dir", "corpus.txt", "--vocab-file", "vocab.txt", "--output-dir", "out"]

    def shrink():  # a file may not grow beyond what one shard needs
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (2_000_000, 2_000_000))

    result = subprocess.run(command, cwd=corpus, capture_output=True, text=True, preexec_fn=shrink)
    assert result.returncode == 2
    (line,) = (line for line in result.stderr.splitlines() if line.strip() and "build shards" not in line)
    assert (
        ".out.electra-partial: found file too large, expected room to write the shards; finished parts are kept" in line
    )
    assert not (corpus / "out").exists() and not list(corpus.glob(".out.electra-partial/shard*"))
    assert subprocess.run(command, cwd=corpus, capture_output=True).returncode == 0
    assert verify(corpus / "out")["num_documents"] == 60_000


def test_finished_shards_are_left_alone_unless_told(corpus):
    manifest = build(corpus)
    before = contents(corpus / "shards")
    assert build(corpus) == manifest  # the same work is done already
    with pytest.raises(ConfigError, match="made in another way, expected a new folder; give --overwrite"):
        build(corpus, seed=1)
    assert contents(corpus / "shards") == before
    build(corpus, seed=1, overwrite=True)
    assert contents(corpus / "shards") != before


def test_folder_of_something_else_is_never_replaced(corpus):
    (corpus / "thesis").mkdir()
    (corpus / "thesis/chapter.txt").touch()
    with pytest.raises(ConfigError, match="holds something else"):
        build(corpus, "thesis", overwrite=True)
    assert (corpus / "thesis/chapter.txt").exists()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "corpus.txt: found an empty file"),
        (b"\n \n\n", "no text"),
        ("好\n坏".encode() + b"\xff\n", "corpus.txt: found invalid UTF-8 at byte 7"),
    ],
)
@pytest.mark.parametrize("num_workers", [1, 2])
def test_useless_corpus_ends_in_an_error_and_leaves_nothing(corpus, content, message, num_workers):
    (corpus / "corpus.txt").write_bytes(content)
    with pytest.raises(DataError, match=message):
        build(corpus, num_workers=num_workers)
    assert {path.name for path in corpus.iterdir()} == {"corpus.txt", "vocab.txt"}


def test_parts_before_a_damaged_one_are_kept_and_skipping_goes_on_from_them(corpus):
    text = random_text(0, 100).encode()
    (corpus / "corpus.txt").write_bytes(text + b"\xff\n\n" + text)
    with pytest.raises(DataError, match=f"invalid UTF-8 at byte {len(text):,}"):
        build(corpus, size=5000)
    records = sorted((corpus / ".shards.electra-partial").glob("part_*.json"))
    times = [path.stat().st_mtime_ns for path in records[:-1]]
    assert len(times) > 2
    with pytest.raises(DataError, match="invalid UTF-8"):
        build(corpus, size=5000)
    assert times == [path.stat().st_mtime_ns for path in records[:-1]]
    manifest = build(corpus, size=5000, on_error="skip")
    assert manifest["skipped"] == {"lines of invalid UTF-8": 1}
    assert manifest["num_documents"] == 200


def test_changed_corpus_is_built_anew(corpus):
    (corpus / "corpus.txt").write_bytes(random_text(0, 50).encode() + b"\xff")
    with pytest.raises(DataError):
        build(corpus, size=3000)
    (corpus / "corpus.txt").write_bytes(random_text(1, 50).encode())
    build(corpus, size=3000)
    build(corpus, "fresh", size=3000)
    assert contents(corpus / "shards") == contents(corpus / "fresh")


def test_strange_texts_do_no_harm(corpus):
    text = "一\0二\n" + "\n" * 1000 + "三" * 3000 + "\n" + "x" * 5000 + "\n\n"
    (corpus / "corpus.txt").write_text(text, encoding="utf-8")
    manifest = build(corpus, segment_rule="lossless")
    assert manifest["num_corpus_tokens"] == 2 + 3000 + 1 and manifest["num_kept_tokens"] == 3003


def test_line_of_ten_million_characters_needs_bounded_memory(corpus):
    (corpus / "corpus.txt").write_text("一二三四五" * 2_000_000, encoding="utf-8")
    program = (
        "import sys; from electra_paddle.cli import main; status = main(sys.argv[1:]);"
        "print(*(line.split()[1] for line in open('/proc/self/status') if line.startswith('VmHWM'))); sys.exit(status)"
    )
    arguments = ["build_pretraining_data", "--corpus-dir", "corpus.txt", "--vocab-file", "vocab.txt"]
    result = subprocess.run(
        [sys.executable, "-c", program, *arguments, "--output-dir", "out", "--segment-rule", "lossless"],
        cwd=corpus,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert int(result.stdout.split()[-1]) < 400_000  # kB
    assert verify(corpus / "out")["num_kept_tokens"] == 10_000_000


@pytest.mark.parametrize("rule", ["google", "hfl", "lossless"])
def test_dry_run_tells_what_the_build_makes(corpus, rule):
    (corpus / "corpus.txt").write_text(random_text(0, 4000), encoding="utf-8")
    settings = ShardSettings(32, rule)
    figures = estimate([corpus / "corpus.txt"], corpus / "vocab.txt", settings)
    manifest = build(corpus, segment_rule=rule)
    assert abs(figures["num_examples"] / manifest["num_examples"] - 1) < 0.02
    assert abs(figures["num_tokens"] / manifest["num_tokens"] - 1) < 0.02
    assert abs(figures["share_of_tokens_kept"][rule] - manifest["share_of_tokens_kept"]) < 0.02
    size = sum(path.stat().st_size for path in (corpus / "shards").glob("*.npy"))
    assert abs(figures["disk_bytes"] / size - 1) < 0.02
    assert figures["seconds"] > 0 and not figures["is_guess"]


@pytest.mark.parametrize(
    "compression", [pytest.param("gz", marks=pytest.mark.slow), pytest.param("xz", marks=pytest.mark.slow), "zst"]
)
def test_dry_run_sees_how_much_compressed_files_hold(corpus, compression):
    import zstandard

    pack = {"gz": gzip.compress, "xz": lzma.compress, "zst": lambda data: zstandard.ZstdCompressor().compress(data)}
    for number in range(4):
        text = random_text(number, 8000).encode()
        (corpus / f"{number}.txt.{compression}").write_bytes(pack[compression](text))
    figures = estimate([corpus / f"*.txt.{compression}"], corpus / "vocab.txt", ShardSettings(32))
    manifest = build(corpus, source=f"*.txt.{compression}")
    assert abs(figures["num_tokens"] / manifest["num_tokens"] - 1) < 0.1
    assert figures["is_guess"]


def test_word_starts_are_those_of_jieba(corpus):
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *"我们喜欢北京大学的图书馆", "app", "##le"]
    Vocabulary(words).save(corpus / "vocab.txt")
    (corpus / "corpus.txt").write_text("我们喜欢北京大学的图书馆apple\n", encoding="utf-8")
    (corpus / "words.txt").write_text("大学的图书馆 100\n", encoding="utf-8")
    expected = {None: "·我们·喜欢·北京大学·的·图书馆·apple", "words.txt": "·我们·喜欢·北京·大学的图书馆·apple"}
    for user_dict, text in expected.items():
        path = user_dict and corpus / user_dict
        build(corpus, f"with_{user_dict}", word_starts=True, user_dict=path)
        ids, lengths, _, starts = Shards(corpus / f"with_{user_dict}").read([0], 32)
        inner = range(1, lengths[0] - 1)
        assert "".join("·" * int(starts[0, i]) + words[ids[0, i]].removeprefix("##") for i in inner) == text
        assert starts[0, 0] and starts[0, lengths[0] - 1]


def test_user_dictionary_is_checked(corpus):
    with pytest.raises(ConfigError, match="expected --word-starts too"):
        build(corpus, user_dict=corpus / "vocab.txt")
    with pytest.raises(DataError, match=r"absent.txt: found no such file"):
        build(corpus, word_starts=True, user_dict=corpus / "absent.txt")


def test_vocabulary_is_made_from_the_corpus(corpus):
    vocabulary = write_vocabulary([corpus / "corpus.txt"], corpus / "new.txt", 150, ShardSettings())
    text = (corpus / "corpus.txt").read_text(encoding="utf-8").replace("\n", "")
    counts = sorted(map(text.count, WORDS[5:]), reverse=True)
    kept = [word for word in WORDS[5:] if word in vocabulary.ids]
    assert len(vocabulary) == 150 and len(kept) > 20
    assert sorted(map(text.count, kept), reverse=True) == counts[: len(kept)]  # the most frequent characters
    assert Vocabulary.load(corpus / "new.txt").sha256 == vocabulary.sha256
    with pytest.raises(ConfigError, match="which exists"):
        write_vocabulary([corpus / "corpus.txt"], corpus / "new.txt", 150, ShardSettings())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--max-seq-length", "4"], "max_seq_length: found 4, expected at least 5"),
        (["--short-sequence-prob", "2"], "short_sequence_prob: found 2.0, expected between 0 and 1"),
        (["--num-processes", "0"], "--num-processes: found 0, expected at least 1"),
    ],
)
def test_impossible_options_are_refused(corpus, arguments, message):
    command = [*COMMAND, "--corpus-dir", "corpus.txt", "--vocab-file", "vocab.txt", "--output-dir", "out", *arguments]
    result = subprocess.run(command, cwd=corpus, capture_output=True, text=True)
    assert result.returncode == 2 and message in result.stderr
    assert not list(corpus.glob("out*"))


def test_examples_are_shown_as_text(corpus):
    build(corpus, word_starts=True)
    command = [sys.executable, "-m", "electra_paddle", "inspect_shards", "shards", "--vocab-file", "vocab.txt"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    result = subprocess.run(
        [*command, "--first", "2", "--count", "1"], cwd=corpus, capture_output=True, text=True, env=environment
    )
    assert result.returncode == 0
    ids, lengths, _, _ = Shards(corpus / "shards").read([2], 32)
    shown = result.stdout.splitlines()[-1]
    tokens = "".join(WORDS[index] for index in ids[0, : lengths[0]])
    assert shown.replace(" ", "").replace("·", "") == tokens
    assert "·" in shown and f"2: {lengths[0]} tokens" in result.stdout
    result = subprocess.run(
        [*command, "--first", "9999999"], cwd=corpus, capture_output=True, text=True, env=environment
    )
    assert result.returncode == 2 and "--first: found 9999999" in result.stderr


def test_verify_command_names_the_damaged_shard(corpus):
    build(corpus)
    command = [sys.executable, "-m", "electra_paddle", "verify_shards", "shards"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    assert subprocess.run(command, cwd=corpus, capture_output=True, env=environment).returncode == 0
    path = corpus / "shards/shard_00000.tokens.npy"
    tokens = np.load(path)
    tokens[-1] ^= 1
    np.save(path, tokens)
    result = subprocess.run(command, cwd=corpus, capture_output=True, text=True, env=environment)
    assert result.returncode == 2 and "shard_00000.tokens.npy changed" in result.stderr

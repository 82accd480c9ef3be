import lzma

import pytest

from electra_paddle.cli import main
from electra_paddle.data.mixture import mix, read_mixture
from electra_paddle.errors import ConfigError, DataError

TABLE = """
seed: 3
held_out: 0.1
files:
  news.txt: {share: 0.5, licence: CC0, source: here}
  tales.txt.xz: {share: 2, licence: MIT, source: there}
"""


@pytest.fixture
def folder(tmp_path):
    """400 documents of news, 50 of tales, each of two lines."""
    folder = tmp_path / "files"
    folder.mkdir()
    (folder / "news.txt").write_text("\n".join(f"news {n}\nmore {n}\n" for n in range(400)), encoding="utf-8")
    with lzma.open(folder / "tales.txt.xz", "wt", encoding="utf-8") as stream:
        stream.write("\n\n".join(f"tale {n}\nend {n}" for n in range(50)))
    (tmp_path / "table.yaml").write_text(TABLE, encoding="utf-8")
    return folder


def read(path):
    with lzma.open(path, "rt", encoding="utf-8") as stream:
        return [part.strip() for part in stream.read().split("\n\n")]


def test_shares_are_kept_and_held_out_documents_are_never_trained_on(folder, tmp_path):
    record = mix(folder, tmp_path / "out", read_mixture(tmp_path / "table.yaml"))
    news, tales = (read(tmp_path / f"out/training/{name}.txt.xz") for name in ("news", "tales"))
    held_out = read(tmp_path / "out/held_out/news.txt.xz") + read(tmp_path / "out/held_out/tales.txt.xz")
    assert 130 < len(news) < 230
    assert len(set(news)) == len(news)
    assert 20 < len(held_out) < 75
    assert not set(held_out) & {*news, *tales}
    assert all(tales.count(tale) == 2 for tale in tales)
    assert {*tales, *held_out} >= {f"tale {n}\nend {n}" for n in range(50)}
    assert record["news.txt"]["training"] == {"documents": len(news), "characters": sum(map(len, news)) + len(news)}


def test_same_seed_makes_the_same_bytes_and_another_file_changes_nothing(folder, tmp_path):
    mixture = read_mixture(tmp_path / "table.yaml")
    mix(folder, tmp_path / "one", mixture)
    mix(folder, tmp_path / "two", mixture.model_copy(update={"files": {"news.txt": mixture.files["news.txt"]}}))
    path = "training/news.txt.xz"
    assert (tmp_path / "one" / path).read_bytes() == (tmp_path / "two" / path).read_bytes()
    mix(folder, tmp_path / "three", mixture.model_copy(update={"seed": 4}))
    assert read(tmp_path / "one" / path) != read(tmp_path / "three" / path)


def test_traditional_documents_are_converted_at_their_share(tmp_path):
    pytest.importorskip("opencc")
    (tmp_path / "talk.txt").write_text("\n".join("漢字轉換\n" for _ in range(200)), encoding="utf-8")
    (tmp_path / "table.yaml").write_text(
        "files: {talk.txt: {share: 1, simplified: 0.5, licence: CC0, source: here}}", encoding="utf-8"
    )
    mix(tmp_path, tmp_path / "out", read_mixture(tmp_path / "table.yaml"))
    texts = read(tmp_path / "out/training/talk.txt.xz")
    assert len(texts) == 200
    assert 70 < texts.count("汉字转换") < 130
    assert set(texts) == {"汉字转换", "漢字轉換"}


def test_missing_file_is_named_before_anything_is_written(folder, tmp_path):
    (folder / "tales.txt.xz").unlink()
    with pytest.raises(DataError, match="tales.txt.xz: found no such file"):
        mix(folder, tmp_path / "out", read_mixture(tmp_path / "table.yaml"))
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ("files: {a.txt: {share: 0, licence: x, source: y}}", "files.a.txt.share: found 0"),
        ("files: {a.txt: {share: 1, source: y}}", "files.a.txt.licence"),
        ("files: {}", "files"),
        ("file: {}", "files"),
        ("a: [", "no valid YAML"),
    ],
)
def test_table_that_does_not_fit_is_refused_by_its_entry(table, message, tmp_path):
    (tmp_path / "table.yaml").write_text(table, encoding="utf-8")
    with pytest.raises(ConfigError, match=message):
        read_mixture(tmp_path / "table.yaml")


def test_command_prints_the_shares_and_leaves_a_filled_folder_alone(folder, tmp_path, capsys):
    arguments = ["mix_corpus", str(folder), str(tmp_path / "out"), "--mixture", str(tmp_path / "table.yaml")]
    assert main(arguments) == 0
    assert "characters for training" in capsys.readouterr().out
    assert main(arguments) == 2
    assert "which is not empty" in capsys.readouterr().err

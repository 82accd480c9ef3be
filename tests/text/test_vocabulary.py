import pytest

from electra_paddle.errors import DataError
from electra_paddle.text import Tokenizer, Vocabulary, build_vocabulary, vocabulary

WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "我"]


def write(path, words):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(words) + "\n", encoding="utf-8")


def test_missing_special_token_is_named(tmp_path):
    write(tmp_path / "vocab.txt", ["[PAD]", "[UNK]", "[CLS]", "我"])
    with pytest.raises(DataError, match=r"vocab.txt: found no \[SEP\] \[MASK\] in 4 lines"):
        Vocabulary.load(tmp_path / "vocab.txt")


def test_built_vocabulary_has_special_tokens_where_chinese_bert_has_them(tmp_path):
    vocabulary = build_vocabulary(["我爱你，我爱学习 learning learned"] * 3, 130)
    assert [vocabulary.pad, vocabulary.unk, vocabulary.cls, vocabulary.sep, vocabulary.mask] == [0, 100, 101, 102, 103]
    assert {"我", "爱", "，"} <= set(vocabulary.tokens)
    assert Tokenizer(vocabulary).encode("我爱你").count(vocabulary.unk) == 0
    vocabulary.save(tmp_path / "vocab.txt")
    assert Vocabulary.load(tmp_path / "vocab.txt").sha256 == vocabulary.sha256


def test_built_vocabulary_leaves_room_for_pieces_of_words_where_characters_would_take_it_all():
    characters = "".join(map(chr, range(0x4E00, 0x4E00 + 400)))
    vocabulary = build_vocabulary([characters, "learning learned teacher 2024 " * 50], 400)
    tokenizer = Tokenizer(vocabulary)
    assert tokenizer.encode("teach near 42").count(vocabulary.unk) == 0
    assert len(set(characters) & set(vocabulary.tokens)) > 200


@pytest.fixture
def fetched(tmp_path, monkeypatch):
    """Path of what every fetch brings."""
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "cache/vocab.txt"
    monkeypatch.setattr(vocabulary, "fetch_file", lambda repository, filename, asked: path)
    return path


@pytest.mark.parametrize("name", ["chinese-electra-base", "hfl/chinese-electra-base-generator"])
def test_vocabulary_of_a_released_model_is_loaded_by_name(fetched, tmp_path, name):
    write(fetched, WORDS)
    assert len(Vocabulary.load(name)) == len(Vocabulary.load(tmp_path.joinpath(name).relative_to(tmp_path))) == 6


def test_file_comes_before_a_released_model_of_that_name(fetched, tmp_path):
    write(fetched, WORDS)
    write(tmp_path / "chinese-electra-base", [*WORDS, "你"])
    assert len(Vocabulary.load("chinese-electra-base")) == 7


def test_messages_name_what_was_asked_for(fetched):
    write(fetched, WORDS[:4])
    with pytest.raises(DataError, match=r"^chinese-electra-base: found no \[MASK\] in 4 lines"):
        Vocabulary.load("chinese-electra-base")


def test_unknown_name_is_a_missing_file(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(DataError) as error:
        Vocabulary.load("chinese-legal-electra-small-ex")
    assert str(error.value) == (
        "chinese-legal-electra-small-ex: found no such file or directory, expected a vocabulary, one token a line, "
        "or the name of a published model such as chinese-electra-180g-base"
    )


def test_vocabulary_of_a_text_whose_tokens_are_equally_frequent_is_the_same_every_time():
    rare = " ".join(chr(0x4E00 + number) for number in range(600))
    latin = " ".join(f"{a}{b}{c}" for a in "abcdefg" for b in "hijklmn" for c in "opqrstu")
    built = {build_vocabulary([rare, latin], size).sha256 for size in (450, 450, 450, 450)}
    assert len(built) == 1
    assert len({build_vocabulary([rare, latin], 900).sha256 for _ in range(3)}) == 1

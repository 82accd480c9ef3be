import pytest
from conftest import ROOT

from electra_paddle.data.cloze import read_cloze
from electra_paddle.errors import DataError
from electra_paddle.text import Vocabulary

VOCABULARY = Vocabulary(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *"今天气很好，我"])


def test_answer_is_masked_at_its_place_and_rows_are_padded(tmp_path):
    (tmp_path / "cloze.txt").write_text("今天天[气]很好\n\n[我]好\n", encoding="utf-8")
    cloze = read_cloze(tmp_path / "cloze.txt", VOCABULARY)
    assert cloze.masked_input_ids.tolist() == [[2, 5, 6, 6, 4, 8, 9, 3], [2, 4, 9, 3, 0, 0, 0, 0]]
    assert cloze.masked_positions.tolist() == [[4], [1]]
    assert cloze.answers.tolist() == [[7], [11]]
    assert cloze.attention_mask.sum(axis=1).tolist() == [8, 4]


@pytest.mark.parametrize("line", ["今天天气", "[今]天[天]气", "今天[天气]很好", "今天[猫]很好", "今天[]很好"])
def test_line_without_exactly_one_answer_of_one_token_is_refused_by_its_number(line, tmp_path):
    (tmp_path / "cloze.txt").write_text(f"今天天[气]很好\n{line}\n", encoding="utf-8")
    with pytest.raises(DataError, match=r"cloze.txt:2: found .*one \[answer\]"):
        read_cloze(tmp_path / "cloze.txt", VOCABULARY)


def test_empty_and_missing_files_are_refused(tmp_path):
    (tmp_path / "cloze.txt").write_text("\n", encoding="utf-8")
    with pytest.raises(DataError, match="no sentence"):
        read_cloze(tmp_path / "cloze.txt", VOCABULARY)
    with pytest.raises(DataError, match="no readable file"):
        read_cloze(tmp_path / "none.txt", VOCABULARY)


def test_the_sentences_that_come_with_the_package_are_two_hundred():
    path = ROOT / "configs/pretraining/cloze.txt"
    characters = sorted(set(path.read_text(encoding="utf-8")) - set("\n[]"))
    vocabulary = Vocabulary(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *characters])
    cloze = read_cloze(path, vocabulary)
    assert len(cloze.answers) == 200
    assert (cloze.masked_input_ids != vocabulary.unk).all()

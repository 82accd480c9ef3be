import pytest
from small_corpus import WORDS, random_text

from electra_paddle.text import Vocabulary


@pytest.fixture
def corpus(tmp_path):
    """A folder with a vocabulary and a corpus of one file."""
    (tmp_path / "corpus.txt").write_text(random_text(0), encoding="utf-8")
    Vocabulary(WORDS).save(tmp_path / "vocab.txt")
    return tmp_path

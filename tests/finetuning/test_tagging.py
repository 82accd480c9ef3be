import numpy as np
import pytest

from electra_paddle.config import FinetuningConfig
from electra_paddle.errors import ConfigError, DataError
from electra_paddle.finetuning.description import TaskDescription
from electra_paddle.finetuning.kinds.base import make_kind
from electra_paddle.finetuning.kinds.tagging import TagAnswer, TaggingExample, TaggingPrediction
from electra_paddle.finetuning.problems import Problems
from electra_paddle.text import SPECIAL_TOKENS, Tokenizer, Vocabulary

LABELS = ("O", "B-PER", "I-PER")
DESCRIPTION = TaskDescription("ner", "tagging", "bio", columns={"token": 0, "tag": 1}, labels=LABELS)
TOKENIZER = Tokenizer(Vocabulary([*SPECIAL_TOKENS, "一", "丁", "七", "ab", "##c"]))


def kind(description=DESCRIPTION, **entries):
    return make_kind(description, FinetuningConfig(**entries))


def read(path, content, split="train", on_error="stop", description=DESCRIPTION):
    path.write_text(content, encoding="utf-8")
    problems = Problems(on_error)
    return kind(description).read(path, split, problems), problems


def test_blank_lines_end_sentences(tmp_path):
    examples, _ = read(tmp_path / "t.txt", "\n一 O\n丁\tB-PER\r\n\n\n七 O")
    assert [(example.tokens, example.tags) for example in examples] == [(("一", "丁"), (0, 1)), (("七",), (0,))]
    assert examples[1].where.endswith("t.txt:6")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("一 O\n丁 B-ORG\n", r"t.txt:1: found tag 'B-ORG' in this sentence, expected O or B-PER or I-PER"),
        ("一 O\n丁\n", r"t.txt:2: found 1 columns, expected 2"),
        ("一\n丁\n", r"t.txt:1: found 0 tags for 2 tokens"),
    ],
)
def test_bad_line_is_named_and_its_sentence_skipped_as_a_whole(tmp_path, content, message):
    content += "\n七 O\n"
    with pytest.raises(DataError, match=message):
        read(tmp_path / "t.txt", content)
    examples, problems = read(tmp_path / "t.txt", content, on_error="skip")
    assert [example.tokens for example in examples] == [("七",)] and len(problems.errors) == 1


def test_test_split_may_lack_tags(tmp_path):
    examples, _ = read(tmp_path / "t.txt", "一\n丁\n\n七\n", "test")
    assert [example.tags for example in examples] == [(-1, -1), (-1,)]
    assert not kind().is_labelled(examples)


def test_lists_of_tokens_in_json_are_read_too(tmp_path):
    description = TaskDescription(
        "ner", "tagging", "jsonl", columns={"token": "words", "tag": "ner"}, labels=LABELS, metric="accuracy"
    )
    content = '{"words": ["一", "丁"], "ner": ["O", "I-PER"]}\n'
    assert read(tmp_path / "t.jsonl", content, description=description)[0][0].tags == (0, 2)
    with pytest.raises(DataError, match=r"t.jsonl:1: found 1 tags for 2 tokens"):
        read(tmp_path / "t.jsonl", content.replace(', "I-PER"', ""), description=description)


def test_first_piece_of_a_token_has_its_tag_and_what_makes_no_piece_is_unknown():
    example = TaggingExample("0", "t:1", ("abc", "\u200b", "一"), (1, 2, 0))
    (feature,) = kind().featurize(4, example, TOKENIZER)
    assert feature == (4, [2, 8, 9, 1, 5, 3], [1, 3, 4], [1, 2, 0])
    batch = kind().collate([feature], 8)
    assert batch.labels.tolist() == [[-1, 1, -1, 2, 0, -1, -1, -1]]


def test_long_sentence_makes_several_sequences_and_gets_all_its_tags():
    example = TaggingExample("0", "t:1", ("一", "丁", "abc", "七", "一"), (0, 1, 2, 0, 1))
    tagging = kind(max_seq_length=5)
    features = tagging.featurize(0, example, TOKENIZER)
    assert [len(feature.input_ids) for feature in features] == [4, 5, 3]
    answers = []
    for feature in features:
        tags = np.full(len(feature.input_ids), -5)
        tags[feature.firsts] = feature.tags
        answers.append(TagAnswer(tags, np.ones(len(tags))))
    features = [feature._replace(firsts=np.array(feature.firsts)) for feature in features]
    assert tagging.predict([example], features, answers, TOKENIZER)[0].tags == list(example.tags)


def test_entities_are_scored_as_wholes():
    examples = [TaggingExample("0", "t:1", tuple("一丁七一"), (1, 2, 0, 1))]
    scores = kind().score(examples, [TaggingPrediction([1, 0, 0, 1], [1.0] * 4)])
    assert scores == {"f1": 50.0, "precision": 50.0, "recall": 50.0, "accuracy": 75.0}


def test_tags_that_mark_no_entities_are_compared_by_accuracy():
    layout = {"columns": {"token": 0, "tag": 1}, "labels": ("NN", "VV")}
    own = kind(TaskDescription("pos", "tagging", "bio", **layout))
    assert own.main_metric == "accuracy" and kind().main_metric == "f1"
    examples = [TaggingExample("0", "t:1", tuple("一丁"), (0, 1))]
    assert own.score(examples, [TaggingPrediction([0, 0], [1.0] * 2)]) == {"accuracy": 50.0}
    with pytest.raises(ConfigError, match="metric: found f1, expected accuracy"):
        kind(TaskDescription("pos", "tagging", "bio", **layout, metric="f1"))


def test_between_tabs_a_space_is_a_token_like_any_other(tmp_path):
    content = "一\tB-PER\n \tO\n\u3000\tO\n七\tI-PER\r\n\n\t\n丁\tO\n"
    examples, problems = read(tmp_path / "t.txt", content)
    assert [example.tokens for example in examples] == [("一", " ", "\u3000", "七"), ("丁",)] and not problems.errors
    (feature,) = kind().featurize(0, examples[0], TOKENIZER)
    assert feature.firsts == [1, 2, 3, 4] and list(feature.tags) == list(examples[0].tags)


def test_between_spaces_a_space_is_a_token_too(tmp_path):
    examples, problems = read(tmp_path / "t.txt", "一 B-PER\n  O\n\u3000 O\n七 I-PER\n  \n丁 O\n")
    assert [example.tokens for example in examples] == [("一", " ", "\u3000", "七"), ("丁",)] and not problems.errors


def test_words_may_be_parted_by_spaces(tmp_path):
    examples, _ = read(tmp_path / "t.txt", "一  B-PER\n 七 I-PER \n\n丁 O\n")
    assert [example.tokens for example in examples] == [("一", "七"), ("丁",)]

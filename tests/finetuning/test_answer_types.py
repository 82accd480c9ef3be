"""Reading comprehension whose questions may have no answer, or yes or no."""

import json

import numpy as np
import pytest
from finetuning.conftest import CHARACTERS, QUICK

import electra_paddle
from electra_paddle.config import FinetuningConfig
from electra_paddle.errors import ConfigError
from electra_paddle.finetuning.comprehension.squad import Question
from electra_paddle.finetuning.description import TaskDescription
from electra_paddle.finetuning.kinds.base import make_kind
from electra_paddle.finetuning.kinds.reading_comprehension import ReadingPrediction
from electra_paddle.finetuning.problems import Problems
from electra_paddle.finetuning.thresholds import best_cut
from electra_paddle.models.answers import Answer, TypeScores, told_answer
from electra_paddle.models.probabilities import logit
from electra_paddle.text import Tokenizer, Vocabulary
from electra_paddle.text.windows import ANSWER_TYPES

CONTEXT = "一二三四五六七八九十"
TOKENIZER = Tokenizer(Vocabulary(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *CONTEXT, *"甲乙"]))
PASSAGE = {"id": "1", "question": "甲", "answers": [{"text": "三四", "answer_start": 2}], "is_impossible": "false"}
YES = {"id": "2", "question": "乙", "answers": [{"text": "YES", "answer_start": -1}], "is_impossible": "false"}
NO = {"id": "3", "question": "甲乙", "answers": [{"text": "NO", "answer_start": -1}], "is_impossible": "false"}
OF_CJRC = {"id": "4", "question": "乙", "answers": [{"text": "", "answer_start": -1}], "is_impossible": "true"}
OF_SQUAD = {"id": "5", "question": "乙", "answers": [], "is_impossible": True, "plausible_answers": [{"text": "五"}]}
ALL = (PASSAGE, YES, NO, OF_CJRC, OF_SQUAD)


DESCRIBED = ("span", "none", "yes_no")


def reader(types=DESCRIBED, **entries):
    description = TaskDescription("quiz", "reading_comprehension", "squad", answer_types=types)
    return make_kind(description, FinetuningConfig(**{"max_seq_length": 16, "max_query_length": 4, **entries}))


def read(kind, folder, *entries, split="train"):
    path = folder / f"{split}.json"
    path.write_text(json.dumps({"data": [{"paragraphs": [{"context": CONTEXT, "qas": entries}]}]}), "utf-8")
    problems = Problems("skip")
    return kind.read(path, split, problems), problems


@pytest.mark.parametrize("split", ["train", "dev", "test"])
def test_types_are_read_from_files_as_cjrc_and_squad_have_them(split, tmp_path):
    kind = reader()
    questions, problems = read(kind, tmp_path, *ALL, split=split)
    assert [question.answer_type for question in questions] == ["span", "yes", "no", "none", "none"]
    assert not problems.errors and not problems.left_out
    assert kind.count_labels(questions) == {"span": 1, "none": 2, "yes": 1, "no": 1}
    assert [kind.gold(question) for question in questions] == [["三四"], ["YES"], ["NO"], [""], [""]]


def test_right_about_no_answer_counts_fully_however_the_file_says_it(tmp_path):
    """By the metric alone an empty prediction has no word in common with an empty answer."""
    kind = reader()
    questions, _ = read(kind, tmp_path, OF_CJRC, OF_SQUAD, split="dev")
    assert [question.answers for question in questions] == [(), ()]
    scores = kind.score(questions, [predicted("", no_answer=0.9)] * 2)
    assert scores["em"] == scores["f1"] == scores["none_accuracy"] == 100


def test_types_that_the_description_lacks_are_refused_with_the_key_that_takes_them(tmp_path):
    questions, problems = read(reader(None), tmp_path, *ALL)
    assert [question.id for question in questions] == ["1"]
    assert [str(error).partition("expected ")[2] for error in problems.errors] == [
        "an answer that stands in the text, or answer_types with yes_no in the task's description",
        "an answer that stands in the text, or answer_types with yes_no in the task's description",
        *["at least one in training and dev data, or answer_types with none in the task's description"] * 2,
    ]


def test_contradictions_and_passages_that_say_no_are_what_they_are(tmp_path):
    contradiction = {**PASSAGE, "is_impossible": True}
    placed = {"id": "6", "question": "乙", "answers": [{"text": "no", "answer_start": 0}]}
    kind, path = reader(), tmp_path / "train.json"
    qas = [contradiction, placed]
    path.write_text(json.dumps({"data": [{"paragraphs": [{"context": "no 一", "qas": qas}]}]}), "utf-8")
    problems = Problems("skip")
    assert [question.answer_type for question in kind.read(path, "train", problems)] == ["span"]
    assert "found is_impossible, and the answer '三四', expected one of both" in str(problems.errors[0])


def test_settings_that_cannot_learn_types_are_refused():
    with pytest.raises(ConfigError, match="answerable_classifier: found false with answer_types none"):
        reader(answerable_classifier=False)
    with pytest.raises(ConfigError, match="compat: found reference with answer_types span, none, yes_no"):
        reader(compat="reference")
    with pytest.raises(ConfigError, match="answer_types: found 'maybe', expected span or none or yes_no"):
        TaskDescription(kind="reading_comprehension", answer_types=("span", "maybe"))
    with pytest.raises(ConfigError, match="answer_types: found 'none', expected .* of `kind: reading_comprehension`"):
        TaskDescription(answer_types=("none",))


def test_loss_is_that_of_places_and_of_types(tmp_path):
    """By hand: cross entropies of start and end at [CLS], BCE of none, cross entropy of neither, yes and no."""
    import paddle

    from electra_paddle.models.reading_comprehension import ReadingScores, reading_loss
    from electra_paddle.training.transfer import to_tensors

    kind = reader(max_seq_length=20)
    questions, _ = read(kind, tmp_path, *ALL)
    rows = [row for number, question in enumerate(questions) for row in kind.featurize(number, question, TOKENIZER)]
    assert [(row.start, row.end) for row in rows] == [(5, 6), (0, 0), (0, 0), (0, 0), (0, 0)]
    batch = kind.collate(rows)
    assert batch.answer_types.tolist() == [0, 2, 3, 1, 1]

    def network(input_ids, *_):
        flat = paddle.zeros(input_ids.shape)
        logits = paddle.to_tensor([[0.0, 1.0, 3.0]]).expand([5, 3])
        return ReadingScores(flat, flat, paddle.full([5], 2.0), None, logits)

    loss = float(kind.forward(network, to_tensors(batch)).loss)
    places = 5 * np.log(batch.input_ids.shape[1])
    none = 3 * np.log1p(np.exp(2)) + 2 * np.log1p(np.exp(-2))
    types = 5 * np.log(1 + np.exp(1) + np.exp(3)) - (0 + 1 + 3 + 0 + 0)
    assert loss == pytest.approx(places + 0.5 * (none + types), rel=1e-5)
    with pytest.raises(AssertionError):
        reading_loss(network(paddle.zeros([5, 4])), *[paddle.zeros([5], "int64")] * 2, paddle.zeros([5]), 0.5)


def predicted(text, **types):
    return ReadingPrediction(text, [Answer(text, 0.0, 0.0, 2, 4)], "", TypeScores(**types))


def test_answer_is_what_is_most_probable():
    kind = reader()
    cases = {
        "三四": predicted("三四", no_answer=0.4, yes=0.3, no=0.2),
        "": predicted("三四", no_answer=0.6, yes=0.3, no=0.2),
        "YES": predicted("三四", no_answer=0.9, yes=0.6, no=0.3),
        "NO": predicted("三四", no_answer=0.1, yes=0.3, no=0.5),
    }
    for text, prediction in cases.items():
        assert kind.decide(prediction).text == text == kind.plain(prediction)["text"]
    assert kind.plain(cases["YES"]) == {"text": "YES", "score": 0.6, "start": 0, "end": 0}
    strict = reader(qa_na_threshold=-1.0)
    assert strict.decide(cases["三四"]).text == "" == strict.plain(cases["三四"])["text"]
    assert told_answer([], TypeScores()) == {"text": "", "score": 0.0, "start": 0, "end": 0}


def test_threshold_is_chosen_by_the_average_on_dev():
    kind = reader()
    questions = [
        Question("1", "", "甲", CONTEXT, ("三四",), (2,), answer_type="span"),
        Question("2", "", "甲", CONTEXT, answer_type="none"),
        Question("3", "", "甲", CONTEXT, answer_type="none"),
        Question("4", "", "甲", CONTEXT, ("YES",), (-1,), answer_type="yes"),
    ]
    predictions = [predicted("三四", no_answer=value) for value in (0.1, 0.2, 0.9)]
    predictions.append(predicted("三四", yes=0.9, no_answer=0.15))  # decided without the threshold
    assert kind.open_choices == ["qa_na_threshold"]
    chosen = kind.choose(questions, predictions)
    assert chosen["qa_na_threshold"] == pytest.approx((logit(0.1) + logit(0.2)) / 2)
    settled = kind.with_settings(chosen)
    decided = [settled.decide(prediction) for prediction in predictions]
    assert [prediction.text for prediction in decided] == ["三四", "", "", "YES"]
    scores = settled.score(questions, decided)
    assert (scores["average"], scores["span_f1"], scores["none_accuracy"], scores["yes_no_accuracy"]) == (100,) * 4


@pytest.mark.parametrize(
    ("values", "gains", "cut"),
    [
        ([], [], 0.0),
        ([-3.0, -1.0, 2.0], [-1, 1, 1], -2.0),
        ([-3.0, -1.0, 2.0], [-1, -1, 1], 0.0),  # 0 lies between
        ([1.0, 3.0], [-1, -1], 26.5),  # never
        ([-3.0, -1.0], [1, 1], -26.5),  # always
        ([2.0, 2.0, 4.0], [1, -3, 1], 3.0),  # equal ones together
        ([-np.inf, np.inf], [-1, 1], 0.0),
    ],
)
def test_cut_has_the_highest_sum_above_it(values, gains, cut):
    assert best_cut(np.array(values), np.array(gains)) == cut


@pytest.fixture(scope="module")
def trained(tmp_path_factory, model_dir):
    """A run on questions of all types; the first character of a question says which."""
    data_dir = tmp_path_factory.mktemp("quiz")
    folder = data_dir / "finetuning_data/quiz"
    folder.mkdir(parents=True)
    asked = {name: CHARACTERS[number] for number, name in enumerate(ANSWER_TYPES)}
    for split, size in (("train", 80), ("dev", 24)):
        paragraphs = []
        for number in range(size):
            name = ANSWER_TYPES[number % 4]
            context = asked[name] * 4 + "".join(np.random.default_rng([number, size]).choice(CHARACTERS[8:], 8))
            answers = {"span": (context[2:4], 2), "none": ("", -1), "yes": ("YES", -1), "no": ("NO", -1)}
            text, start = answers[name]
            qas = [{"id": str(number), "question": asked[name] * 3, "answers": [{"text": text, "answer_start": start}]}]
            paragraphs.append({"context": context, "qas": qas})
        (folder / f"{split}.json").write_text(json.dumps({"data": [{"paragraphs": paragraphs}]}))
    description = TaskDescription("quiz", "reading_comprehension", "squad", answer_types=DESCRIBED)
    return electra_paddle.finetune(
        description,
        data_dir=data_dir,
        init_checkpoint=model_dir,
        output_dir=data_dir / "out",
        model_hparam_overrides={"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0},
        num_train_epochs=20,
        max_seq_length=32,
        num_trials=2,
        ensemble=True,
        **QUICK,
    )


def test_types_are_learned_and_the_model_is_used_as_it_was_scored(trained, tmp_path):
    scores = trained.trials[0]["dev"]
    assert scores["none_accuracy"] == scores["yes_no_accuracy"] == 100 and scores["span_em"] > 10
    assert trained.combined["ensemble"]["dev"]["none_accuracy"] == 100
    task = json.loads((trained.models[0] / "task.json").read_text())
    assert task["answer_types"] == [*DESCRIBED] and isinstance(task["chosen"]["qa_na_threshold"], float)
    asked = [(CHARACTERS[number] * 4 + "".join(CHARACTERS[10:18]), CHARACTERS[number] * 3) for number in range(4)]
    for folder in (trained.models[0], trained.ensemble_model):
        told = electra_paddle.from_finetuned(folder).predict(asked)
        assert [answer["text"] for answer in told][1:] == ["", "YES", "NO"] and told[0]["text"]


def test_hub_module_answers_alike(trained, tmp_path):
    from electra_paddle.hub.module import ElectraModule

    asked = [(CHARACTERS[number] * 4 + "".join(CHARACTERS[10:18]), CHARACTERS[number] * 3) for number in range(4)]
    told = electra_paddle.from_finetuned(trained.models[0]).predict(asked)
    own_class = type("Quiz", (ElectraModule,), {"name": "quiz", "summary": "", "directory": ""})
    module = own_class(pretrained=trained.models[0])
    for answer, mine in zip(module.predict([list(pair) for pair in asked]), told, strict=True):
        assert answer["text"] == mine["text"] and answer["score"] == pytest.approx(mine["score"], abs=1e-5)

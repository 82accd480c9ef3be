import json

import numpy as np
import pytest

from electra_paddle.config import FinetuningConfig
from electra_paddle.errors import DataError
from electra_paddle.finetuning.comprehension.squad import Question
from electra_paddle.finetuning.description import TaskDescription
from electra_paddle.finetuning.features import Features
from electra_paddle.finetuning.kinds.base import make_kind
from electra_paddle.finetuning.kinds.reading_comprehension import ReadingPrediction
from electra_paddle.finetuning.problems import Problems
from electra_paddle.models.answers import Answer, TypeScores, annotated_spans
from electra_paddle.text import Tokenizer, Vocabulary

CONTEXT = "一二三四五六七八九十"
TOKENIZER = Tokenizer(Vocabulary(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *CONTEXT, *"甲乙"]))


def reader(**entries):
    entries = {"max_seq_length": 10, "doc_stride": 2, "max_query_length": 4, **entries}
    return make_kind(TaskDescription("quiz", "reading_comprehension", "squad"), FinetuningConfig(**entries))


def quiz(name, *answers, context=CONTEXT, text="甲乙"):
    entries = [{"text": answer, "answer_start": start} for answer, start in answers]
    return {"context": context, "qas": [{"id": name, "question": text, "answers": entries}]}


def read(path, split, *quizzes, on_error="skip", **entries):
    """(ids of the questions that are read, the Problems)."""
    path = path / f"{split}.json"
    path.write_text(json.dumps({"data": [{"paragraphs": list(quizzes)}]}), encoding="utf-8")
    problems = Problems(on_error)
    return [question.id for question in reader(**entries).read(path, split, problems)], problems


def test_question_about_an_empty_context_is_told(tmp_path):
    data = {"context": " ", "qas": [{"id": "1", "question": "?", "answers": [{"text": "a", "answer_start": 0}]}]}
    names, problems = read(tmp_path, "train", data, quiz("2", ("三", 2)))
    assert names == ["2"] and "found an empty context" in str(problems.errors[0])
    names, problems = read(tmp_path, "dev", data, quiz("2", ("三", 2)))
    assert names == ["1", "2"] and problems.left_out == {"kept although their context is empty": 1}


def test_question_about_an_empty_context_counts_in_the_scores():
    kind, questions = reader(), [*QUESTIONS, Question("3", "f: 3", "甲", "", ("a",), (0,))]
    predictions = predict(kind, questions)
    assert [prediction.text for prediction in predictions] == ["九十", "二三四五", ""]
    assert kind.score(questions, predictions)["em"] == pytest.approx(200 / 3)


def test_question_without_an_answer_among_others_is_right_without_one():
    kind, questions = reader(), [*QUESTIONS, Question("3", "f: 3", "甲", CONTEXT)]
    assert kind.is_labelled(questions)
    predictions = predict(kind, questions)
    right = predictions[:2] + [predictions[2]._replace(text="")]
    wrong = predictions[:2] + [predictions[2]._replace(text="九")]
    assert [kind.score(questions, each)["em"] for each in (right, wrong)] == [100, pytest.approx(200 / 3)]


def test_answer_that_is_no_passage_is_refused_in_every_labelled_split(tmp_path):
    for split in ("train", "dev", "test"):
        names, problems = read(tmp_path, split, quiz("1", ("YES", -1)), quiz("2", ("三", 2)))
        assert names == ["2"] and "answer 'YES', expected an answer that stands in the text" in str(problems.errors[0])


def test_answers_without_a_place_are_counted(tmp_path):
    data = {"context": CONTEXT, "qas": [{"id": "1", "question": "?", "answers": [{"text": "三"}]}]}
    names, problems = read(tmp_path, "dev", data)
    assert names == ["1"] and problems.left_out == {
        "kept with the first place of their answer, as none is annotated": 1
    }


def test_training_questions_need_an_answer_that_stands_in_the_text(tmp_path):
    quizzes = [
        quiz("1", ("三四", 2)),
        quiz("2", ("甲乙", 2)),
        quiz("3"),
        quiz("4", ("", 0)),
        quiz("5", ("三", 2), text=" "),
    ]
    names, problems = read(tmp_path, "train", *quizzes)
    assert names == ["1"]
    found = [str(error).partition("question ")[2] for error in problems.errors]
    no_answer = "found no answer, expected at least one in training and dev data"
    no_answer += ", or answer_types with none in the task's description"
    assert found == [
        "2: found answer '甲乙', expected an answer that stands in the text",
        f"3: {no_answer}",
        f"4: {no_answer}",
        "5: found an empty question, expected text in training data",
    ]
    with pytest.raises(DataError, match="question 2"):
        read(tmp_path, "train", *quizzes, on_error="stop")


def test_misplaced_answers_are_counted(tmp_path, capsys):
    names, problems = read(tmp_path, "train", quiz("1", ("三四", 5)))
    problems.report("train.json")
    assert names == ["1"] and not problems.errors
    assert "1 rows kept with the nearest place of their answer" in capsys.readouterr().err


def test_the_original_s_rejections_are_left_out_and_counted(tmp_path):
    quizzes = [quiz("1", ("三四", 2)), quiz("2", ("甲乙", 2)), quiz("3", ("九十", 9))]
    names, problems = read(tmp_path, "train", *quizzes, compat="reference")
    assert names == ["1"] and list(problems.left_out.values()) == [2]


def test_all_answered_questions_of_dev_are_kept(tmp_path):
    quizzes = [quiz("1", ("三", 5)), quiz("2", ("三", 2), text=""), quiz("3")]
    names, problems = read(tmp_path, "dev", *quizzes)
    assert names == ["1", "2"] and len(problems.errors) == 1 and list(problems.left_out.values()) == [1, 1]


def test_a_test_split_may_lack_answers(tmp_path):
    assert read(tmp_path, "test", quiz("1"), quiz("2", ("三", 2)))[0] == ["1", "2"]


def predict(kind, questions):
    """Predictions if the network finds just what is annotated."""
    rows = [row for number, question in enumerate(questions) for row in kind.featurize(number, question, TOKENIZER)]
    features = Features.pack(kind.feature_class, rows)
    return kind.predict(questions, features, [annotated_spans(row) for row in features], TOKENIZER)


QUESTIONS = [
    Question("1", "f: 1", "甲", CONTEXT, ("九十", "十"), (8, 9)),
    Question("2", "f: 2", "乙", CONTEXT, ("二三四五",), (1,)),
]


def test_annotated_answers_come_back_and_score_in_full():
    kind = reader()
    predictions = predict(kind, QUESTIONS)
    assert [prediction.text for prediction in predictions] == ["九十", "二三四五"]
    assert kind.score(QUESTIONS, predictions) == {"average": 100, "f1": 100, "em": 100, "em_ceiling": 100}


def test_ceiling_is_what_the_length_limit_lets_through():
    kind = reader(max_answer_length=2)
    predictions = predict(kind, QUESTIONS)
    assert [prediction.text for prediction in predictions] == ["九十", ""]
    assert kind.score(QUESTIONS, predictions)["em_ceiling"] == 50


def test_length_limit_is_the_original_s_in_reference_mode():
    assert reader().max_answer_length == 200 and reader(compat="reference").max_answer_length == 30
    assert reader(compat="reference", max_answer_length=7).max_answer_length == 7


def test_scores_count_every_question():
    predictions = [ReadingPrediction(text, [Answer(text, 0, 0)], text) for text in ("十", "二三")]
    scores = reader().score(QUESTIONS, predictions)
    assert scores["em"] == 50 and scores["f1"] == pytest.approx(100 * (1 + 2 * 2 / (2 + 4)) / 2)


def test_batch_has_labels_and_padding():
    kind = reader()
    rows = kind.featurize(0, QUESTIONS[1], TOKENIZER) + kind.featurize(1, Question("3", "f: 3", "甲", "一"), TOKENIZER)
    batch = kind.collate(rows)
    assert batch.input_ids.shape == (len(rows), 10)
    assert (batch.start_positions[0], batch.end_positions[0]) == (4, 7) and batch.start_positions[-1] == -1
    assert batch.attention_mask[-1].sum() == 5 and batch.token_type_ids[-1].tolist() == [0] * 3 + [1] * 2 + [0] * 5
    assert kind.collate(rows, 12).input_ids.shape == (len(rows), 12)


def test_unlabelled_rows_and_rows_of_weight_0_have_no_loss():
    import paddle
    from paddlenlp.transformers import ElectraConfig

    from electra_paddle.models.initialization import initialize
    from electra_paddle.training.transfer import to_tensors

    kind = reader()
    shape = {"embedding_size": 8, "hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 1}
    network = kind.build_network(ElectraConfig(vocab_size=20, intermediate_size=8, **shape))
    initialize(network, 0)
    network.eval()
    batch = kind.collate(kind.featurize(0, QUESTIONS[1], TOKENIZER))
    unlabelled = batch._replace(start_positions=batch.start_positions * 0 - 1)
    weightless = batch._replace(weights=np.zeros_like(batch.weights))
    losses = [float(kind.forward(network, to_tensors(each)).loss) for each in (batch, unlabelled, weightless)]
    assert losses[0] > 1 and losses[1:] == [0, 0]
    with paddle.no_grad():
        output = kind.forward(network, to_tensors(batch))
    answers = kind.answers(batch, output)
    assert len(answers) == len(batch.input_ids) and answers[0].ends.shape == (10, 10)


@pytest.mark.parametrize(("num_trials", "names"), [(1, ["quiz_dev"]), (2, ["quiz_dev", "quiz_dev_2"])])
def test_predictions_are_written_as_the_original_does(num_trials, names, tmp_path):
    kind = reader(num_trials=num_trials, write_probabilities=True)
    paths = kind.write_predictions(tmp_path, "dev", 2, QUESTIONS, predict(kind, QUESTIONS))
    folder = tmp_path / "results/quiz_qa"
    assert set(paths) == {folder / f"{name}_{what}.json" for name in names for what in ("preds", "nbest")}
    for name in names:
        text = (folder / f"{name}_preds.json").read_text(encoding="ascii")
        assert json.loads(text) == {"1": "九十", "2": "二三四五"}
        assert json.loads((folder / f"{name}_nbest.json").read_text())["1"][0]["probability"] == 1


def test_questions_in_use_are_pairs():
    kind = reader()
    question = Question("3", "texts[3]", "甲", "一二")
    assert kind.example(3, ("一二", "甲")) == kind.example(3, {"question": "甲", "context": "一二"}) == question
    further = {"context": "一二", "question": "甲", "id": "1"}
    for given in ("甲", ("甲",), ("甲", ""), ("甲", 1), {"question": "甲"}, further):
        with pytest.raises(DataError, match=r"texts\[3\]: found .*, expected \(context, question\)"):
            kind.example(3, given)
    prediction = ReadingPrediction(
        "一", [Answer("一", np.log(3.0), 0.0, 0, 1), Answer("二", 0.0, 0.0, 1, 2)], "", TypeScores(0.2)
    )
    told = {"text": "一", "score": pytest.approx(0.75 * 0.8), "start": 0, "end": 1}
    assert kind.plain(prediction) == told
    assert kind.plain(prediction, True) == (told, {"一": pytest.approx(0.75), "二": pytest.approx(0.25)})
    none = {"text": "", "score": 0.6, "start": 0, "end": 0}
    assert kind.plain(prediction._replace(types=TypeScores(0.6))) == none

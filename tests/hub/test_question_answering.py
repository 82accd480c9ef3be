"""Questions answered by a module, against the fine-tuned directory's own way and by hand."""

import json

import numpy as np
import pytest
from hub.conftest import NAME, WORDS, save_network

from electra_paddle import from_finetuned
from electra_paddle.config import FinetuningConfig
from electra_paddle.errors import ElectraPaddleError
from electra_paddle.finetuning.description import TaskDescription
from electra_paddle.finetuning.kinds.base import TASK, make_kind, task_text
from electra_paddle.tensors import save_tensors

QUESTION = "".join(WORDS[20:24])
CONTEXT = " ".join(["".join(WORDS[5:50]), "".join(WORDS[30:50]), "".join(WORDS[5:30]) * 2])
SETTINGS = {"max_seq_length": 40, "max_query_length": 6, "doc_stride": 10, "n_best_size": 5, "max_answer_length": 7}
VARIANTS = {  # of the head: joint_prediction, answerable_classifier, answerable_uses_start_logits
    "joint": (True, True, True),
    "independent": (False, False, True),
    "joint, never without an answer": (True, False, True),
    "independent, answerability of [CLS]": (False, True, False),
}


def write_reader(folder, shape, variant, **settings):
    """A fine-tuned directory of a reader with weights from a seed; returns the network."""
    from electra_paddle.models.reading_comprehension import ElectraReader, ReadingSettings

    reading = dict(zip(ReadingSettings._fields, VARIANTS[variant], strict=False))
    kind = make_kind(
        TaskDescription("quiz", "reading_comprehension", "squad"),
        FinetuningConfig(**{**SETTINGS, **reading, **settings}),
    )

    def architecture(config):
        config.reading = {**reading, "beam_size": kind.config.beam_size}
        return ElectraReader(config)

    network = save_network(architecture, folder, shape)
    (folder / TASK).write_text(task_text(kind))
    return network


@pytest.fixture
def make(tiny_shape, tmp_path):
    """Make a module from a reader's directory, which is written if need be."""
    from electra_paddle.hub.module import ElectraModule

    class Tiny(ElectraModule):
        name, summary, directory = NAME, "tiny", "nowhere"

    def make(variant="joint", **arguments):
        if not (tmp_path / variant).exists():
            write_reader(tmp_path / variant, tiny_shape, variant)
        return Tiny(pretrained=tmp_path / variant, **arguments)

    make.shape = tiny_shape
    return make


def say_whether_answerable(module, logits):
    """Let the head say of each window that it has no answer with a logit that goes by the number of its tokens."""
    reading = module.model.reading
    forward = reading.forward

    def replaced(hidden, token_type_ids, attention_mask):
        import paddle

        scores = forward(hidden, token_type_ids, attention_mask)
        chosen = [logits[length] for length in attention_mask.sum(axis=1).tolist()]
        return scores._replace(answerable_logit=paddle.to_tensor(chosen, "float32"))

    reading.forward = replaced


@pytest.mark.parametrize("variant", VARIANTS)
def test_fine_tuned_reader_answers_as_it_does_by_itself(make, tmp_path, variant):
    model = make(variant)
    assert model.task == "question-answering"
    contexts = [CONTEXT, CONTEXT[::-1], CONTEXT[40:60]]
    answers = model.predict([[context, QUESTION] for context in contexts])
    pairs = [(context, QUESTION) for context in contexts]
    expected = from_finetuned(tmp_path / variant).predict(pairs)
    assert any(answer["text"] for answer in answers)
    for context, answer, own in zip(contexts, answers, expected, strict=True):
        assert context[answer["start"] : answer["end"]] == answer["text"] == answer["answer"]
        assert own == {"text": answer["text"], "start": answer["start"], "end": answer["end"], "score": own["score"]}
        assert own["score"] == pytest.approx(answer["score"], abs=1e-6)
    named = [{"question": QUESTION, "context": context} for context in contexts]
    assert from_finetuned(tmp_path / variant).predict(named) == expected
    assert model.predict(named) == answers


@pytest.mark.parametrize("length", [12, 40])
def test_both_ways_answer_the_same_where_the_stride_would_leave_gaps_and_in_the_original_s_way(make, tmp_path, length):
    write_reader(tmp_path / "joint", make.shape, "joint", compat="reference", max_seq_length=length, doc_stride=128)
    (answer,) = make().predict([[CONTEXT, QUESTION]])
    (own,) = from_finetuned(tmp_path / "joint").predict([[CONTEXT, QUESTION]])
    assert {name: own[name] for name in ("text", "start", "end")} == {
        name: answer[name] for name in ("text", "start", "end")
    }
    assert own["score"] == pytest.approx(answer["score"], abs=1e-6)
    assert CONTEXT[own["start"] : own["end"]] == own["text"]


def test_pair_in_the_other_order_is_said_once(make, tmp_path, capsys):
    model = make()
    pairs = [[CONTEXT[:4], CONTEXT], [CONTEXT[:4], CONTEXT]]
    with pytest.warns(
        UserWarning, match=r"data\[0\]: a question longer than its context: the order is \[context, q"
    ) as said:
        model.predict(pairs)
    assert len(said) == 1
    from_finetuned(tmp_path / "joint").predict(pairs)
    assert capsys.readouterr().err.count("a question longer than its context: the order is (context, question)") == 1


def test_answer_is_cut_from_the_context_as_it_is_written(make):
    model = make("independent")
    context = f"{WORDS[5]}  ＡＢ\n{WORDS[6]}\u3000{WORDS[7]}"
    (answer,) = model.predict([[context, QUESTION]])
    assert answer["answer"] and answer["answer"] == context[answer["start"] : answer["end"]]


def test_no_answer_if_every_window_says_so_with_the_probability_of_the_least_sure(make):
    model = make()
    context = "".join(WORDS[5:50] + WORDS[5:20])
    rows = model.handler.encode(model.text_tokenizer, (context, QUESTION), options(40)).rows
    lengths = [len(ids) for ((ids, _),) in rows]
    long, short = lengths[0], lengths[-1]
    assert short < long == 40 and set(lengths) == {short, long}
    answers = []
    for logit in (np.log(3.0), -np.log(3.0), -50.0):  # of the last window
        say_whether_answerable(model, {long: 3.0, short: logit})
        answers += model.predict([[context, QUESTION]], max_seq_len=40)
        del model.model.reading.forward
    none, unsure, sure = answers
    assert none == {"text": "", "answer": "", "score": pytest.approx(0.75), "start": 0, "end": 0}
    assert unsure == {**sure, "score": pytest.approx(0.75 * sure["score"])} and sure["answer"]


def options(max_seq_len):
    from electra_paddle.hub.tasks.base import Options

    return Options(max_seq_len, "\002", 5, SETTINGS)


def test_windows_overlap_at_every_length_and_are_those_of_fine_tuning_at_512():
    from electra_paddle.hub.tasks.question_answering import window_settings

    assert window_settings(options(512)._replace(settings={})) == (512, 64, 128)
    assert window_settings(options(512)) == (512, 6, 10)
    assert window_settings(options(128)._replace(settings={})) == (128, 64, 42)


def test_long_context_is_read_to_its_end(make):
    """What a short context answers is found at the end of a long one, where nothing else has a token."""
    model = make("independent")
    passage = CONTEXT[10:20]
    (near,) = model.predict([[passage, QUESTION]], max_seq_len=40)
    (far,) = model.predict([["\n" * 5000 + passage, QUESTION]], max_seq_len=40)
    assert far == {**near, "start": near["start"] + 5000, "end": near["end"] + 5000}


def test_context_without_a_token_has_no_answer(make):
    (answer,) = make("independent").predict([["\u200b", QUESTION]])
    assert answer == {"text": "", "answer": "", "score": 0.0, "start": 0, "end": 0}


def test_answers_do_not_depend_on_the_batch(make):
    model = make()
    items = [[CONTEXT[:number], QUESTION] for number in (20, 60, 100)]
    together = model.predict(items, max_seq_len=24)
    for size in (1, 3):
        for answer, other in zip(model.predict(items, max_seq_len=24, batch_size=size), together, strict=True):
            assert answer == {**other, "score": pytest.approx(other["score"], abs=1e-5)}


@pytest.mark.parametrize("variant", VARIANTS)
def test_saved_parameters_bring_their_variant_of_the_head(make, tiny_run, tmp_path, variant):
    trained = make(variant)
    save_tensors(trained.state_dict(), tmp_path / "head.safetensors")
    plain = type(trained)("question-answering", pretrained=tiny_run, load_checkpoint=tmp_path / "head.safetensors")
    plain.settings = trained.settings
    (answer,), (expected,) = (model.predict([[CONTEXT[:30], QUESTION]]) for model in (plain, trained))
    assert answer == {**expected, "score": pytest.approx(expected["score"], abs=1e-6)}


def test_untrained_head_warns_once(make, tiny_run):
    model = type(make())("question-answering", pretrained=tiny_run)
    with pytest.warns(UserWarning, match="head of question-answering is untrained, its answers mean nothing"):
        model.predict([[CONTEXT, QUESTION]])
    model.predict([[CONTEXT, QUESTION]])


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ("text", 'data: found a plain string, expected a list of items such as [["context", "question"]]'),
        (None, "data: found None"),
        ([CONTEXT], "data[0]: found a plain string, expected a list of two texts; give data such as [["),
        ([[CONTEXT]], 'data[0]: found 1 texts, expected a list of two texts; give data such as [["context", "questi'),
        ([[CONTEXT, QUESTION], [CONTEXT, None]], "data[1]: found None among its texts"),
        ([[CONTEXT, " "]], "data[0]: found an empty question"),
        ([["", QUESTION]], "data[0]: found an empty context"),
        (
            [{"context": CONTEXT, "query": QUESTION}],
            "data[0]: found an object with ['context', 'query'], expected one with ['context', 'question']",
        ),
    ],
)
def test_wrong_data_are_told_in_one_sentence(make, data, message):
    with pytest.raises(ElectraPaddleError) as caught:
        make().predict(data)
    assert message in str(caught.value) and "\n" not in str(caught.value)


def test_readers_are_not_trained_by_the_trainer_of_paddlehub(make):
    with pytest.raises(ElectraPaddleError, match="a task with labels"):
        make().training_step([], 0)


@pytest.mark.slow
def test_exported_reader_answers_on_the_command_line_without_this_package(make, hub, tmp_path):
    from electra_paddle.hub.packaging.module_archive import export_module

    (expected,) = make("independent").predict([[CONTEXT, QUESTION]], max_seq_len=40)
    archive = export_module(tmp_path / "independent", tmp_path / "chinese_electra_reader.tar.gz")
    assert "Successfully installed" in hub.install(archive)
    run = ("run", "chinese-electra-reader", "--max_seq_len", "40")
    (hub.home / "items.txt").write_text(f"{CONTEXT}\t{QUESTION}\n", encoding="utf-8")
    for given in (("--input_text", CONTEXT, QUESTION), ("--input_file", "items.txt")):
        line = hub.command(*run, *given).splitlines()[-1]
        assert json.loads(line) == {**expected, "score": pytest.approx(expected["score"], abs=1e-5)}
    wrong = hub.command(*run, "--input_text", CONTEXT, status=2)
    assert "error: --input_text: found 1 text, expected 2: context and question; a tab stands between the" in wrong

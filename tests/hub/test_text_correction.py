"""Corrections: which characters are looked at, what replaces them, and what is refused."""

import json
import shutil

import numpy as np
import pytest
from conftest import assert_close
from hub.conftest import NAME, WORDS
from hub.test_tasks import assert_same, ids_of

from electra_paddle.errors import ElectraPaddleError
from electra_paddle.hub.module import ElectraModule
from electra_paddle.hub.tasks.candidates import apart
from electra_paddle.text import Vocabulary

TEXT, LONG = "".join(WORDS[5:13]), "".join(WORDS[5:50] * 2)
ALL = {"threshold": 0, "min_score": 0}  # every Chinese character is looked at


class Tiny(ElectraModule):
    name, summary, directory = NAME, "tiny", "nowhere"


@pytest.fixture(scope="module")
def make(tiny_run):
    """Make a module from the weights of the small run."""
    return lambda task="text-correction", **arguments: Tiny(task, **{"pretrained": tiny_run, **arguments})


@pytest.fixture(scope="module")
def model(make):
    return make()


@pytest.fixture(scope="module")
def best_at(tiny_run):
    """A function from a text and a place to (the best Chinese character there, its probability), by PaddleNLP."""
    import paddle
    from paddlenlp.transformers import ElectraGenerator

    from electra_paddle.models import pretrained_directory as pretrained

    network = ElectraGenerator(pretrained.load_config(tiny_run / "generator"))
    pretrained.load_model(network, tiny_run / "generator")
    network.eval()

    def best(text, *places):
        """The first place is asked for, all are masked."""
        ids, types = ids_of(text)
        place = places[0]
        for each in places:
            ids[0, 1 + each] = WORDS.index("[MASK]")
        scores = paddle.nn.functional.softmax(network(ids, types)[0, 1 + place]).numpy()
        number = 5 + scores[5:].argmax()
        return WORDS[number], scores[number]

    return best


def test_characters_that_are_masked_together_are_apart_in_as_few_copies_as_possible():
    assert apart([]) == [] and apart([5]) == [[5]]
    assert apart([1, 2, 17, 18, 19, 40]) == [[1, 17, 40], [2, 18], [19]]
    groups = apart(list(range(1, 511)))
    assert len(groups) == 16 and sorted(place for group in groups for place in group) == list(range(1, 511))


def test_every_character_of_a_short_text_is_masked_for_itself_and_replaced_by_the_best_other_one(model, best_at):
    (answer,) = model.predict([[TEXT]], **ALL)
    best = [best_at(TEXT, place) for place in range(len(TEXT))]
    changed = [place for place, (char, _) in enumerate(best) if char != TEXT[place]]
    assert answer["text"] == TEXT and answer["corrected"] == "".join(char for char, _ in best) != TEXT
    assert [edit["start"] for edit in answer["edits"]] == changed
    for edit in answer["edits"]:
        char, score = best[edit["start"]]
        assert edit["original"] == TEXT[edit["start"]] and edit["suggestion"] == char
        assert_close(edit["score"], score)


def test_thresholds_are_of_the_discriminator_and_of_the_generator(make, model):
    (suspicion,) = make("replaced-token-detection").predict([[TEXT]])
    (everything,) = model.predict([[TEXT]], **ALL)
    middle = float(np.median(suspicion))
    (some,) = model.predict([[TEXT]], threshold=middle, min_score=0)
    expected = [edit for edit in everything["edits"] if suspicion[edit["start"]] >= middle]
    assert 0 < len(expected) < len(everything["edits"])
    assert_same(some["edits"], expected)
    middle = float(np.median([edit["score"] for edit in everything["edits"]]))
    (sure,) = model.predict([[TEXT]], threshold=0, min_score=middle)
    assert_same(sure["edits"], [edit for edit in everything["edits"] if edit["score"] >= middle])


def test_only_chinese_characters_of_the_vocabulary_are_replaced(model):
    text = f"ab, {WORDS[5]}\u3000龘1。{WORDS[6]}[MASK]\n{WORDS[7]}"
    (answer,) = model.predict([[text]], **ALL)
    kept = [char for char in text if char not in WORDS]
    assert answer["edits"] and len(answer["corrected"]) == len(text)
    assert [char for char in answer["corrected"] if char not in WORDS] == kept
    assert {text[edit["start"]] for edit in answer["edits"]} <= set(WORDS[5:8])
    for edit in answer["edits"]:
        assert answer["corrected"][edit["start"]] == edit["suggestion"] != edit["original"] == text[edit["start"]]


def test_long_text_is_corrected_to_its_end_whatever_the_batch_size(model, best_at):
    items = [[LONG], [TEXT], [LONG[3:40]]]
    together = model.predict(items, max_seq_len=24, **ALL)
    assert_same(model.predict(items, max_seq_len=24, batch_size=1, **ALL), together)
    starts = [edit["start"] for edit in together[0]["edits"]]
    assert starts == sorted(set(starts)) and starts[0] < 5 and starts[-1] > len(LONG) - 5
    window = LONG[-22:]  # the last one; its end is answered from it
    assert together[0]["corrected"][-1] == best_at(window, 21, 5)[0]  # places 0 and 16, 1 and 17 and so on are masked


def test_nothing_is_changed_where_no_character_is_suspected_and_by_default_only_what_both_are_sure_of(model):
    (answer,) = model.predict([[TEXT]], threshold=np.float32(1))
    assert answer == {"text": TEXT, "corrected": TEXT, "edits": []}
    assert_same(model.predict([[LONG]]), model.predict([[LONG]], threshold=0.5, min_score=0.5))


def test_detection_names_what_the_generator_finds_more_probable_at_each_suspected_place(make, model):
    detection, (corrected,) = make("replaced-token-detection"), model.predict([[TEXT]], **ALL)
    (probabilities,) = detection.predict([[TEXT]])
    assert not hasattr(detection, "generator")  # it is read when it is asked for
    (answer,) = detection.predict([[TEXT]], candidates=True, threshold=0, top_k=2)
    assert answer["characters"] == list(TEXT)
    assert_close(answer["probabilities"], probabilities)
    assert [suspect["start"] for suspect in answer["suspects"]] == list(range(len(TEXT)))
    for suspect in answer["suspects"]:
        (first, second), original = suspect["candidates"], TEXT[suspect["start"]]
        assert suspect["original"] == original not in (first["token"], second["token"])
        assert first["score"] >= second["score"] and {first["token"], second["token"]} <= set(WORDS[5:])
    best = {suspect["start"]: suspect["candidates"][0] for suspect in answer["suspects"]}
    assert corrected["edits"]
    for edit in corrected["edits"]:
        assert best[edit["start"]]["token"] == edit["suggestion"]
        assert_close(best[edit["start"]]["score"], edit["score"])
    middle = float(np.median(probabilities))
    (some,) = detection.predict([[TEXT]], candidates=True, threshold=middle, output="dict")
    assert [each["start"] for each in some["suspects"]] == [n for n, p in enumerate(probabilities) if p >= middle]
    assert len(some["suspects"][0]["candidates"]) == 5
    (none,) = detection.predict([[TEXT]], candidates=True, threshold=1)
    assert none["suspects"] == []
    (plain,) = detection.predict([[TEXT]], output="dict", candidates=False)
    assert plain.keys() == {"characters", "probabilities"}


def test_detection_without_a_generator_answers_what_it_can(make, tiny_run):
    alone = make("replaced-token-detection", pretrained=tiny_run / "discriminator")
    with pytest.raises(ElectraPaddleError, match="found no generator, expected one"):
        alone.predict([[TEXT]], candidates=True)
    assert len(alone.predict([[TEXT]])[0]) == len(TEXT)


def test_command_prints_and_dict_is_the_answer(model, tiny_run):
    from electra_paddle.hub import command

    arguments = ["--task", "text-correction", "--pretrained", str(tiny_run), "--input_text", TEXT]
    line = command.run(Tiny, [*arguments, "--threshold", "0", "--min_score", "0"])
    detection = ["--task", "replaced-token-detection", *arguments[2:], "--candidates", "--threshold", "0"]
    assert [each["start"] for each in json.loads(command.run(Tiny, detection))["suspects"]] == list(range(len(TEXT)))
    (answer,) = model.predict([[TEXT]], **ALL)
    assert_same(json.loads(line), answer)
    assert model.handler.as_dict(model, [TEXT], answer, None) is answer
    assert_same(model.predict_method(data=[[TEXT]], **ALL), [answer])


def test_pretrained_directories_in_one_folder_are_found_and_one_alone_is_not_enough(make, tiny_run):
    with pytest.raises(
        ElectraPaddleError, match="discriminator: found no generator, expected one, to fill masks; give"
    ):
        make(pretrained=tiny_run / "discriminator")
    with pytest.raises(ElectraPaddleError, match="no discriminator_predictions"):
        make(pretrained=tiny_run / "generator")


def test_networks_with_two_vocabularies_are_refused(make, tiny_run, tmp_path):
    shutil.copytree(tiny_run, tmp_path / "run")
    Vocabulary([*WORDS[:-2], WORDS[-1], WORDS[-2]]).save(tmp_path / "run" / "generator" / "vocab.txt")
    with pytest.raises(ElectraPaddleError, match="generator: found another vocabulary, expected that of"):
        make(pretrained=tmp_path / "run")


@pytest.mark.parametrize(
    ("task", "options", "message"),
    [
        ("text-correction", {"threshold": 2}, "threshold: found 2, expected a number from 0 to 1"),
        ("text-correction", {"min_score": "0.5"}, "min_score: found '0.5', expected a number from 0 to 1"),
        ("text-correction", {"min_score": float("nan")}, "min_score: found nan"),
        ("replaced-token-detection", {"min_score": 0.5}, "min_score: found 0.5, expected None, this task has no use"),
        ("replaced-token-detection", {"candidates": "perhaps"}, "candidates: found 'perhaps', expected true or false"),
        ("text-correction", {"candidates": True}, "candidates: found True, expected None, this task has no use"),
        ("multi-label-cls", {"min_score": 0.5}, "min_score: found 0.5, expected None"),
        ("multi-label-cls", {"threshold": True}, "threshold: found True"),
    ],
)
def test_wrong_options_are_told_in_one_sentence(make, task, options, message):
    with pytest.raises(ElectraPaddleError) as caught:
        make(task).predict([[TEXT]], **options)
    assert message in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.filterwarnings("ignore:.*untrained")
def test_threshold_of_the_caller_goes_before_that_of_fine_tuning(make):
    labels = make("multi-label-cls", num_classes=3)
    for threshold, expected in ((0, [0, 1, 2]), (1, [])):
        assert labels.predict([[TEXT]], threshold=threshold) == [expected]


def test_corrections_are_not_trained_by_the_trainer_of_paddlehub(model):
    with pytest.raises(ElectraPaddleError, match="a task with labels"):
        model.training_step([*ids_of(TEXT), [1]], 0)


@pytest.mark.parametrize(("format", "engine"), [("paddle", "inference"), ("onnx", "onnx")])
@pytest.mark.filterwarnings("ignore:::onnx", "ignore:::onnxruntime")
def test_exported_discriminator_corrects_with_the_module_s_generator(make, model, tmp_path, format, engine):
    make().export(tmp_path / "network", format)
    make("replaced-token-detection").export(tmp_path / "alone", format)
    sizes = [sum(file.stat().st_size for file in (tmp_path / name).iterdir()) for name in ("network", "alone")]
    assert sizes[0] == pytest.approx(sizes[1], rel=0.01)  # the generator is not in it
    items = [[LONG], [TEXT]]
    exported = make(exported=tmp_path / "network").predict(items, max_seq_len=24, engine=engine, **ALL)
    assert_same(exported, model.predict(items, max_seq_len=24, **ALL))


def test_network_of_this_package_finds_a_real_mistake_and_knows_better():
    text = "窗外的雪下得越来越大，路上几呼没有行人。"
    detection = Tiny("replaced-token-detection", pretrained="chinese-electra-nano")
    (answer,) = detection.predict([[text]], candidates=True, threshold=0.1)
    assert max(answer["probabilities"]) == answer["probabilities"][14]
    (suspect,) = (each for each in answer["suspects"] if each["start"] == 14)
    assert suspect["original"] == "呼" and suspect["candidates"][0]["token"] == "乎"


def test_network_of_this_package_fills_a_mask_and_orders_texts_by_meaning():
    fill = Tiny("fill-mask", pretrained="chinese-electra-nano")
    (capital,), (river,) = fill.predict([["中国的首都是北[MASK]。"], ["黑[MASK]江省"]])
    assert capital[0]["token"] == "京" and "龙" in [each["token"] for each in river]
    pairs = [["怎么修改登录密码？", "登录密码在哪里改？"], ["怎么修改登录密码？", "今天会下雨吗？"]]
    alike, other = Tiny("similarity", pretrained="chinese-electra-nano").predict(pairs)
    assert alike > other

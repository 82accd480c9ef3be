"""What the tasks compute, against PaddleNLP's own networks; and what they refuse."""

import inspect
import json
import shutil
import threading
import warnings
from types import SimpleNamespace

import numpy as np
import pytest
from conftest import assert_close
from hub.conftest import NAME, WORDS, save_network

from electra_paddle.errors import ElectraPaddleError
from electra_paddle.hub.prediction import windows
from electra_paddle.tensors import save_tensors
from electra_paddle.text import Vocabulary

SHORT, LONG = "".join(WORDS[5:9]), "".join(WORDS[5:50] * 3)
TEXTS = [[LONG[:30]], [SHORT], [LONG[7:20]]]
IDS = {word: number for number, word in enumerate(WORDS)}


@pytest.fixture(scope="module")
def make(tiny_run):
    """Make a module from the weights of the small run."""
    from electra_paddle.hub.module import ElectraModule

    class Tiny(ElectraModule):
        name, summary, directory = NAME, "tiny", "nowhere"

    return lambda task=None, **arguments: Tiny(task, **{"pretrained": tiny_run, **arguments})


@pytest.fixture
def stock(tiny_run):
    """One of PaddleNLP's networks with those weights."""

    def load(architecture, component="discriminator"):
        import paddlenlp.transformers

        from electra_paddle.models import pretrained_directory as pretrained

        model = getattr(paddlenlp.transformers, architecture)(pretrained.load_config(tiny_run / component))
        pretrained.load_encoder(model, tiny_run / component)
        model.eval()
        return model

    return load


def ids_of(*texts):
    """[CLS] a [SEP] b [SEP] and the token types, as tensors [1, L]."""
    import paddle

    ids, types = [2], [0]
    for number, text in enumerate(texts):
        ids += [*(IDS[char] for char in text), 3]
        types += [number] * (len(text) + 1)
    return paddle.to_tensor([ids]), paddle.to_tensor([types])


def softmax(tensor):
    import paddle.nn.functional as F

    return F.softmax(tensor, axis=-1).numpy()


def test_signatures_are_the_official_ones():
    from electra_paddle.hub.module import ElectraModule

    def names(function):
        return list(inspect.signature(function).parameters)[1:]

    constructor = ["task", "load_checkpoint", "label_map", "num_classes", "suffix"]
    assert names(ElectraModule.__init__)[:5] == list(inspect.signature(ElectraModule).parameters)[:5] == constructor
    texts = [f"{text}_{kind}" for text in ("query", "title") for kind in (
        "input_ids", "token_type_ids", "position_ids", "attention_mask"
    )]  # fmt: skip
    assert names(ElectraModule.forward) == [
        "input_ids", "token_type_ids", "position_ids", "attention_mask", *texts, "seq_lengths", "labels",
    ]  # fmt: skip
    assert names(ElectraModule.predict)[:6] == [
        "data", "max_seq_len", "split_char", "batch_size", "use_gpu", "return_prob",
    ]  # fmt: skip
    assert names(ElectraModule.get_embedding)[:2] == ["data", "use_gpu"]


@pytest.mark.parametrize(
    ("command", "waits"),
    [
        (["/bin/hub", "run", NAME, "--help"], True),
        (["hub.exe", "run", NAME.replace("-", "_")], True),
        (["hub", "run", "another-module"], False),
        (["hub", "serving", NAME], False),
        (["script.py", "run", NAME], False),
    ],
)
def test_module_waits_for_the_arguments_of_hub_run_alone(make, tiny_run, monkeypatch, tmp_path, command, waits):
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HOME", str(tmp_path))
    kind = type(make())
    monkeypatch.setattr(kind, "weights", "chinese-electra-small")
    monkeypatch.setattr("sys.argv", command)
    if waits:
        answer = kind()._run_func(["--pretrained", str(tiny_run), "--input_text", SHORT])
        assert len(json.loads(answer)) == 32
    else:
        with pytest.raises(ElectraPaddleError, match="give pretrained=DIR"):
            kind()


def test_mistake_in_hub_serving_is_one_line_and_elsewhere_an_exception(make, monkeypatch, capsys):
    monkeypatch.setattr("sys.argv", ["/bin/hub", "serving", "start", "-c", "config.json"])
    with pytest.raises(SystemExit) as exit:
        make("classification")
    assert exit.value.code == 2 and capsys.readouterr().err.startswith("error: task: found 'classification', expected")
    monkeypatch.setattr("sys.argv", ["script.py", "serving", "start"])
    with pytest.raises(ElectraPaddleError):
        make("classification")


@pytest.mark.parametrize(
    "task", ["embedding", "seq-cls", "pair-cls", "text-matching", "token-cls", "similarity", "replaced-token-detection"]
)
@pytest.mark.filterwarnings("ignore:.*untrained")
def test_answers_are_the_same_at_every_batch_size_and_in_the_order_of_the_items(make, task):
    model = make(task)
    data = [[*text, SHORT] for text in TEXTS] if model.handler.num_texts == (2,) else [*TEXTS, [LONG]]
    together = model.predict(data, max_seq_len=24, return_prob=model.handler.has_classes)
    for size in (1, 2):
        apart = model.predict(data, max_seq_len=24, batch_size=size, return_prob=model.handler.has_classes)
        assert_same(apart, together)
    assert_same(
        model.predict(data[::-1], max_seq_len=24), (together[0] if model.handler.has_classes else together)[::-1]
    )


def assert_same(answer, other):
    if isinstance(answer, list | tuple):
        assert len(answer) == len(other)
        for part, other_part in zip(answer, other, strict=True):
            assert_same(part, other_part)
    elif isinstance(answer, dict):
        assert answer.keys() == other.keys()
        assert_same(list(answer.values()), list(other.values()))
    else:
        assert answer == pytest.approx(other, abs=1e-5)


def test_embeddings_are_the_encoders_without_padding(make, stock):
    encoder = stock("ElectraDiscriminator").electra
    for (pooled, tokens), (text,) in zip(make().get_embedding(TEXTS), TEXTS, strict=True):
        expected = encoder(*ids_of(text)).numpy()[0]
        assert_close(tokens, expected)
        assert_close(pooled, expected[0])
    ((_, tokens),) = make().predict([[SHORT, LONG[9:12]]])
    assert_close(tokens, encoder(*ids_of(SHORT, LONG[9:12])).numpy()[0])


@pytest.mark.parametrize(
    ("task", "architecture"),
    [("seq-cls", "ElectraForSequenceClassification"), ("token-cls", "ElectraForTokenClassification")],
)
def test_checkpoint_of_an_official_module_loads_and_computes_the_same(make, tiny_run, tmp_path, task, architecture):
    import paddle
    import paddlenlp.transformers

    from electra_paddle.models import pretrained_directory as pretrained

    config = pretrained.load_config(tiny_run / "discriminator")
    config.num_labels = 3
    network = getattr(paddlenlp.transformers, architecture)(config)
    network.eval()
    paddle.save({f"model.{name}": value for name, value in network.state_dict().items()}, str(tmp_path / "m.pdparams"))
    model = make(task, load_checkpoint=str(tmp_path / "m.pdparams"), label_map={"0": "a", "1": "b", "2": "c"})
    (label,), (probabilities,) = model.predict([[SHORT]], return_prob=True)
    expected = softmax(network(*ids_of(SHORT)))[0]
    if task == "token-cls":
        expected = expected[1:-1]
        assert label == ["abc"[number] for number in expected.argmax(-1)]
    else:
        assert label == "abc"[expected.argmax()]
    assert_close(probabilities, expected)


@pytest.mark.filterwarnings("ignore:.*untrained")
def test_pair_in_one_sequence_is_not_two_sequences(make, stock):
    encoder = stock("ElectraDiscriminator").electra
    model = make("pair-cls", num_classes=3)
    _, (probabilities,) = model.predict([[SHORT, LONG[3:9]]], return_prob=True)
    hidden = encoder(*ids_of(SHORT, LONG[3:9]))[:, 0]
    assert_close(probabilities, softmax(model.model.classifier(hidden))[0])


@pytest.mark.filterwarnings("ignore:.*untrained")
def test_matching_and_similarity_are_of_mean_states(make, stock):
    encoder = stock("ElectraDiscriminator").electra
    first, second = (encoder(*ids_of(text))[0].mean(0).numpy() for text in (SHORT, LONG[3:20]))
    (cosine,) = make("similarity").predict([[SHORT, LONG[3:20]]])
    assert cosine == pytest.approx(first @ second / np.linalg.norm(first) / np.linalg.norm(second), abs=1e-5)
    model = make("text-matching")
    _, (probabilities,) = model.predict([[SHORT, LONG[3:20]]], return_prob=True)
    features = np.concatenate([first, second, abs(first - second)])
    logits = features @ model.classifier.weight.numpy() + model.classifier.bias.numpy()
    assert_close(probabilities, np.exp(logits) / np.exp(logits).sum())
    names = dict(zip(("query_input_ids", "query_token_type_ids"), ids_of(SHORT), strict=True))
    names |= dict(zip(("title_input_ids", "title_token_type_ids"), ids_of(LONG[3:20]), strict=True))
    assert_close(model(**names)[0], probabilities)


def test_similarity_is_never_above_one(make):
    answers = make("similarity").predict([[text, text] for text in (SHORT[:length] for length in range(1, 5))])
    assert answers == pytest.approx([1.0] * 4) and max(answers) <= 1


def test_masks_are_filled_by_the_generator(make, tiny_run, tiny_shape):
    from paddlenlp.transformers import ElectraGenerator

    from electra_paddle.models import pretrained_directory as pretrained

    network = ElectraGenerator(pretrained.load_config(tiny_run / "generator"))
    pretrained.load_model(network, tiny_run / "generator")
    network.eval()
    import paddle

    ids = paddle.to_tensor([[2, 5, 4, 7, 4, 3]])
    expected = softmax(network(ids, paddle.zeros_like(ids)))[0]
    (masks,) = make("fill-mask").predict([[f"{WORDS[5]}[MASK]{WORDS[7]}[MASK]"]], top_k=3)
    assert [len(candidates) for candidates in masks] == [3, 3]
    for candidates, place in zip(masks, (2, 4), strict=True):
        best = expected[place].argsort()[::-1][:3]
        assert [candidate["token"] for candidate in candidates] == [WORDS[number] for number in best]
        assert_close([candidate["score"] for candidate in candidates], expected[place][best])


def test_every_mask_of_a_long_text_is_filled(make):
    text = "[MASK]" + LONG[:60] + "[MASK]" + LONG[:60]
    masks, near = make("fill-mask").predict([[text], ["[MASK]" + LONG[:17]]], max_seq_len=20)
    assert len(masks) == 2
    assert_same(masks[0], near[0])


def test_every_character_has_the_probability_of_its_token(make, stock):
    text = f"{WORDS[5]} {WORDS[6]}ab"
    (probabilities,) = make("replaced-token-detection").predict([[text]])
    ids, types = ids_of(WORDS[5] + WORDS[6])
    import paddle

    ids = paddle.concat([ids[:, :3], paddle.to_tensor([[1, 3]])], axis=1)  # "ab" is one unknown word
    logits = stock_logits(stock, ids)
    expected = 1 / (1 + np.exp(-logits))
    assert_close(probabilities, [expected[1], 0, expected[2], expected[3], expected[3]])


def stock_logits(stock, ids):
    import paddle

    from electra_paddle.models import pretrained_directory as pretrained

    network = stock("ElectraDiscriminator")
    arrays, _ = pretrained.read_weights(stock.__closure__[0].cell_contents / "discriminator")
    for name, parameter in network.named_parameters():
        parameter.set_value(arrays[name])
    return network(ids, paddle.zeros_like(ids)).numpy().reshape([-1])


def test_windows_answer_every_token_once_and_keep_context():
    assert windows(5, 8) == [(0, 5, 0, 5)]
    assert windows(20, 8) == [(0, 8, 0, 6), (4, 12, 6, 10), (8, 16, 10, 14), (12, 20, 14, 20)]
    for length in range(40):
        for room in range(6, 12):
            answered = [token for _, _, first, last in windows(length, room) for token in range(first, last)]
            assert answered == list(range(length))


@pytest.mark.filterwarnings("ignore:.*untrained")
def test_labels_of_tokens_are_of_the_callers_tokens(make):
    model = make("token-cls", label_map={0: "O", 1: "B-X"})
    words = [WORDS[5], "abc", "\u3000", WORDS[6]] * 9
    data = [["\002".join(words)]]
    (labels,), (probabilities,) = model.predict(data, max_seq_len=16, return_prob=True)
    assert len(labels) == len(words) and np.shape(probabilities) == (36, 2)
    assert data == [["\002".join(words)]]
    (plain,) = model.predict([[SHORT]])
    assert len(plain) == len(SHORT)


def test_untrained_head_warns_once(make):
    model = make("seq-cls")
    with pytest.warns(UserWarning, match="head of seq-cls is untrained"):
        model.predict([[SHORT]])
    model.predict([[SHORT]])


@pytest.mark.parametrize("kind", ["ElectraClassifier", "ElectraTagger"])
def test_fine_tuned_directory_brings_its_task_and_labels(make, tiny_shape, tmp_path, kind):
    from electra_paddle.models import heads

    network = save_network(getattr(heads, kind), tmp_path / "model", tiny_shape)
    is_tagger = kind == "ElectraTagger"
    task = '{"kind": "%s", "labels": ["bad", "good"], "is_pair": %s}'
    (tmp_path / "model" / "task.json").write_text(
        task % (("tagging", "false") if is_tagger else ("classification", "true"))
    )
    model = make(pretrained=tmp_path / "model")
    assert model.task == ("token-cls" if is_tagger else "pair-cls") and model.label_map == {0: "bad", 1: "good"}
    network.eval()
    texts = [SHORT] if is_tagger else [SHORT, LONG[:5]]
    _, (probabilities,) = model.predict([texts], return_prob=True)
    expected = softmax(network(*ids_of(*texts)))[0]
    assert_close(probabilities, expected[1:-1] if is_tagger else expected)
    with pytest.raises(ElectraPaddleError, match="label_map: found 3 labels, expected 2, as the weights"):
        make(pretrained=tmp_path / "model", label_map={0: "a", 1: "b", 2: "c"})
    assert make("embedding", pretrained=tmp_path / "model").task is None


def test_encoder_of_a_fine_tuned_checkpoint_gives_embeddings(make, tmp_path):
    trained = make("seq-cls")
    for parameter in trained.model.electra.parameters():
        parameter.set_value(parameter * 0.5)
    save_tensors(trained.state_dict(), tmp_path / "m.safetensors")
    model = make("embedding", load_checkpoint=tmp_path / "m.safetensors")
    assert_close(model.model.embeddings.word_embeddings.weight, trained.model.electra.embeddings.word_embeddings.weight)


def test_positions_and_case_are_those_that_the_caller_and_the_assets_say(make, tiny_run, tmp_path):
    import paddle

    cased = tmp_path / "cased"
    shutil.copytree(tiny_run / "discriminator", cased)
    Vocabulary([*WORDS[:-2], "a", "A"]).save(cased / "vocab.txt")
    (cased / "tokenizer_config.json").write_text('{"do_lower_case": false}')
    model = make("seq-cls", pretrained_dir=cased, pretrained=None)
    model.eval()
    ids = paddle.to_tensor([[2, 7, 8, 3]])
    rows = [model(ids, position_ids=paddle.to_tensor([row])).numpy() for row in ([0, 1, 2, 3], [4, 5, 6, 7])]
    assert abs(rows[0] - rows[1]).max() > 1e-6
    assert model.text_tokenizer.encode("a A") == [len(WORDS) - 2, len(WORDS) - 1]
    assert model.get_tokenizer().tokenize("aA") == ["[UNK]"]


def test_tokenizer_has_the_reference_rules_and_leaves_pieces_whole(make, tiny_run, tmp_path):
    shutil.copytree(tiny_run / "discriminator", tmp_path / "m")
    Vocabulary([*WORDS[:-3], "a", "##b", WORDS[9] + "～"]).save(tmp_path / "m" / "vocab.txt")
    tokenizer = make(pretrained=tmp_path / "m").get_tokenizer()
    assert tokenizer.tokenize(WORDS[5] + " ab～") == [WORDS[5], "[UNK]"]  # the reference takes ～ with what precedes
    assert tokenizer(WORDS[5] * 3, max_seq_len=4)["input_ids"] == [2, 5, 5, 3]
    assert tokenizer(["a", "##b"], is_split_into_words=True)["input_ids"] == [2, 47, 48, 3]


@pytest.mark.parametrize(
    ("task", "data", "message"),
    [
        (None, 5, 'data: found a value of type int, expected a list of items such as [["text"], ["another text"]]'),
        (None, None, "data: found None"),
        (None, [5], "data[0]: found a value of type int, expected a list of one text or two"),
        ("similarity", "text", "data: found a plain string"),
        ("similarity", ["text", "other"], "data[0]: found a plain string, expected a list of two texts"),
        (None, [[SHORT], [None]], "data[1]: found None among its texts"),
        (None, [[SHORT], [" "]], "data[1]: found an empty text"),
        (None, [[]], "data[0]: found 0 texts"),
        (None, [[SHORT], [SHORT, SHORT]], "data[1]: found 2 texts, expected 1 as in the first item"),
        ("similarity", [[SHORT]], "data[0]: found 1 texts, expected a list of two texts"),
        ("fill-mask", [["[MASK]"], [SHORT]], "data[1]: found a text without [MASK]"),
    ],
)
def test_wrong_data_are_told_in_one_sentence(make, task, data, message):
    with pytest.raises(ElectraPaddleError) as caught:
        make(task).predict(data)
    assert message in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"task": "seq-clss"}, "task: found 'seq-clss', expected None or 'embedding' or 'seq-cls'"),
        ({"label_map": {"0": "a", 0: "b"}}, "label_map: found the ids [0], expected each of 0 to 1 once"),
        ({"label_map": {"negative": 0}}, "label_map: found {'negative': 0}, expected labels such as"),
        ({"label_map": {0: "a"}, "num_classes": 3}, "label_map: found 1 labels, expected 3, as num_classes says"),
        ({"num_classes": 0}, "num_classes: found 0"),
        ({"pretraind": "x"}, "pretraind: found an unknown argument, expected 'pretrained', perhaps"),
        ({"load_checkpoint": "nowhere.pdparams"}, "nowhere.pdparams: found no readable parameters"),
        ({"pretrained": "nowhere"}, "nowhere: found no such file or folder"),
        ({"pretrained": None}, "found no such file or folder"),
    ],
)
def test_wrong_arguments_are_told_in_one_sentence(make, arguments, message):
    with pytest.raises(ElectraPaddleError) as caught:
        make(**arguments)
    assert message in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.filterwarnings("ignore:.*untrained")
def test_what_one_types_first_is_answered(make):
    model = make("seq-cls", label_map=["负面", "正面"])
    (expected,) = model.predict([[SHORT]])
    assert expected in ("负面", "正面")
    for data in (SHORT, [SHORT], (SHORT,), [(SHORT,)], np.array([SHORT]), np.array([[SHORT]]), [{"text": SHORT}]):
        assert model.predict(data) == [expected]
    assert model.predict([], output="dict") == [] and model.predict(np.array([SHORT]), batch_size=np.int64(2))
    stream = model.predict(([text] for text in (SHORT, LONG[:9], SHORT)), return_prob=True)
    assert iter(stream) is stream
    labels, probabilities = zip(*stream, strict=True)
    assert labels == tuple(model.predict([SHORT, LONG[:9], SHORT]))
    assert_close(np.array(probabilities[0]), np.array(probabilities[2]), 1e-6)
    assert list(model.predict(iter([]))) == []


def test_old_names_of_tasks_are_understood(make):
    names = ("token_cls", "text_matching", "sequence_classification", "token-classification", "pair_cls")
    assert [make(name).task for name in names] == [
        "token-cls",
        "text-matching",
        "seq-cls",
        "token-cls",
        "pair-cls",
    ]


def test_bad_items_are_answered_by_none_where_that_is_asked_for(make):
    data = [[SHORT], [" "], [SHORT], ["[MASK]"], 5]
    with pytest.warns(
        UserWarning, match=r"4 of 5 items skipped: data\[0\]: found a text without \[MASK\].* and 3 more"
    ):
        answers = make("fill-mask").predict(data, on_error="skip", top_k=1)
    assert answers[:3] == [None] * 3 and answers[4] is None and len(answers[3][0]) == 1
    model = make("seq-cls")
    with pytest.warns(UserWarning, match="untrained|skipped"):
        labels, probabilities = model.predict([[SHORT], [""]], on_error="skip", return_prob=True)
    assert labels[1] is probabilities[1] is None and sum(probabilities[0]) == pytest.approx(1)
    with pytest.warns(UserWarning, match="skipped"):
        assert list(model.predict(iter([[""]]), on_error="skip", output="dict")) == [None]


@pytest.mark.filterwarnings("ignore:.*untrained")
def test_answers_as_dicts_have_the_numbers_of_the_plain_ones(make):
    model = make("seq-cls", label_map=["负面", "正面"])
    labels, probabilities = model.predict([SHORT], return_prob=True)
    (answer,) = model.predict([SHORT], output="dict")
    assert answer["label"] == labels[0] and list(answer["probabilities"].values()) == probabilities[0]
    tags = make("token-cls", label_map=["O", "B-X"])
    (answer,) = tags.predict([f"{WORDS[5]}  {WORDS[6]}"], output="dict")
    assert answer["text"] == f"{WORDS[5]}  {WORDS[6]}" and [each["start"] for each in answer["tokens"]] == [0, 3]


@pytest.mark.filterwarnings("ignore:.*untrained")
def test_slices_of_scripts_for_the_official_modules_are_all_labels(make):
    (labels,) = make("token-cls", num_classes=5).predict([SHORT])
    assert len(labels) == len(SHORT) and isinstance(labels, list)
    with pytest.warns(UserWarning, match="read as in scripts for 2.0.2: all labels"):
        assert labels[1 : len(SHORT) + 1] == list(labels)
    for stop in (None, -1, 3):  # may be those of an old script or of a new one
        with pytest.warns(UserWarning, match="leaves the first token's label out"):
            assert labels[1:stop] == list(labels)[1:stop]
    assert labels[0:99] == list(labels) and labels[2:] == list(labels)[2:]
    assert json.loads(json.dumps(labels)) == labels


@pytest.mark.filterwarnings("ignore:.*untrained")
def test_slices_of_old_scripts_are_said_once_whatever_the_lengths_of_the_texts(make):
    results = make("token-cls").predict([SHORT, SHORT[:2]])
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("default")
        for text, labels in zip([SHORT, SHORT[:2]], results, strict=True):
            assert len(labels[1 : len(text) + 1]) == len(text)
    assert len(told) == 1


def test_cut_texts_are_said_and_those_read_in_windows_are_not(make):
    with pytest.warns(
        UserWarning, match=r"1 of 2 items are longer than max_seq_len 12 and lose their end \(data\[1\]\)"
    ):
        make("similarity").predict([[SHORT, SHORT], [SHORT, LONG[:20]]], max_seq_len=12)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        make("replaced-token-detection").predict([[LONG]], max_seq_len=12)
        make("similarity").predict([[SHORT, LONG[:10]]], max_seq_len=12)


def test_vectors_of_texts_are_those_of_their_tokens(make):
    model, data = make("embedding"), [SHORT, LONG[:9]]
    whole = model.get_embedding(data)
    for pooling, expected in (("cls", [row[0] for row in whole]), ("mean", [np.mean(row[1], axis=0) for row in whole])):
        vectors = model.get_embedding(data, pooling=pooling, max_seq_len=16, batch_size=1)
        assert all(isinstance(vector, np.ndarray) for vector in vectors)
        assert_close(np.stack(vectors), np.stack(expected), 1e-6)
        assert model.predict_method(data, pooling=pooling) == [vector.tolist() for vector in vectors]
    with pytest.raises(ElectraPaddleError, match="pooling: found 'max', expected 'cls', 'mean' or 'none'"):
        model.predict(data, pooling="max")
    with pytest.raises(ElectraPaddleError, match="pooling: found 'mean', expected None"):
        make("similarity").predict([[SHORT, SHORT]], pooling="mean")


def test_network_stays_where_it_was_last_used_and_devices_are_set_by_one_at_a_time():
    from electra_paddle.hub.prediction import DEVICE, on_device

    moves, place = [], SimpleNamespace(is_gpu_place=lambda: not moves)
    network = SimpleNamespace(parameters=lambda: [SimpleNamespace(place=place)], to=lambda device: moves.append(device))
    taken = []
    for _ in range(2):
        with on_device(network, use_gpu=False):
            other = threading.Thread(target=lambda: taken.append(DEVICE.acquire(blocking=False)))
            other.start()
            other.join()
    assert moves == ["cpu"] and taken == [False, False]


def test_wrong_options_of_predict_are_told_in_one_sentence(make):
    model = make()
    for options, message in (
        ({"max_seq_len": 513}, "max_seq_len: found 513, expected a whole number from 8 to 512"),
        ({"batch_size": 0}, "batch_size: found 0"),
        ({"batch_size": "8"}, "batch_size: found '8'"),
        ({"return_prob": True}, "return_prob: found True, expected False"),
    ):
        with pytest.raises(ElectraPaddleError, match=message):
            model.predict([[SHORT]], **options)


def test_damaged_assets_are_told_in_one_sentence(make, tiny_run, tmp_path):
    shutil.copytree(tiny_run / "discriminator", tmp_path / "m")
    weights = tmp_path / "m" / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:1000])
    with pytest.raises(ElectraPaddleError, match=r"model.safetensors: found no readable tensors"):
        make(pretrained=tmp_path / "m")


def test_f1_and_loss_are_of_tokens_with_labels_only(make):
    import paddle

    model = make("token-cls", label_map={0: "O", 1: "B-X", 2: "I-X"})
    predicted = np.array([[1, 2, 0, 1], [0, 1, 2, 0]])
    labels = np.array([[1, 0, 0, -100], [-100, 1, 2, -100]])
    logits = np.eye(3, dtype="float32")[predicted] * 5
    probabilities = paddle.nn.functional.softmax(paddle.to_tensor(logits))
    loss, metrics = model.handler.supervise(
        model.metric, paddle.to_tensor(logits), probabilities, paddle.to_tensor(labels)
    )
    assert metrics["f1_score"] == pytest.approx(0.5)  # of two entities found, and two there, one is the same
    right, wrong = np.exp(5) / (np.exp(5) + 2), 1 / (np.exp(5) + 2)
    assert float(loss) == pytest.approx(-(4 * np.log(right) + np.log(wrong)) / 5, rel=1e-5)
    assert_close(probabilities.sum(-1), np.ones((2, 4)))


@pytest.mark.filterwarnings("ignore:.*untrained")
@pytest.mark.parametrize("task", ["seq-cls", "pair-cls", "text-matching"])
def test_steps_of_the_trainer_give_the_loss_of_what_is_predicted(make, task):
    import paddle

    model = make(task)
    texts = [SHORT, LONG[3:9]]
    _, (probabilities,) = model.predict([texts], return_prob=True)
    label = paddle.to_tensor([1])
    inputs = (*ids_of(SHORT), *ids_of(LONG[3:9])) if task == "text-matching" else ids_of(*texts)
    results = model.training_step([*inputs, label], 0)  # dropout is off since `predict`
    assert float(results["loss"]) == pytest.approx(-np.log(probabilities[1]), rel=1e-4)
    assert results["metrics"] == model.validation_step([*inputs, label], 0)["metrics"]
    assert results["metrics"]["acc"] == float(np.argmax(probabilities) == 1)
    with pytest.raises(ElectraPaddleError, match="data set: found 2 arrays in an example"):
        model.training_step([*inputs[:1], label], 0)
    for other in ("similarity", "multiple-choice"):
        with pytest.raises(ElectraPaddleError, match="a task with labels"):
            make(other).training_step([*inputs, label], 0)


@pytest.mark.filterwarnings("ignore:.*untrained")
def test_factors_of_classes_are_factors_of_their_losses(make):
    import paddle

    model = make("seq-cls", label_map={0: "bad", 1: "good"}, class_weights={"good": 3})
    _, ((bad, good),) = model.predict([[SHORT]], return_prob=True)
    ids, types = (paddle.concat([part, part]) for part in ids_of(SHORT))
    results = model.training_step([ids, types, paddle.to_tensor([0, 1])], 0)
    assert float(results["loss"]) == pytest.approx(-(np.log(bad) + 3 * np.log(good)) / 2, rel=1e-4)
    assert make("seq-cls", class_weights={1: np.float32(0.5), 0: np.int64(2)}).class_weights == [2, 0.5]
    for task, factors, message in (
        ("seq-cls", {"fine": 1}, "class_weights: found label 'fine', expected 0, 1"),
        ("seq-cls", {0: -1}, r"class_weights\[0\]: found -1, expected a factor, 0 or more"),
        ("seq-cls", [1, 2], r"class_weights: found \[1, 2\], expected a mapping"),
        ("token-cls", {0: 1}, "class_weights: found for task TokenClassification, expected seq-cls"),
    ):
        with pytest.raises(ElectraPaddleError, match=message):
            make(task, class_weights=factors)


@pytest.mark.filterwarnings("ignore:.*untrained")
def test_trainer_teaches_several_labels(make):
    import paddle

    model = make("multi-label-cls", num_classes=3)
    _, (row,) = model.predict([[SHORT]], return_prob=True)
    row = np.array(row)
    labels = np.array([1, 0, 1])
    results = model.training_step([*ids_of(SHORT), paddle.to_tensor([labels])], 0)
    expected = -(labels * np.log(row) + (1 - labels) * np.log(1 - row)).sum()
    assert float(results["loss"]) == pytest.approx(expected, rel=1e-4)
    given = row >= 0.5
    assert results["metrics"]["f1_score"] == pytest.approx(2 * (given * labels).sum() / (given.sum() + 2))
    with pytest.raises(ElectraPaddleError, match=r"labels: found the shape \[1\], expected \[1, 3\]: for each row"):
        model.training_step([*ids_of(SHORT), paddle.to_tensor([1])], 0)


@pytest.mark.filterwarnings("ignore:.*untrained")
def test_trainer_teaches_numbers(make, tmp_path):
    import paddle

    model = make("pair-regression")
    (number,) = model.predict([[SHORT, LONG[3:9]]])
    batch = [*ids_of(SHORT, LONG[3:9]), paddle.to_tensor([number + 2])]
    results = model.training_step(batch, 0)
    assert float(results["loss"]) == pytest.approx(4, rel=1e-4)
    assert results["metrics"] == model.validation_step(batch, 0)["metrics"]
    assert results["metrics"]["negative_mse"] == pytest.approx(-4, rel=1e-4)
    assert model(*batch[:2]).shape == [1, 1]
    save_tensors(model.state_dict(), tmp_path / "m.safetensors")
    again = make(load_checkpoint=tmp_path / "m.safetensors")
    assert again.task == "pair-regression" and again.predict([[SHORT, LONG[3:9]]]) == [number]


def test_two_classes_of_one_label_are_refused(make):
    with pytest.raises(ElectraPaddleError, match="label_map: found 'good' for two classes"):
        make("seq-cls", label_map=["good", "bad", "good"])

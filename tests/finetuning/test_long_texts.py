"""Texts beyond max_seq_length: said where they are cut, read as a whole where that is asked for."""

import numpy as np
import pytest
from finetuning.conftest import CHARACTERS, write_splits

import electra_paddle
from electra_paddle.config import FinetuningConfig
from electra_paddle.errors import ConfigError
from electra_paddle.finetuning.description import TaskDescription
from electra_paddle.finetuning.kinds.base import make_kind
from electra_paddle.text import SPECIAL_TOKENS, Tokenizer, Vocabulary, encode_windows

TOKENIZER = Tokenizer(Vocabulary([*SPECIAL_TOKENS, *CHARACTERS]))
LABELS = ("bad", "good")


@pytest.mark.parametrize(
    ("length", "expected"),
    [
        (3, [3]),
        (4, [4]),
        (5, [4, 3]),  # places 0 to 3, 2 to 4
        (6, [4, 4]),
        (7, [4, 4, 3]),
    ],
)
def test_windows_begin_a_stride_apart_and_hold_every_token(length, expected):
    text = "".join(CHARACTERS[:length])
    parts = encode_windows(TOKENIZER, text, max_seq_length=6, stride=2)
    assert [size - 2 for _, size in parts] == expected
    for number, (ids, size) in enumerate(parts):
        inner = TOKENIZER.encode(text[2 * number :])[: size - 2]
        assert list(ids) == [TOKENIZER.vocabulary.cls, *inner, TOKENIZER.vocabulary.sep]


def test_what_cannot_be_windows_is_refused():
    pair = TaskDescription("t", labels=LABELS, columns={"label": 0, "text_a": 1, "text_b": 2})
    with pytest.raises(ConfigError, match="long_texts: found windows for pairs of texts, expected cut"):
        make_kind(pair, FinetuningConfig(long_texts="windows", doc_stride=64))
    with pytest.raises(ConfigError, match="doc_stride: found 128 with max_seq_length 64 .*, expected 62 at most"):
        FinetuningConfig(long_texts="windows", max_seq_length=64)
    with pytest.raises(ConfigError, match="long_texts: found 'wrap'"):
        FinetuningConfig(long_texts="wrap")


@pytest.fixture(scope="module", params=["classification", "multi_label", "regression"])
def results(request, tmp_path_factory, model_dir):
    """A long text is good if it ends in the first character, which lies beyond the length."""
    kind = request.param
    data_dir = tmp_path_factory.mktemp(kind)
    rng, splits = np.random.default_rng(0), {}
    names = ("0", "1") if kind == "regression" else LABELS
    for split, count in (("train", 160), ("dev", 32)):
        rows = splits[split] = []
        for number in range(count):
            text = "".join(rng.choice(CHARACTERS[1:], rng.integers(18, 24))) + CHARACTERS[0] * 4 * (number % 2)
            rows.append(f"{names[number % 2]}\t{text}")
    write_splits(data_dir, "mood", splits)
    description = TaskDescription("mood", kind, labels=None if kind == "regression" else LABELS)

    def run(name, **settings):
        return electra_paddle.finetune(
            description,
            data_dir=data_dir,
            init_checkpoint=model_dir,
            output_dir=data_dir / name,
            max_seq_length=16,
            doc_stride=10,
            train_batch_size=16,
            learning_rate=2e-3,
            layerwise_lr_decay=0.0,
            num_train_epochs=8.0,
            loggers=[],
            **settings,
        )

    return run


def test_windows_learn_what_lies_beyond_the_length_and_modules_answer_the_same(results, capsys):
    from electra_paddle.hub.module import ElectraModule

    whole = results("whole", long_texts="windows")
    assert "lose their end" not in capsys.readouterr().err
    cut = results("cut")
    assert (
        "NOTE: mood train: 160 of 160 texts (100.0 %) are longer than max_seq_length 16 and lose their end; "
        "a longer max_seq_length or long_texts windows reads more" in capsys.readouterr().err
    )
    assert whole.trials[0]["dev"][whole.metric] > cut.trials[0]["dev"][cut.metric] + 10
    folder = whole.models[0]
    finetuned = electra_paddle.from_finetuned(folder)
    module = type("Mood", (ElectraModule,), {"name": "mood", "summary": "", "directory": ""})(pretrained=folder)
    texts = [CHARACTERS[3] * 25 + CHARACTERS[0] * 4, CHARACTERS[4] * 30, CHARACTERS[5]]
    if not module.handler.has_classes:
        assert module.predict([[text] for text in texts]) == pytest.approx(finetuned.predict(texts), abs=1e-5)
        return
    labels, probabilities = module.predict([[text] for text in texts], return_prob=True)
    expected = finetuned.predict(texts, with_probabilities=True)
    assert labels == [label for label, _ in expected]
    for row, (_, right) in zip(probabilities, expected, strict=True):
        assert row == pytest.approx(list(right.values()), abs=1e-5)

"""Numbers for texts, from their files to a model in use."""

import dataclasses

import numpy as np
import pytest
from finetuning.conftest import CHARACTERS, write_splits

import electra_paddle
from electra_paddle.config import FinetuningConfig
from electra_paddle.errors import ConfigError, DataError
from electra_paddle.finetuning.description import TaskDescription
from electra_paddle.finetuning.kinds.base import make_kind
from electra_paddle.finetuning.metrics import number_scores
from electra_paddle.finetuning.problems import Problems

STARS = TaskDescription("stars", "regression")


def read(path, content, split="train", on_error="stop"):
    path.write_text(content, encoding="utf-8")
    problems = Problems(on_error)
    return [example.label for example in make_kind(STARS, FinetuningConfig()).read(path, split, problems)], problems


def test_labels_are_numbers_and_others_name_their_line(tmp_path):
    assert read(tmp_path / "t.tsv", "label\ttext_a\n3\t一\n-0.5\t丁\n1e-1\t七\n")[0] == [3.0, -0.5, 0.1]
    for wrong in ("three", "nan", "inf", "1,5"):
        with pytest.raises(DataError, match=rf"t.tsv:2: found label '{wrong}', expected a number"):
            read(tmp_path / "t.tsv", f"label\ttext_a\n{wrong}\t一\n")
    labels, problems = read(tmp_path / "t.tsv", "label\ttext_a\nx\t一\n2\t丁\n", on_error="skip")
    assert labels == [2.0] and len(problems.errors) == 1
    assert read(tmp_path / "t.tsv", "text_a\n一\n", "test")[0] == [None]


def test_large_numbers_are_said_and_classes_refused(tmp_path):
    _, problems = read(tmp_path / "t.tsv", "label\ttext_a\n100\t一\n-3\t丁\n")
    assert problems.notes == [
        f"NOTE: {tmp_path}/t.tsv: labels up to 100; numbers from 0 to 5, or to 1, are learnt in fewer updates"
    ]
    with pytest.raises(ConfigError, match="labels: found 2 labels, '0' the first, expected none"):
        make_kind(dataclasses.replace(STARS, labels=("0", "1")), FinetuningConfig())
    with pytest.raises(ConfigError, match="metric: found 'mse', expected pearson or spearman; it is an error"):
        make_kind(dataclasses.replace(STARS, metric="mse"), FinetuningConfig())


def test_scores_are_those_computed_by_hand():
    gold, predicted = [1.0, 2.0, 3.0], [2.0, 1.0, 6.0]
    # deviations -1, 0, 1 and -1, -2, 3: covariance 4, sums of squares 2 and 14; ranks 1, 2, 3 and 2, 1, 3
    assert number_scores(gold, predicted) == pytest.approx(
        {"pearson": 100 * 4 / np.sqrt(28), "spearman": 50.0, "mse": (1 + 1 + 9) / 3}
    )
    assert number_scores(gold, [2.0, 2.0, 2.0]) == pytest.approx({"pearson": 0, "spearman": 0, "mse": 2 / 3})
    assert number_scores([1.0], [3.0]) == {"pearson": 0, "spearman": 0, "mse": 4}


def test_loss_is_the_squared_error_of_weighted_rows_with_labels():
    import paddle

    from electra_paddle.models.task_losses import regression_loss

    predicted = paddle.to_tensor([[1.0], [2.0], [7.0]])
    predicted.stop_gradient = False
    labels, weights = paddle.to_tensor([3.0, 1.5, np.nan]), paddle.to_tensor([2.0, 0.0, 1.0])
    loss = regression_loss(predicted, labels, weights)
    loss.backward()
    assert float(loss) == 8.0 and predicted.grad.reshape([-1]).tolist() == [-8.0, 0.0, 0.0]


@pytest.fixture(scope="module")
def results(tmp_path_factory, model_dir):
    """Texts of ten characters of two kinds; the number is how many are of the first."""
    data_dir = tmp_path_factory.mktemp("regression")
    rng, splits = np.random.default_rng(0), {}
    for split, count in (("train", 320), ("dev", 32), ("test", 32)):
        rows = splits[split] = []
        for number in rng.integers(0, 6, count):
            text = rng.permutation([CHARACTERS[0]] * number + [CHARACTERS[1]] * (10 - number))
            rows.append(f"{number / 2}\t{''.join(text)}")
    write_splits(data_dir, "stars", splits)
    return electra_paddle.finetune(
        STARS,
        data_dir=data_dir,
        init_checkpoint=model_dir,
        output_dir=data_dir / "out",
        max_seq_length=16,
        train_batch_size=16,
        num_train_epochs=6.0,
        learning_rate=2e-3,
        layerwise_lr_decay=0.0,
        num_trials=2,
        ensemble=True,
        write_test_outputs=True,
        loggers=[],
    )


def test_numbers_are_learnt_reported_and_used(results):
    assert results.metric == "pearson" and results.trials[0]["dev"]["pearson"] > 80
    folder = results.models[0]
    model = electra_paddle.from_finetuned(folder)
    low, high = CHARACTERS[1] * 10, CHARACTERS[0] * 5 + CHARACTERS[1] * 5
    numbers = model.predict([low, high])
    assert numbers[0] < numbers[1] and all(isinstance(number, float) for number in numbers)
    rows = list(model.predict_rows([{"text_a": low, "id": 7}]))
    assert rows == [{"text_a": low, "id": 7, "score": pytest.approx(numbers[0], abs=1e-6)}]
    both = electra_paddle.from_finetuned(results.ensemble_model).predict([low])[0]
    other = electra_paddle.from_finetuned(results.models[1]).predict([low])[0]
    assert both == pytest.approx((numbers[0] + other) / 2, abs=1e-5)
    out = folder.parents[1]
    table = (out / "test_predictions/stars_dev_1_predictions.tsv").read_text(encoding="utf-8").splitlines()
    assert table[0] == "id\tscore" and len(table) == 33
    assert list(out.rglob("*_numbers.png"))


def test_hub_module_says_the_same_number(results):
    from electra_paddle.hub.module import ElectraModule

    folder = results.models[0]
    module = type("Stars", (ElectraModule,), {"name": "stars", "summary": "", "directory": ""})(pretrained=folder)
    assert module.task == "regression" and module.is_trained
    text = CHARACTERS[0] * 3
    assert module.predict([[text]]) == pytest.approx(electra_paddle.from_finetuned(folder).predict([text]), abs=1e-5)

import json

import numpy as np
import paddle
import pytest
from conftest import assert_close

from electra_paddle.batch import TokenBatch
from electra_paddle.training.evaluation import evaluate, write_results


@pytest.fixture
def batches():
    rng = np.random.default_rng(0)
    return [TokenBatch(*rng.standard_normal((3, rows, 4)).astype("float32")) for rows in (5, 5, 2)]


class Noisy(paddle.nn.Layer):
    """Dropout and noise: what must not differ from one evaluation to the next."""

    def __init__(self):
        super().__init__()
        self.dropout = paddle.nn.Dropout(0.5)

    def forward(self, batch):
        return self.dropout(batch.input_ids) + paddle.rand(batch.input_ids.shape)


def measure(batch, output, num_rows):
    return {"rows": len(output), "inputs": batch.input_ids.numpy().sum(0), "sum": float(output.sum())}


def test_sums_are_over_every_row_without_dropout(batches):
    model = Noisy()
    model.train()
    sums = evaluate(model, batches, measure)
    assert model.training and model.dropout.training
    assert sums["rows"] == 12
    assert_close(sums["inputs"], sum(batch.input_ids.sum(axis=0) for batch in batches))
    noise = sums["sum"] - sums["inputs"].sum()  # uniform over 48 numbers: 24 with deviation 2
    assert 16 < noise < 32


def test_evaluation_repeats_itself_whatever_happened_between(batches):
    model = Noisy()
    first = evaluate(model, batches, measure)["sum"]
    paddle.rand([7])
    assert evaluate(model, batches, measure)["sum"] == first


def test_batches_may_be_evaluated_a_few_rows_at_a_time(batches):
    pieces = []

    def note(batch, output, num_rows):
        pieces.append((len(output), num_rows))
        return {"inputs": batch.input_ids.numpy().sum(0)}

    sums = evaluate(Noisy(), batches, note, num_rows=2)
    assert pieces == [(2, 5), (2, 5), (1, 5), (2, 5), (2, 5), (1, 5), (2, 2)]
    assert_close(sums["inputs"], sum(batch.input_ids.sum(axis=0) for batch in batches))


@pytest.mark.parametrize("num_processes", [2, 3, 5])
def test_processes_together_get_the_same_bits(batches, monkeypatch, num_processes):
    from electra_paddle import runtime

    model, whole = Noisy(), {}
    whole = evaluate(model, batches, measure)
    monkeypatch.setattr(runtime, "num_processes", lambda: num_processes)
    parts = []
    for rank in range(num_processes):  # what each would send to the others

        def note(value):
            parts.append(value)
            return [{0: {}}]

        monkeypatch.setattr(runtime, "rank", lambda rank=rank: rank)
        monkeypatch.setattr(runtime, "gather", note)
        evaluate(model, batches, measure)
    assert sorted(number for part in parts for number in part) == [0, 1, 2]
    monkeypatch.setattr(runtime, "gather", lambda value: parts)
    together = evaluate(model, batches, measure)
    assert together["sum"] == whole["sum"] and (together["inputs"] == whole["inputs"]).all()


def test_results_name_the_best_evaluation_so_far(tmp_path):
    def write(step, loss, data="shards"):
        result = write_results(tmp_path, step, {"loss": loss, "disc_auc": 0.5}, data)
        assert json.loads((tmp_path / "eval_results.json").read_text()) == result
        return result["best_step"], result["best_value"]

    assert write(10, 3.0) == (10, 3.0)
    assert write(20, 2.0) == (20, 2.0)
    assert write(30, 2.5) == (20, 2.0)
    assert (tmp_path / "results/unsup_results.txt").read_text() == "disc_auc = 0.5\nglobal_step = 30\nloss = 2.5\n"
    assert write(15, 2.7) == (15, 2.7)  # the run went back to an earlier checkpoint
    assert write(25, 4.0, "others") == (25, 4.0)
    assert not list(tmp_path.rglob("*.partial"))


def test_damaged_results_are_written_anew(tmp_path):
    (tmp_path / "eval_results.json").write_text("{")
    assert write_results(tmp_path, 5, {"loss": 1.0}, "shards")["best_step"] == 5

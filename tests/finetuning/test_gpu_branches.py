"""Fine-tuning as on a GPU, on a CPU: what is read from the device, and that padding is left out."""

import half_precision
import numpy as np
import paddle
import pytest
from finetuning.conftest import CHARACTERS, write_splits
from finetuning.test_regularization import ALL, MOOD
from models.test_encoder import Kernel, UnpaddedKernel

import electra_paddle
from electra_paddle import runtime
from electra_paddle.training.callbacks import Callback

NUM_STEPS = 24


class Counting(Callback):
    """Notes how often tensors had been read after each update."""

    def __init__(self, reads):
        self.reads, self.seen = reads, []

    def on_step(self, session):
        self.seen.append(len(self.reads))


@pytest.fixture
def finetune(model_dir, tmp_path, gpu_branches, monkeypatch):
    """Texts of different lengths, 8 an update."""
    rng, splits = np.random.default_rng(0), {}
    for split, count in (("train", 8 * NUM_STEPS), ("dev", 8)):
        texts = ["".join(rng.choice(CHARACTERS, rng.integers(3, 12))) for _ in range(count)]
        splits[split] = [f"{('good', 'bad')[number % 2]}\t{text}" for number, text in enumerate(texts)]
    write_splits(tmp_path, "mood", splits)
    monkeypatch.setattr(runtime, "usable_precision", lambda name: (name, None))
    monkeypatch.setattr(runtime, "autocast", half_precision.autocast)

    def run(**settings):
        common = {"data_dir": tmp_path, "init_checkpoint": model_dir, "max_seq_length": 16, "train_batch_size": 8}
        return electra_paddle.finetune(MOOD, **common, num_train_epochs=1.0, loggers=[], **settings)

    return run


@pytest.mark.parametrize("options", [{}, ALL, {"gradient_accumulation_steps": 2}], ids=["plain", "all", "parts"])
def test_nothing_is_read_from_the_device_between_reports(finetune, reads, options, monkeypatch):
    monkeypatch.setattr("electra_paddle.finetuning.suspects.INTERVAL", 15)  # of the losses of rows
    counting = Counting(reads)
    finetune(callbacks=[counting], log_steps=20, save_checkpoints_steps=1000, **options)
    assert len(counting.seen) == NUM_STEPS
    new = np.diff(counting.seen)  # [NUM_STEPS - 1] in each update after the first
    assert {step: count for step, count in enumerate(new, 2) if count} == {15: 1, 20: 1, 24: 1}, reads


def test_padding_is_left_out_where_there_is_a_kernel_for_that(finetune, monkeypatch, capsys):
    kernel, unpadded_kernel = Kernel(), UnpaddedKernel()
    monkeypatch.setattr(paddle.nn.functional, "scaled_dot_product_attention", kernel)
    monkeypatch.setattr(paddle.nn.functional.flash_attention, "flash_attn_unpadded", unpadded_kernel)
    finetune(precision="bf16", eval_steps=12, length_batching=False)
    assert not kernel.calls
    num_layers, num_evaluations = 2, 2
    assert len(unpadded_kernel.calls) == num_layers * (NUM_STEPS + num_evaluations)
    dtypes, counts, lengths, rates = zip(*unpadded_kernel.calls, strict=True)
    assert set(dtypes) == {"bfloat16"} and set(rates) == {0.1, 0.0}
    padded = [8 * length for length in lengths]  # tokens that there would be
    assert np.less_equal(counts, padded).all() and sum(counts) < 0.9 * sum(padded)
    assert "attention" not in capsys.readouterr().out


def test_without_the_kernel_the_reason_is_printed(finetune, monkeypatch, capsys):
    monkeypatch.setattr(paddle.nn.functional, "scaled_dot_product_attention", Kernel())
    monkeypatch.delattr(paddle.nn.functional.flash_attention, "flash_attn_unpadded")
    finetune(precision="bf16_o2")
    assert "padding is computed, too: this build of Paddle has no unpadded attention" in capsys.readouterr().out

import json
import subprocess
import sys

import pytest
from conftest import ROOT

from electra_paddle import runtime

TOKENIZERS = ("tokenizers", "tokenizers_fast", "nanotoken")
KEYS = {
    "tokenizer": {"mb_per_s", "num_tokens"}
    | {key.format(peer) for peer in TOKENIZERS for key in ("{}_mb_per_s", "ratio_to_{}", "{}_num_tokens")},
    "build": {"mb_per_s_per_core", "speedup_2_workers", "megabytes"},
    "loader": {"masked_tokens_per_s", "whole_word_masked_tokens_per_s", "batch_ms", "update_ms", "share_of_update"},
    "convert": {"seconds", "peak_mb", "source_mb"},
}


@pytest.mark.parametrize(
    "what", ["tokenizer", "build", *(pytest.param(what, marks=pytest.mark.slow) for what in ("loader", "convert"))]
)
def test_benchmark_prints_one_json_object_with_its_figures(what):
    command = [sys.executable, "tools/benchmark.py", what, "--json", "--rounds", "1"]
    command += ["--size", "small", "--vocab-size", "2000"] if what == "convert" else ["--megabytes", "1"]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    figures = json.loads(result.stdout)
    assert set(figures) == KEYS[what]
    assert all(value > 0 for value in figures.values())
    if what == "tokenizer":
        assert {figures["num_tokens"]} == {figures[f"{peer}_num_tokens"] for peer in TOKENIZERS}


def test_each_measurement_has_options_of_its_own():
    helps = {}
    for what in ("tokenizer", "predict"):
        command = [sys.executable, "tools/benchmark.py", what, "--help"]
        helps[what] = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert "--megabytes" in helps["tokenizer"] and "--task-dir" not in helps["tokenizer"]
    assert "--task-dir" in helps["predict"] and "--megabytes" not in helps["predict"]


PRETRAIN_OPTIONS = [
    *("--batch-size", "4", "--max-seq-length", "32", "--vocab-size", "2000", "--rounds", "1", "--updates", "1"),
    *("--model-hparam-overrides", '{"num_hidden_layers": 1, "hidden_size": 64}'),
]


@pytest.mark.slow
def test_pretrain_prints_consistent_figures_of_all_sides():
    command = [sys.executable, "tools/benchmark.py", "pretrain", "--json", *PRETRAIN_OPTIONS]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    figures = json.loads(result.stdout)
    # By hand, with H 64, I 256, L 32, E 128, generator of H 16, I 64; 4 slots in each of 4 rows.
    layers = 2 * (4 * 64 * 64 + 2 * 64 * 256) + 4 * 32 * 64 + 2 * (4 * 16 * 16 + 2 * 16 * 64) + 4 * 32 * 16
    at_token = layers + 2 * 128 * 64 + 2 * 128 * 16 + 2 * 65 * 64
    assert figures["gflop_per_update"] == pytest.approx(3 * (128 * at_token + 16 * 2 * 128 * (16 + 2000)) / 1e9)
    one_round = {  # of which the ratios are those of the rates
        "ratio_to_paddlenlp": figures["ours_tokens_per_s"] / figures["paddlenlp_tokens_per_s"],
        "memory_ratio_to_paddlenlp": figures["ours_memory_mb"] / figures["paddlenlp_memory_mb"],
        "share_of_sgemm": figures["ours_tokens_per_s"] / 128 * figures["gflop_per_update"] / figures["sgemm_gflops"],
    }
    for name, value in one_round.items():
        assert figures[name] == pytest.approx(value)
    has_bf16 = runtime.has_fast_bf16()
    assert (figures["ours_bf16_tokens_per_s"] is None) is (figures["share_of_sgemm_of_bf16"] is None) is not has_bf16
    has_torch = (ROOT / ".venv-peers/bin/python").exists()
    assert (figures["ratio_to_torch"] is None) is (figures["best_torch"] is None) is not has_torch
    assert ("make peers" in result.stderr) is not has_torch
    if has_torch:
        assert figures["ratio_to_torch"] == pytest.approx(figures["ours_tokens_per_s"] / figures["torch_tokens_per_s"])
        rates = {name: figures[f"{name}_tokens_per_s"] for name in ("torch", "torch_bf16", "torch_compiled")}
        assert figures["best_torch"] == max(rates, key=rates.get)
        assert figures["ratio_to_best_torch"] == pytest.approx(figures["ours_tokens_per_s"] / max(rates.values()))


def test_pretrain_stops_with_the_message_of_a_side_that_fails():
    overrides = '{"num_hidden_layers": 1, "hidden_size": 64, "num_attention_heads": 7}'
    command = [sys.executable, "tools/benchmark.py", "pretrain", *PRETRAIN_OPTIONS[:-1], overrides]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert result.returncode != 0
    assert "a divisor of hidden_size" in result.stderr


@pytest.mark.slow
def test_finetune_compares_padding_by_length_with_padding_all_and_our_command_with_peers(tmp_path):
    for split, count in (("train", 40), ("dev", 12)):
        rows = [f"{number % 2}\t{'好' * (3 + number)}" for number in range(count)]
        (tmp_path / f"{split}.tsv").write_text("\n".join(rows) + "\n", encoding="utf-8")
    command = [sys.executable, "tools/benchmark.py", "finetune", "--json", "--task-dir", str(tmp_path)]
    command += ["--rounds", "1", "--max-seq-length", "64", "--batch-size", "4", "--vocab-size", "150"]
    command += ["--examples", "18", "--model-hparam-overrides", '{"num_hidden_layers": 1, "hidden_size": 64}']
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    figures = json.loads(result.stdout)
    assert figures["mean_tokens"] == 2 + 3 + 39 / 2
    for prefix in ("", "eval_", "predict_"):
        rates = [figures[f"{prefix}examples_per_s{suffix}"] for suffix in ("", "_fixed_padding")]
        assert figures[f"{prefix}ratio_to_fixed_padding"] == pytest.approx(rates[0] / rates[1])
    assert figures["trained_examples"] == 16  # whole batches
    ours, hf, paddlenlp = (figures[f"{name}_trainer_examples_per_s"] for name in ("ours", "hf", "paddlenlp"))
    assert figures["ratio_to_paddlenlp"] == pytest.approx(ours / paddlenlp)
    has_torch = (ROOT / ".venv-peers/bin/python").exists()
    assert (figures["ratio_to_hf"] is None) is not has_torch
    if has_torch:
        assert figures["ratio_to_hf"] == pytest.approx(ours / hf)


@pytest.mark.slow
def test_predict_compares_engines_with_peers(tmp_path):
    rows = [f"{number % 2}\t{'好坏' * (3 + number)}" for number in range(18)]
    (tmp_path / "test.tsv").write_text("\n".join(rows) + "\n", encoding="utf-8")
    command = [sys.executable, "tools/benchmark.py", "predict", "--json", "--task-dir", str(tmp_path), "--rounds", "1"]
    command += ["--max-seq-length", "32", "--vocab-size", "150"]
    command += ["--model-hparam-overrides", '{"num_hidden_layers": 1, "hidden_size": 64}']
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    figures = json.loads(result.stdout)
    assert figures["texts"] == 16  # whole eighths
    float32 = ("eager", "inference", "onnx")
    has_bf16 = runtime.has_fast_bf16()
    assert (figures["inference_bf16_texts_per_s"] is None) is not has_bf16
    assert ("slower in bf16" in result.stderr) is not has_bf16
    others = ("onnx_int8", "inference_bf16") if has_bf16 else ("onnx_int8",)
    rates = {name: figures[f"{name}_texts_per_s"] for name in (*float32, *others, "paddlehub")}
    best, best_float32 = figures["best_engine"], figures["best_float32_engine"]
    assert rates[best_float32] == max(rates[name] for name in float32)
    assert rates[best] == max(rates[name] for name in (*float32, *others))
    assert figures["ratio_to_paddlehub"] == pytest.approx(rates[best] / rates["paddlehub"])
    assert figures["float32_ratio_to_paddlehub"] == pytest.approx(rates[best_float32] / rates["paddlehub"])
    if has_bf16:
        bf16 = figures["bf16_ratio_to_paddlehub"]
        assert bf16 == pytest.approx(rates["inference_bf16"] / rates["paddlehub"])
    has_torch = (ROOT / ".venv-peers/bin/python").exists()
    assert (figures["ratio_to_hf"] is None) is not has_torch
    if has_torch:
        assert figures["ratio_to_hf"] == pytest.approx(rates[best] / figures["hf_texts_per_s"])

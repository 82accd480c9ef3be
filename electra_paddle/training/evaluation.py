"""Evaluation on batches that several processes share, and its results as files."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import paddle

from electra_paddle import runtime
from electra_paddle.files import replace_text
from electra_paddle.parsing import parse_json
from electra_paddle.training.transfer import cut, to_tensors

if TYPE_CHECKING:
    from paddle.nn import Layer


RESULTS = "eval_results.json"


def evaluate(
    model: Layer, batches: Any, measure: Callable[[Any, Any, int], dict[str, Any]], num_rows: int | None = None
) -> dict[str, Any]:
    """Sums over all batches, dropout off; equal to the bit for any number of processes.

    Every batch belongs to one process as a whole, and the batches' sums are added in the order of the batches.

    Args:
        model: a Layer, not wrapped by fleet: the processes do not run it in step.
        batches: has a length and gives any batch by its number.
        measure: function of (batch, output, rows of the whole batch) that returns a dict of numbers and arrays.
        num_rows: how many rows the model is given at once, as a batch may be larger than one of training.
    """
    measured = {}
    for number in range(runtime.rank(), len(batches), runtime.num_processes()):
        whole = batches[number]
        size = len(whole[0])
        pieces = [cut(whole, slice(row, row + (num_rows or size))) for row in range(0, size, num_rows or size)]
        sums = [measure(*answer(model, piece, seed=number), size) for piece in pieces]
        measured[number] = {name: sum(part[name] for part in sums) for name in sums[0]}
    measured = {number: sums for part in runtime.gather(measured) for number, sums in part.items()}
    return {name: sum(measured[number][name] for number in sorted(measured)) for name in measured[0]}


def answer(model: Layer, arrays: Any, seed: int = 0) -> tuple[Any, Any]:
    """(batch, output) as tensors: the model's, dropout off, to a batch of numpy arrays; the same noise every time."""
    was_training = model.training
    model.eval()
    with paddle.no_grad():
        paddle.seed(seed)
        batch = to_tensors(arrays)
        output = in_float32(model(batch))
    if was_training:
        model.train()
    return batch, output


def in_float32(value: Any) -> Any:
    """Tensors of half precision as float32, which numpy knows, in tuples too; all else as it is."""
    if isinstance(value, paddle.Tensor):
        return value.astype("float32") if value.dtype in (paddle.bfloat16, paddle.float16) else value
    if isinstance(value, tuple):
        values = [in_float32(each) for each in value]
        return value._make(values) if hasattr(value, "_make") else tuple(values)
    return value


def write_results(
    folder: Path | str, step: int, scores: Mapping[str, float], data: str, key: str = "loss"
) -> dict[str, Any]:
    """Write `eval_results.json` and, as lines of the original's form, `results/unsup_results.txt`.

    Args:
        step: updates done.
        scores: dict of floats.
        data: what was evaluated on, as text; scores on something else do not count for the best.
        key: the score that is best where it is lowest.

    Returns:
        What the JSON file holds: all of these, and step and value of the best evaluation so far.
    """
    path = Path(folder) / RESULTS
    result = {"step": step, **scores, "data": data}
    result |= best_evaluation(read_results(path), result, key)
    replace_text(path, json.dumps(result, indent=2) + "\n")
    lines = sorted({**scores, "global_step": step}.items())
    replace_text(path.parent / "results" / "unsup_results.txt", "".join(f"{name} = {value}\n" for name, value in lines))
    return result


def read_results(path: Path) -> dict[str, Any]:
    """Read what `write_results` wrote; {} if there is nothing."""
    try:
        return parse_json(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}


def best_evaluation(before: Mapping[str, Any], now: Mapping[str, Any], key: str) -> dict[str, Any]:
    """`best_step` and `best_value`; an earlier evaluation counts unless it lies ahead, as after going back."""
    if before.get("data") == now["data"] and before["best_step"] < now["step"] and before["best_value"] <= now[key]:
        return {name: before[name] for name in ("best_step", "best_value")}
    return {"best_step": now["step"], "best_value": now[key]}

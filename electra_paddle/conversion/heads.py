"""Fine-tuned heads of Hugging Face and PaddleNLP as this package's, and back. Shapes: H hidden, C classes.

Classification there has two layers with GELU between them, which `hidden_classifier` in config.json says here, where
one is usual; tags have one layer, starts and ends of answers share one, and choices have two, of which the first is
called the summary.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from electra_paddle.conversion.foreign import Arrays, Weights, head_names, transposed
from electra_paddle.conversion.names import HUGGINGFACE_EXTRAS
from electra_paddle.errors import CheckpointError
from electra_paddle.models.pretrained_directory import CONFIG

TWO_LAYERS = {"classifier.dense": "classifier.dense", "classifier.out_proj": "classifier.out_proj"}
TAGS = {"classifier": "classifier"}
ANSWERS = {"qa_outputs": "reading"}
CHOICES = {"sequence_summary.summary": "classifier.dense", "classifier": "classifier.out_proj"}
PADDLES_CHOICES = {"sequence_summary.dense": "classifier.dense", "classifier": "classifier.out_proj"}
HIDDEN = "hidden_classifier"  # in config.json: whether a classifier has two layers
OF_PROBLEM = {"multi_label_classification": "multi_label", "regression": "regression"}
ARCHITECTURES = {  # kind of the task -> class of its network
    "classification": "ElectraClassifier",
    "multi_label": "ElectraMultiLabelClassifier",
    "regression": "ElectraRegressor",
    "multiple_choice": "ElectraChoiceScorer",
    "tagging": "ElectraTagger",
    "reading_comprehension": "ElectraReader",
}
INDEPENDENT = {  # the variant of a reader whose ends do not depend on starts, as `ReadingSettings` names it
    "joint_prediction": False,
    "answerable_classifier": False,
    "answerable_uses_start_logits": True,
    "beam_size": 20,
}


class Head(NamedTuple):
    """A fine-tuned head."""

    kind: str  # of the task
    arrays: dict[str, npt.NDArray[np.float32]]  # under Paddle's names
    config: dict[str, Any]  # entries of config.json

    @property
    def architecture(self) -> str:
        return ARCHITECTURES[self.kind]


def read_head(weights: Weights, hidden_size: int) -> Head | None:
    """The head beside an encoder; None if there is none, or one that this package does not have.

    Raises:
        CheckpointError: an array of another shape.
    """
    names = {name.rpartition(".")[0] for name in head_names(weights.arrays) if name not in HUGGINGFACE_EXTRAS}
    architecture = str((weights.config.get("architectures") or [""])[0])
    layers = layers_of(names, architecture)
    if layers is None or not is_ours(layers, weights):
        return None
    arrays = {}
    for theirs, ours in layers.items():
        weight, bias = (weights.arrays.get(f"{theirs}.{part}") for part in ("weight", "bias"))
        if weight is None or bias is None or weight.ndim != 2 or bias.shape != (weight.shape[weights.is_paddle],):
            raise CheckpointError(weights.path, f"{theirs} without a matrix and a bias that fit", "both")
        arrays[f"{ours}.weight"] = np.ascontiguousarray(weight, "float32") if weights.is_paddle else transposed(weight)
        arrays[f"{ours}.bias"] = np.ascontiguousarray(bias, "float32")
        if arrays[f"{ours}.weight"].shape[0] != hidden_size:
            found = f"{theirs} of {arrays[f'{ours}.weight'].shape[0]} rows"
            raise CheckpointError(weights.path, found, f"{hidden_size}, the hidden size")
    if "reading.weight" in arrays:
        return Head("reading_comprehension", split_answers(arrays), {"reading": INDEPENDENT})
    size = len(arrays["classifier.bias" if layers == TAGS else "classifier.out_proj.bias"])
    kind = "tagging"
    if layers is TWO_LAYERS:
        kind = OF_PROBLEM.get(str(weights.config.get("problem_type")), "regression" if size == 1 else "classification")
    elif layers is not TAGS:
        kind = "multiple_choice"
    config: dict[str, Any] = {} if layers is TAGS else {HIDDEN: True}
    if kind == "regression" and size > 1:
        return None
    labels = labels_of(weights.config, size)
    return Head(kind, arrays, {**config, "num_labels": size, "id2label": dict(enumerate(labels))})


def is_ours(layers: Mapping[str, str], weights: Weights) -> bool:
    """Whether a head of these layers computes what ours does: [CLS] alone, with GELU between two layers.

    PaddleNLP's heads take the encoder's activation; the summary of transformers' choices has entries of its own.
    """
    config = weights.config
    if weights.is_paddle:
        return len(layers) == 1 or config.get("hidden_act", "gelu") == "gelu"
    if layers is not CHOICES:
        return True
    summary = config.get("summary_type", "first"), config.get("summary_activation", "gelu")
    return summary == ("first", "gelu")


def layers_of(names: set[str], architecture: str) -> Mapping[str, str] | None:
    """Their layer -> ours; None for heads that are not known."""
    for layers in (TWO_LAYERS, ANSWERS, CHOICES, PADDLES_CHOICES):
        if names == layers.keys():
            return layers
    if names == TAGS.keys():
        if "QuestionAnswering" in architecture:
            return {"classifier": "reading"}
        if "TokenClassification" in architecture:
            return TAGS
    return None


def split_answers(arrays: Arrays) -> Arrays:
    """The layers of starts and ends, of one layer with two outputs."""
    weight, bias = arrays["reading.weight"], arrays["reading.bias"]
    return {
        f"reading.{name}.{part}": np.ascontiguousarray(array)
        for place, name in enumerate(("start", "end"))
        for part, array in (("weight", weight[:, place : place + 1]), ("bias", bias[place : place + 1]))
    }


def labels_of(config: Mapping[str, Any], size: int) -> list[str]:
    """The labels of a configuration, in the order of their ids; numbers where it has another number of them."""
    told = config.get("id2label") or {}
    try:
        pairs = sorted((int(key), str(label)) for key, label in told.items())
    except (TypeError, ValueError):
        pairs = []
    labels = [label for _, label in pairs]
    return labels if len(labels) == size else [str(number) for number in range(size)]


def write_head(
    config: Mapping[str, Any], arrays: Mapping[str, npt.NDArray[Any]], hidden_size: int, folder: object
) -> tuple[str, Arrays, dict[str, Any], list[str]]:
    """(transformers' class, arrays under its names, entries of its configuration, notes) of a fine-tuned directory.

    Raises:
        CheckpointError: transformers has no such head.
    """
    architecture = (config.get("architectures") or ["none"])[0]
    begins = "reading." if architecture == ARCHITECTURES["reading_comprehension"] else "classifier."
    if not arrays or not all(name.startswith(begins) for name in arrays):
        found = f"architecture {architecture}, and weights with {min(arrays, default='no head')}"
        raise CheckpointError(f"{folder}/{CONFIG}", found, f"a head's weights under {begins}...")
    kind = next((kind for kind, name in ARCHITECTURES.items() if name == architecture), None)
    if kind == "reading_comprehension":
        return write_reader(arrays, f"{folder}/{CONFIG}")
    labels = {str(key): label for key, label in (config.get("id2label") or {}).items()}
    entries: dict[str, Any] = {"id2label": labels, "label2id": {label: int(key) for key, label in labels.items()}}
    if kind == "tagging":
        return "ElectraForTokenClassification", to_torch({"classifier": "classifier"}, arrays), entries, []
    own = {name: np.asarray(array) for name, array in arrays.items()}
    notes = []
    if "classifier.weight" in own:
        own |= in_two_layers(own["classifier.weight"], own["classifier.bias"], hidden_size, f"{folder}/{CONFIG}")
        notes = ["NOTE: the head's single layer is written as two that compute the same, as transformers' has two"]
    if kind == "multiple_choice":
        layers = {ours: theirs for theirs, ours in CHOICES.items()}
        return "ElectraForMultipleChoice", to_torch(layers, own), {"summary_activation": "gelu"}, notes
    problems = {ours: theirs for theirs, ours in OF_PROBLEM.items()}
    entries["problem_type"] = problems.get(str(kind), "single_label_classification")
    if kind == "regression":
        entries |= {"id2label": {"0": "LABEL_0"}, "label2id": {"LABEL_0": 0}}
    layers = {ours: theirs for theirs, ours in TWO_LAYERS.items()}
    return "ElectraForSequenceClassification", to_torch(layers, own), entries, notes


def write_reader(arrays: Mapping[str, npt.NDArray[Any]], place: str) -> tuple[str, Arrays, dict[str, Any], list[str]]:
    """`write_head` of a reader."""
    layers = {name.split(".")[1] for name in arrays if name.startswith("reading.")}
    if "end_hidden" in layers:
        found = "a reader with joint_prediction, whose ends depend on starts"
        advice = "transformers' question answering has one layer: fine-tune with --joint-prediction false"
        raise CheckpointError(place, found, "independent starts and ends", advice)
    weight, bias = (
        np.concatenate([arrays[f"reading.{name}.{part}"] for name in ("start", "end")], axis=-1)
        for part in ("weight", "bias")
    )
    left = sorted(layers - {"start", "end"})
    notes = [f"NOTE: {', '.join(left)} of the head left out: transformers does not learn whether there is an answer"]
    own = {"qa_outputs.weight": transposed(weight), "qa_outputs.bias": bias}
    return "ElectraForQuestionAnswering", own, {}, notes if left else []


def in_two_layers(weight: Any, bias: Any, hidden_size: int, place: str) -> Arrays:
    """Two layers [H, H] and [H, C] with GELU between them that compute what one [H, C] computes.

    gelu(x) - gelu(-x) = x: the first layer gives each class's logit and its negative, the second takes the difference.

    Raises:
        CheckpointError: there is no room for two hidden units a class.
    """
    num_classes = weight.shape[1]
    if 2 * num_classes > hidden_size:
        found = f"{num_classes} classes and a hidden size of {hidden_size}"
        raise CheckpointError(place, found, f"at most {hidden_size // 2} classes for transformers' head of two layers")
    dense, out = np.zeros((hidden_size, hidden_size), "float32"), np.zeros((hidden_size, num_classes), "float32")
    dense[:, :num_classes], dense[:, num_classes : 2 * num_classes] = weight, -weight
    first = np.zeros(hidden_size, "float32")
    first[:num_classes], first[num_classes : 2 * num_classes] = bias, -bias
    places = np.arange(num_classes)
    out[places, places], out[num_classes + places, places] = 1, -1
    return {
        "classifier.dense.weight": dense,
        "classifier.dense.bias": first,
        "classifier.out_proj.weight": out,
        "classifier.out_proj.bias": np.zeros(num_classes, "float32"),
    }


def to_torch(layers: Mapping[str, str], arrays: Mapping[str, npt.NDArray[Any]]) -> Arrays:
    """The arrays of layers as PyTorch has them, under other names."""
    return {
        f"{theirs}.{part}": transposed(arrays[f"{ours}.{part}"]) if part == "weight" else arrays[f"{ours}.{part}"]
        for ours, theirs in layers.items()
        for part in ("weight", "bias")
    }

"""Conversion of TensorFlow checkpoints to pretrained directories and back."""

from __future__ import annotations

import dataclasses
import json
import shutil
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from electra_paddle.config import Geometry
from electra_paddle.conversion import tensorflow as tf
from electra_paddle.conversion.directories import (
    ARCHITECTURES,
    Describe,
    Network,
    check_vocabulary,
    config_entries,
    model_card,
    new_folder,
    write_network,
)
from electra_paddle.conversion.growth import Growth, read_words
from electra_paddle.conversion.heads import ARCHITECTURES as HEADS
from electra_paddle.conversion.heads import labels_of
from electra_paddle.conversion.names import LINEAR, Names, expand, name_table, original_layers
from electra_paddle.conversion.published import own_networks
from electra_paddle.conversion.shapes import head_size_of, num_layers
from electra_paddle.conversion.sources import open_source
from electra_paddle.conversion.tensor_bundle import TensorBundle, write_bundle
from electra_paddle.conversion.tokenizer_files import agreed_settings, tokenizer_settings
from electra_paddle.conversion.validation import check, check_task, fingerprint, fingerprint_of_task, load_networks
from electra_paddle.errors import CheckpointError
from electra_paddle.models import pretrained_directory as pretrained
from electra_paddle.parsing import parse_json
from electra_paddle.tensors import read_tensors
from electra_paddle.text import Vocabulary

if TYPE_CHECKING:
    from paddle.nn import Layer

    from electra_paddle.models.pretraining import ElectraForJointPretraining

TASK = "task.json"  # in a fine-tuned directory
SINGLE_LAYER = ("classification", "multi_label", "regression", "tagging")  # kinds whose head is one


def convert_from_tf(
    source: str | Path,
    out: str | Path,
    vocab_file: str | Path | None = None,
    do_lower_case: bool = True,
    partial: bool = False,
    check_file: str | Path | None = None,
    describe: Describe | None = None,
    tolerance: float | None = None,
    num_attention_heads: int | None = None,
    extend_vocab: str | Path | None = None,
) -> list[str]:
    """Convert a checkpoint, and compute logits with the result.

    Args:
        source: a zip, a folder or a prefix, see `open_source`.
        out: the new folder with `generator/` and `discriminator/`, or with a folder for each task of a fine-tuned
            checkpoint; if the source has Adam's moments also with `checkpoints/`, from which pre-training goes on.
        vocab_file: the vocabulary [vocab.txt beside the checkpoint].
        do_lower_case: whether the tokenizer of the result lower-cases text, where no tokenizer_config.json beside the
            checkpoint says so; to ask for False against one is refused.
        partial: convert what fits; missing parameters get random initial values, unknown ones are left out.
        check_file: a .npz of logits to compare with, see `check` and `check_task`.
        describe: for fine-tuned checkpoints: called with a task, its kind and entries of config.json,
            returns (labels or None, name -> text of further files).
        tolerance: the largest difference to those logits [see `default_tolerance`].
        num_attention_heads: of the discriminator, or of a fine-tuned network; a generator's heads are as large.
        extend_vocab: a file of words that are added to the vocabulary, see `growth`; Adam's moments are left out then.

    Returns:
        Lines that tell the user what was done.

    Raises:
        CheckpointError, DataError: the source is damaged, incomplete or not ELECTRA's, or the logits differ from
            those in `check_file`. Nothing is written then.
    """
    out = Path(out)
    with new_folder(out) as folder, open_source(source) as found:
        bundle = TensorBundle(found.prefix)
        vocabulary = load_vocabulary(vocab_file or found.vocab_file, source)
        layout = tf.find_layout(bundle.entries, source, partial)
        tables = layout.tables(bundle.entries)
        missing, extra, skipped = tf.check_names(tables, bundle.entries, source, partial)
        report = [f"skipped: {count} x {last}" for last, count in Counter(map(last_part, skipped)).items()]
        report += [f"skipped: {name}, which holds no numbers" for name in bundle.others]
        report += [f"PARTIAL: {name} is missing, its numbers are random" for name in missing]
        report += [f"PARTIAL: {name} is left out" for name in extra]
        geometries: dict[str, Geometry] = {}
        tokenizer = agreed_settings(found.tokenizer, not do_lower_case, found.prefix.parent)
        first = tables.get("discriminator") or next(iter(tables.values()))
        head_size = head_size_of(tf.shapes_of(bundle, first), num_attention_heads, source)
        growth = None
        if extend_vocab is not None:
            growth = Growth(read_words(extend_vocab), vocabulary, tokenizer, extend_vocab)
            report += growth.report
        written = growth.vocabulary if growth else vocabulary
        for name, table in tables.items():
            told = found.configs.get("discriminator" if layout.tasks else name)
            network = tf.read_network(bundle, table, name, told, source, head_size)
            check_vocabulary(network.geometry, vocabulary, source)
            if growth:
                network = growth.apply(network)
            geometries[name] = network.geometry
            if layout.tasks:
                report += write_task(
                    network, name, told, folder / name, written, tokenizer, Path(source).name, describe
                )
            else:
                write_network(network, folder / name, written, tokenizer, Path(source).name)
            report += [*network.report, f"{out / name}: {len(network.arrays)} parameters"]
        if layout.tasks:
            for task in tables:
                network_of_task = from_folder(folder / task)
                report += fingerprint_of_task(network_of_task, task)
                if check_file:
                    report += check_task(network_of_task, check_file, tolerance)
            return report
        model = load_networks(folder, geometries, layout)
        report += fingerprint(model)
        if check_file:
            report += check(model, check_file, tolerance)
        if growth and tf.STEP in bundle.entries:
            report.append("NOTE: Adam's moments are left out, as the vocabulary has grown: --init-from begins anew")
        elif tf.STEP in bundle.entries and not partial:
            report += write_checkpoint(bundle, tables, model, geometries, vocabulary, folder)
    return report


def from_folder(folder: Path) -> Layer:
    """The network of a task's folder, in evaluation mode."""
    from electra_paddle.conversion.published import model_classes

    config = pretrained.load_config(folder)
    network = model_classes()[config.architectures[0]](config)
    pretrained.load_model(network, folder)
    network.eval()
    return network


def last_part(variable: str) -> str:
    return variable.rsplit("/", 1)[-1]


def load_vocabulary(path: str | Path | None, source: str | Path) -> Vocabulary:
    if path is None:
        raise CheckpointError(source, "no vocab.txt beside the checkpoint", "one", "give --vocab-file")
    return Vocabulary.load(path)


def write_task(
    network: Network,
    task: str,
    told: Mapping[str, Any] | None,
    folder: Path,
    vocabulary: Vocabulary,
    tokenizer: Mapping[str, Any],
    source: str,
    describe: Describe | None,
) -> list[str]:
    """Write the fine-tuned directory of a task, and return lines that tell the user what was guessed.

    Classes of texts, tags and numbers have the same layer: the configuration says which, as `convert_to_tf` writes it.

    Args:
        told: entries of the configuration found beside the checkpoint, or None.
    """
    arrays, report = network.arrays, list[str]()
    if "classifier.bias" in arrays:
        size = len(arrays["classifier.bias"])
        kind = next((kind for kind in SINGLE_LAYER if [HEADS[kind]] == (told or {}).get("architectures")), "")
        head: dict[str, Any] = {"num_labels": size, "id2label": dict(enumerate(labels_of(told or {}, size)))}
        if not kind:
            kind = "classification"
            report.append(
                f"NOTE: {task}: its single layer is taken for {kind}, not {', '.join(SINGLE_LAYER[1:])}: "
                "architectures in a discriminator.json beside the checkpoint would tell"
            )
    else:
        from electra_paddle.models.reading_comprehension import variant_of

        kind, head = "reading_comprehension", {"reading": variant_of(arrays)}
    config = {**config_entries(HEADS[kind], network.geometry), **head}
    labels, more = describe(task, kind, config) if describe else (None, {})
    if labels:
        config["id2label"] = dict(enumerate(map(str, labels)))
    card = model_card(task, network.geometry, arrays, source)
    pretrained.write_pretrained(config, arrays, folder, vocabulary, tokenizer, card, more)
    return report


def write_checkpoint(
    bundle: TensorBundle,
    tables: Mapping[str, Sequence[Names]],
    model: ElectraForJointPretraining,
    geometries: Mapping[str, Geometry],
    vocabulary: Vocabulary,
    folder: Path,
) -> list[str]:
    """Write weights, Adam's moments and the step as a checkpoint from which this package's pre-training goes on.

    Returns:
        Lines that tell the user what was done; without all moments in the source nothing is written.
    """
    from electra_paddle.training.checkpoint import Checkpoints, set_moments
    from electra_paddle.training.optimizer import build_optimizer

    variables = {f"{network}.{names.paddle}": names.tensorflow for network in tables for names in tables[network]}
    moments: dict[str, npt.NDArray[Any]] = {}
    step = int(bundle[tf.STEP])
    for name, _ in model.named_parameters():
        for slot, moment in tf.SLOTS.items():
            variable = f"{variables[name]}/{slot}"
            if variable not in bundle.entries:
                return [f"NOTE: no {variable}: {tf.STEP} {step:,} is left out, pre-training begins with new moments"]
            moments[f"{moment}/{name}"] = bundle[variable]
    optimizer = build_optimizer(model, schedule=0.0)
    set_moments(model, optimizer, moments)
    identity = {name: dataclasses.asdict(geometry) for name, geometry in geometries.items()}
    checkpoints = Checkpoints(folder / "checkpoints", {**identity, "vocab_sha256": vocabulary.sha256})
    path = checkpoints.save(step, model, optimizer, {"loss_scale": {}, "best": {}})
    return [f"{path.relative_to(folder)}: Adam's moments after update {step:,}, from which pre-training goes on"]


def convert_to_tf(source: str | Path, out: str | Path, prefix: str | None = None, resumable: bool = False) -> list[str]:
    """Convert the networks in a folder to a TensorFlow checkpoint, which the original reads.

    Args:
        source: the folder of a pre-training run, or one that `convert_from_tf` wrote. If it has checkpoints, the newest
            is converted, with Adam's moments. Or the pretrained directory of one network, a fine-tuned directory, or
            a published name.
        out: the new folder with the checkpoint, the vocabulary and the configurations.
        prefix: name of the checkpoint's files [model.ckpt-STEP, or electra if there is no step].
        resumable: if the source has no moments, write moments of 0 and step 0, which the original needs for training.

    Returns:
        Lines that tell the user what was done.

    Raises:
        CheckpointError: no network is there, a file is damaged, or the networks do not belong together. Nothing is
            written then.
    """
    source, out = Path(source), Path(out)
    folders = own_networks(source)
    if "" in folders:
        folder = folders.pop("")
        kinds = {architecture: kind for kind, architecture in ARCHITECTURES.items() if kind}
        architecture = (pretrained.read_config(folder).get("architectures") or ["none"])[0]
        if architecture not in kinds:
            return task_to_tf(folder, out, prefix)
        folders = {kinds[architecture]: folder}
    configs = {name: pretrained.read_config(folder) for name, folder in folders.items()}
    if not configs:
        expected = "a pre-training run, converted networks, a pretrained or fine-tuned directory, or a published name"
        raise CheckpointError(source, "no generator/ or discriminator/", expected)
    checkpoint = newest_checkpoint(source / "checkpoints")
    if checkpoint:
        joint = {"": read_tensors(checkpoint / "model.safetensors"), **read_moments(checkpoint)}
        states = {slot: split_joint(tensors, configs) for slot, tensors in joint.items()}
        step: int | None = parse_json((checkpoint / "state.json").read_text(encoding="utf-8"))["step"]
    else:
        states = {"": {name: read_tensors(folder / pretrained.WEIGHTS) for name, folder in folders.items()}}
        step = 0 if resumable else None
    tables = tables_of(states[""], source)
    arrays: dict[str, npt.NDArray[Any]] = {}
    for slot, networks in states.items():
        for network, table in tables.items():
            for names in table:
                arrays[f"{names.tensorflow}/{slot}" if slot else names.tensorflow] = networks[network][names.paddle]
    if resumable and not checkpoint:
        arrays |= {f"{name}/{slot}": np.zeros_like(array) for name, array in arrays.items() for slot in tf.SLOTS}
    if step is not None:
        arrays[tf.STEP] = np.array(step, "int64")
    prefix = prefix or ("electra" if step is None else f"model.ckpt-{step}")
    write_variables(arrays, out, prefix, next(iter(folders.values())), configs)
    return [f"{out / prefix}: {len(arrays)} variables" + (f", from {checkpoint}" if checkpoint else "")]


def write_variables(
    arrays: Mapping[str, npt.NDArray[Any]],
    out: Path,
    prefix: str,
    source: Path,
    configs: Mapping[str, Mapping[str, Any]],
) -> None:
    """Write a checkpoint, with the vocabulary and the case of a pretrained directory and networks' configurations."""
    with new_folder(out) as folder:
        write_bundle(arrays, folder / prefix)
        paths = f'model_checkpoint_path: "{prefix}"\nall_model_checkpoint_paths: "{prefix}"\n'
        (folder / "checkpoint").write_text(paths, encoding="utf-8")
        shutil.copyfile(source / pretrained.VOCABULARY, folder / pretrained.VOCABULARY)
        pretrained.write_json(folder / pretrained.TOKENIZER, tokenizer_settings(source))
        for name, config in configs.items():
            (folder / f"{name}.json").write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")


def task_to_tf(source: Path, out: Path, prefix: str | None = None) -> list[str]:
    """Convert a fine-tuned directory to a checkpoint as the original's fine-tuning writes it; as `convert_to_tf`."""
    config, (arrays, path) = pretrained.read_config(source), pretrained.read_weights(source)
    task = str(read_entries(source / TASK).get("name") or source.resolve().name)
    head = {name.rpartition(".")[0] for name in arrays if not name.startswith(pretrained.ENCODER)}
    layers = {paddle: tensorflow for paddle, tensorflow in original_layers(head)}
    if not head:
        raise CheckpointError(path, "an encoder without a head", "a head that the original has")
    unknown = sorted(head - layers.keys())
    if unknown or config.get("architectures") == ["ElectraChoiceScorer"]:
        found = f"a head of {', '.join(unknown or head)} ({(config.get('architectures') or ['none'])[0]})"
        raise CheckpointError(path, found, "one that the original has: a single layer, or a reader's")
    modules = [(paddle, tensorflow, "", LINEAR) for paddle, tensorflow in layers.items()]
    encoder = {name: array for name, array in arrays.items() if name.startswith(pretrained.ENCODER)}
    table = name_table(None, num_layers(encoder), "electra.embeddings_project.weight" in encoder)
    table += expand(modules, "", f"task_specific/{task}/")
    missing = [names.paddle for names in table if names.paddle not in arrays]
    if missing:
        raise CheckpointError(path, f"no {missing[0]}", "every parameter of the network")
    variables = {names.tensorflow: arrays[names.paddle] for names in table}
    prefix = prefix or "model.ckpt"
    write_variables(variables, out, prefix, source, {"discriminator": config})
    return [f"{out / prefix}: {len(variables)} variables, the head of {task} among them"]


def read_entries(path: Path) -> dict[str, Any]:
    """The entries of a JSON file; {} where there is none."""
    return pretrained.read_json(path) if path.is_file() else {}


def newest_checkpoint(folder: Path) -> Path | None:
    """The newest undamaged checkpoint in a folder, or None."""
    from electra_paddle.training.checkpoint import Checkpoints, damage

    return next((path for path in reversed(Checkpoints(folder, {}).paths()) if not damage(path)), None)


def read_moments(checkpoint: Path) -> dict[str, dict[str, npt.NDArray[Any]]]:
    """TensorFlow's slot -> {name of the joint model's parameter: array}."""
    tensors: dict[str, npt.NDArray[Any]] = {}
    for file in sorted(checkpoint.glob("optimizer*.safetensors")):
        tensors |= read_tensors(file)
    moments = {
        slot: {name.removeprefix(f"{moment}/"): tensors[name] for name in tensors if name.startswith(f"{moment}/")}
        for slot, moment in tf.SLOTS.items()
    }
    return {slot: arrays for slot, arrays in moments.items() if arrays}


def split_joint(
    tensors: Mapping[str, npt.NDArray[Any]], networks: Collection[str]
) -> dict[str, dict[str, npt.NDArray[Any]]]:
    """network -> {name: array} from the joint model's parameters, among which shared ones occur once."""
    arrays = {
        network: {name.removeprefix(f"{network}."): tensors[name] for name in tensors if name.startswith(f"{network}.")}
        for network in networks
    }
    for own, other in (("discriminator", "generator"), ("generator", "discriminator")):
        if own in arrays and other in arrays:
            is_whole = any("encoder" in name for name in arrays[own])
            shared = "electra.embeddings." if is_whole else "electra."
            arrays[own] = {name: arrays[other][name] for name in arrays[other] if name.startswith(shared)} | arrays[own]
    return arrays


def tables_of(networks: Mapping[str, Mapping[str, npt.NDArray[Any]]], source: str | Path) -> dict[str, list[Names]]:
    """network -> the Names of its parameters; those that both networks share have the same name in TensorFlow.

    Args:
        networks: network -> {Paddle's name: array}.
        source: shown in messages.

    Raises:
        CheckpointError: the networks do not belong together.
    """
    body: str | None = None  # places of the generator's variables, as in `name_table`
    embeddings = "electra"
    if len(networks) == 2:
        one, other = networks["generator"], networks["discriminator"]
        is_shared = {part: are_equal(one, other, f"electra.{part}.") for part in ("embeddings", "encoder")}
        if is_shared["encoder"] and is_shared["embeddings"]:
            body = "electra"
        elif not is_shared["embeddings"] and "electra.embeddings_project.weight" not in one:
            embeddings = "generator"
        elif not is_shared["embeddings"]:
            raise CheckpointError(source, "two networks of different embeddings", "a pair that was trained together")
    elif "generator" in networks:
        body = "electra"  # a masked language model by itself
    places = {"generator": (body, embeddings)}
    return {
        network: name_table(
            network,
            num_layers(arrays),
            "electra.embeddings_project.weight" in arrays,
            *places.get(network, ()),
        )
        for network, arrays in networks.items()
    }


def are_equal(one: Mapping[str, npt.NDArray[Any]], other: Mapping[str, npt.NDArray[Any]], prefix: str) -> bool:
    """Whether two networks have the same parameters, names and values, under a prefix."""
    names = {name for name in (*one, *other) if name.startswith(prefix)}
    return all(name in one and name in other and np.array_equal(one[name], other[name]) for name in names)

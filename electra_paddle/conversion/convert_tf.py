"""A TensorFlow checkpoint becomes pretrained directories, and back."""

import dataclasses
import json
import shutil
from collections import Counter
from pathlib import Path

import numpy as np

from electra_paddle.conversion import tensorflow as tf
from electra_paddle.conversion.directories import (
    ARCHITECTURES,
    check_vocabulary,
    config_entries,
    model_card,
    new_folder,
    write_network,
)
from electra_paddle.conversion.names import name_table
from electra_paddle.conversion.shapes import num_layers
from electra_paddle.conversion.sources import open_source
from electra_paddle.conversion.tensor_bundle import TensorBundle, write_bundle
from electra_paddle.conversion.validation import check, fingerprint, load_networks
from electra_paddle.errors import CheckpointError
from electra_paddle.models import pretrained_directory as pretrained
from electra_paddle.tensors import read_tensors
from electra_paddle.text import Vocabulary

NETWORKS = tuple(filter(None, ARCHITECTURES))


def convert_from_tf(source, out, vocab_file=None, do_lower_case=True, partial=False, check_file=None, describe=None):
    """Convert a checkpoint, and try what came out.

    Args:
        source: a zip, a folder or a prefix, see `open_source`.
        out: folder, which is made: `generator/` and `discriminator/`, or a folder for each task of a fine-tuned
            checkpoint; with Adam's moments in the source also `checkpoints/`, from which pre-training goes on.
        vocab_file: the vocabulary, where there is none beside the checkpoint.
        partial: convert what fits although something is missing or left over.
        check_file: a .npz of logits to compare with, see `check`.
        describe: called with a task, its kind and entries of the head's configuration, returns (labels or None,
            name -> text of further files); for fine-tuned checkpoints.

    Returns:
        list of lines that report what was done.

    Raises:
        CheckpointError, DataError: the source is damaged, incomplete or not ELECTRA's, or the outcome is not what
            `check_file` says. Nothing is written then.
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
        geometries, tokenizer = {}, {"do_lower_case": do_lower_case}
        for name, table in tables.items():
            network = tf.read_network(bundle, table, name, found.configs.get(name), source)
            check_vocabulary(network.geometry, vocabulary, source)
            geometries[name] = network.geometry
            if layout.tasks:
                write_task(network, name, folder / name, vocabulary, tokenizer, Path(source).name, describe)
            else:
                write_network(network, folder / name, vocabulary, tokenizer, Path(source).name)
            report += [*network.report, f"{out / name}: {len(network.arrays)} parameters"]
        if layout.tasks:
            return report
        model = load_networks(folder, geometries, layout)
        report += fingerprint(model)
        if check_file:
            report += check(model, check_file)
        if tf.STEP in bundle.entries and not partial:
            report += write_checkpoint(bundle, tables, model, geometries, vocabulary, folder)
    return report


def last_part(variable):
    return variable.rsplit("/", 1)[-1]


def load_vocabulary(path, source):
    if path is None:
        raise CheckpointError(source, "no vocab.txt beside the checkpoint", "one", "give --vocab-file")
    return Vocabulary.load(path)


def write_task(network, task, folder, vocabulary, tokenizer, source, describe):
    """Write the fine-tuned directory of a task."""
    arrays = network.arrays
    if "classifier.bias" in arrays:
        kind, architecture, head = "classification", "ElectraClassifier", {"num_labels": len(arrays["classifier.bias"])}
    else:
        from electra_paddle.models.reading_comprehension import variant_of

        kind, architecture, head = "reading_comprehension", "ElectraReader", {"reading": variant_of(arrays)}
    labels, more = describe(task, kind, head) if describe else (None, {})
    if "num_labels" in head:
        head["id2label"] = dict(enumerate(map(str, labels or range(head["num_labels"]))))
    config = {**config_entries(architecture, network.geometry), **head}
    card = model_card(task, network.geometry, arrays, source)
    pretrained.write_pretrained(config, arrays, folder, vocabulary, tokenizer, card, more)


def write_checkpoint(bundle, tables, model, geometries, vocabulary, folder):
    """Write what the original's training goes on from as a checkpoint of this package's pre-training."""
    from electra_paddle.training.checkpoint import Checkpoints, set_moments
    from electra_paddle.training.optimizer import build_optimizer

    variables = {f"{network}.{names.paddle}": names.tensorflow for network in tables for names in tables[network]}
    moments, step = {}, int(bundle[tf.STEP])
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


def convert_to_tf(source, out, prefix=None, resumable=False):
    """Write the networks of a folder as a TensorFlow checkpoint, which the original reads.

    Args:
        source: a pre-training run, or what `convert_from_tf` wrote. Of a run with checkpoints the newest is taken,
            with Adam's moments.
        out: folder, which is made: the checkpoint with vocabulary and configurations.
        prefix: name of the checkpoint's files [model.ckpt-STEP, or electra where there is no step].
        resumable: write moments of 0 and step 0 where the source has none, without which the original does not train.

    Returns:
        list of lines that report what was done.
    """
    source, out = Path(source), Path(out)
    configs = {name: pretrained.read_config(source / name) for name in NETWORKS if (source / name).is_dir()}
    if not configs:
        raise CheckpointError(source, "no generator/ or discriminator/", "a pre-training run or converted networks")
    checkpoint = newest_checkpoint(source / "checkpoints")
    if checkpoint:
        states = {"": read_tensors(checkpoint / "model.safetensors"), **read_moments(checkpoint)}
        states = {slot: split_joint(tensors, configs) for slot, tensors in states.items()}
        step = json.loads((checkpoint / "state.json").read_text(encoding="utf-8"))["step"]
    else:
        states = {"": {name: read_tensors(source / name / pretrained.WEIGHTS) for name in configs}}
        step = 0 if resumable else None
    tables = tables_of(states[""], source)
    arrays = {}
    for slot, networks in states.items():
        for network, table in tables.items():
            for names in table:
                arrays[f"{names.tensorflow}/{slot}" if slot else names.tensorflow] = networks[network][names.paddle]
    if resumable and not checkpoint:
        arrays |= {f"{name}/{slot}": np.zeros_like(array) for name, array in arrays.items() for slot in tf.SLOTS}
    if step is not None:
        arrays[tf.STEP] = np.array(step, "int64")
    prefix = prefix or ("electra" if step is None else f"model.ckpt-{step}")
    with new_folder(out) as folder:
        write_bundle(arrays, folder / prefix)
        names = f'model_checkpoint_path: "{prefix}"\nall_model_checkpoint_paths: "{prefix}"\n'
        (folder / "checkpoint").write_text(names, encoding="utf-8")
        first = next(iter(configs))
        shutil.copyfile(source / first / pretrained.VOCABULARY, folder / pretrained.VOCABULARY)
        for name, config in configs.items():
            (folder / f"{name}.json").write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")
    return [f"{out / prefix}: {len(arrays)} variables" + (f", from {checkpoint}" if checkpoint else "")]


def newest_checkpoint(folder):
    """The newest whole checkpoint of a folder, or None."""
    from electra_paddle.training.checkpoint import Checkpoints, damage

    return next((path for path in reversed(Checkpoints(folder, {}).paths()) if not damage(path)), None)


def read_moments(checkpoint):
    """TensorFlow's slot -> {name of the joint model's parameter: array}."""
    tensors = {}
    for file in sorted(checkpoint.glob("optimizer*.safetensors")):
        tensors |= read_tensors(file)
    moments = {
        slot: {name.removeprefix(f"{moment}/"): tensors[name] for name in tensors if name.startswith(f"{moment}/")}
        for slot, moment in tf.SLOTS.items()
    }
    return {slot: arrays for slot, arrays in moments.items() if arrays}


def split_joint(tensors, networks):
    """network -> {name: array} from the joint model's parameters, of which shared ones stand there once."""
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


def tables_of(networks, source):
    """network -> its Names in TensorFlow, where what both networks share stands once."""
    layout = {"body": None, "embeddings": "electra"}
    if len(networks) == 2:
        one, other = networks["generator"], networks["discriminator"]
        is_shared = {part: are_equal(one, other, f"electra.{part}.") for part in ("embeddings", "encoder")}
        if is_shared["encoder"] and is_shared["embeddings"]:
            layout["body"] = "electra"
        elif not is_shared["embeddings"] and "electra.embeddings_project.weight" not in one:
            layout["embeddings"] = "generator"
        elif not is_shared["embeddings"]:
            raise CheckpointError(source, "two networks of different embeddings", "a pair that was trained together")
    elif "generator" in networks:
        layout["body"] = "electra"  # a masked language model by itself
    return {
        network: name_table(
            network,
            num_layers(arrays),
            "electra.embeddings_project.weight" in arrays,
            **(layout if network == "generator" else {}),
        )
        for network, arrays in networks.items()
    }


def are_equal(one, other, prefix):
    """Whether two networks have the same parameters of a prefix."""
    names = {name for name in (*one, *other) if name.startswith(prefix)}
    return all(name in one and name in other and np.array_equal(one[name], other[name]) for name in names)

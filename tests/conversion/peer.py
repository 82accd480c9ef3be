"""Real transformers and PyTorch, run in the environment of `make peers`. The golden files were made with it too.

peer.py write WEIGHTS.npz OUT KIND FORMAT   save a model from Hugging Face's names as transformers or torch does
peer.py read FOLDER KIND IDS.npz OUT.npz    load a folder strictly and run it
peer.py heads OUT                            fine-tuned models of every kind, random, with inputs and outputs
peer.py run FOLDER IDS.npz OUT.npz          load a folder strictly as the class that it names, and run it
peer.py shards FOLDER OUT SIZE              save a folder again, in shards
peer.py tokenizer FOLDER OUT                save a folder's tokenizer as transformers 5 does, without vocab.txt
peer.py lightning FOLDER OUT                a checkpoint as Lightning writes it, with an optimizer's state
peer.py dtypes OUT                          tensors of many kinds, in both formats of torch.save
"""

import json
import sys
from pathlib import Path

import numpy as np
import torch
import transformers

CLASSES = {
    "generator": transformers.ElectraForMaskedLM,
    "discriminator": transformers.ElectraForPreTraining,
    "encoder": transformers.ElectraModel,
}


def write(weights, out, kind, form):
    arrays = dict(np.load(weights))
    config = transformers.ElectraConfig(**json.loads(str(arrays.pop("config"))))
    model = CLASSES[kind](config)
    state = {name: torch.from_numpy(array) for name, array in arrays.items()}
    if kind == "generator":
        state["generator_lm_head.weight"] = state["electra.embeddings.word_embeddings.weight"]
    model.load_state_dict(state)  # every name, each of its shape
    model.tie_weights()
    model.save_pretrained(out, safe_serialization=form == "safetensors")
    if form == "safetensors":
        return
    (Path(out) / "model.safetensors").unlink(missing_ok=True)  # transformers 5 writes nothing else
    state = dict(model.state_dict())
    prefix = "" if kind == "encoder" else "electra."
    state[prefix + "embeddings.position_ids"] = torch.arange(config.max_position_embeddings).expand((1, -1))
    if form == "legacy":  # as PyTorch before 1.6 saved what transformers before 2 called so
        for new, old in (("LayerNorm.weight", "LayerNorm.gamma"), ("LayerNorm.bias", "LayerNorm.beta")):
            state = {name.replace(new, old): tensor for name, tensor in state.items()}
    torch.save(state, Path(out) / "pytorch_model.bin", _use_new_zipfile_serialization=form != "legacy")


def read(folder, kind, ids, out):
    model, info = CLASSES[kind].from_pretrained(folder, output_loading_info=True)
    assert not info["missing_keys"] and not info["unexpected_keys"] and not info["mismatched_keys"], info
    inputs = {name: torch.from_numpy(array).long() for name, array in np.load(ids).items()}
    with torch.no_grad():
        output = model(**inputs, output_hidden_states=True)
    results = {"hidden": output.hidden_states[-1]}
    if kind != "encoder":
        results["logits"] = output.logits
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    results["tokens"] = torch.tensor(tokenizer("一二三 abc")["input_ids"])
    np.savez(out, **{name: tensor.numpy() for name, tensor in results.items()})


HEADS = {
    "sequence": ("ElectraForSequenceClassification", {"num_labels": 3}),
    "several": ("ElectraForSequenceClassification", {"num_labels": 3, "problem_type": "multi_label_classification"}),
    "number": ("ElectraForSequenceClassification", {"num_labels": 1, "problem_type": "regression"}),
    "token": ("ElectraForTokenClassification", {"num_labels": 5}),
    "answers": ("ElectraForQuestionAnswering", {}),
    "choices": ("ElectraForMultipleChoice", {}),
}
SHAPE = {"vocab_size": 120, "embedding_size": 24, "hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2}


def heads(out):
    for name, (architecture, entries) in HEADS.items():
        torch.manual_seed(0)
        config = transformers.ElectraConfig(intermediate_size=96, initializer_range=0.2, **SHAPE, **entries)
        model = getattr(transformers, architecture)(config).eval()
        model.save_pretrained(Path(out) / name)
        ids = torch.from_numpy(np.random.default_rng(0).integers(5, 120, (2, 9)))
        np.savez(Path(out) / f"{name}.npz", ids=ids.numpy(), **outputs_of(model, ids))


def outputs_of(model, ids):
    """Name -> array of a model's outputs for [B, L]; of choices for the rows as those of one question."""
    is_choice = type(model).__name__.endswith("MultipleChoice")
    with torch.no_grad():
        output = model(ids[None] if is_choice else ids, attention_mask=torch.ones_like(ids)[None if is_choice else ...])
    names = ("start_logits", "end_logits") if hasattr(output, "start_logits") else ("logits",)
    return {name: getattr(output, name).numpy() for name in names}


def run(folder, ids, out):
    config = transformers.AutoConfig.from_pretrained(folder)
    model_class = getattr(transformers, config.architectures[0])
    model, info = model_class.from_pretrained(folder, output_loading_info=True)
    assert not info["missing_keys"] and not info["unexpected_keys"] and not info["mismatched_keys"], info
    np.savez(out, **outputs_of(model.eval(), torch.from_numpy(np.load(ids)["ids"])))


def shards(folder, out, size):
    model = transformers.ElectraForPreTraining.from_pretrained(folder)
    model.save_pretrained(out, max_shard_size=size)


def tokenizer(folder, out):
    transformers.AutoTokenizer.from_pretrained(folder).save_pretrained(out)
    (Path(out) / "vocab.txt").unlink(missing_ok=True)  # of transformers 4


def lightning(folder, out):
    model = transformers.ElectraForPreTraining.from_pretrained(folder)
    state = {f"model.{name}": tensor.clone() for name, tensor in model.state_dict().items()}
    optimizer = torch.optim.AdamW(model.parameters())
    sum(parameter.sum() for parameter in model.parameters()).backward()
    optimizer.step()
    whole = {"epoch": 1, "global_step": 7, "pytorch-lightning_version": "2.4.0", "state_dict": state}
    whole |= {"callbacks": {}, "optimizer_states": [optimizer.state_dict()], "lr_schedulers": []}
    torch.save(whole, Path(out) / "last.ckpt")


def dtypes(out):
    numbers = torch.arange(6.0).reshape(2, 3)
    state = {str(kind).removeprefix("torch."): numbers.to(kind) for kind in (torch.float16, torch.bfloat16)}
    state |= {str(kind).removeprefix("torch."): numbers.to(kind) for kind in (torch.float64, torch.int64, torch.bool)}
    state |= {
        "transposed": numbers.T,
        "part": numbers[1, 1:],
        "scalar": torch.tensor(7.0),
        "empty": torch.zeros(0, 3),
        "parameter": torch.nn.Parameter(numbers),
    }
    torch.save(state, Path(out) / "dtypes.bin")
    torch.save(state, Path(out) / "dtypes_legacy.bin", _use_new_zipfile_serialization=False)


if __name__ == "__main__":
    known = (write, read, heads, run, shards, tokenizer, lightning, dtypes)
    {function.__name__: function for function in known}[sys.argv[1]](*sys.argv[2:])

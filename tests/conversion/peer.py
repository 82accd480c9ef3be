"""Real transformers and PyTorch, run in the environment of `make peers`. The golden files were made with it too.

peer.py write WEIGHTS.npz OUT KIND FORMAT   save a model from Hugging Face's names as transformers or torch does
peer.py read FOLDER KIND IDS.npz OUT.npz    load a folder strictly and run it
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
    {"write": write, "read": read, "dtypes": dtypes}[sys.argv[1]](*sys.argv[2:])

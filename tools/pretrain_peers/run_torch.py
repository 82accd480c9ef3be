"""Hugging Face's ELECTRA in PyTorch: ElectraForMaskedLM and ElectraForPreTraining, logits at all positions.

Runs in the environment that `make peers` makes.
"""

import itertools
import json
import sys

import numpy as np
import torch
from transformers import ElectraConfig, ElectraForMaskedLM, ElectraForPreTraining
from turns import Turns

settings = json.loads(sys.argv[1])
device = "cuda" if torch.cuda.is_available() else "cpu"
discriminator = ElectraForPreTraining(ElectraConfig(**settings["discriminator"])).to(device).train()
generator = ElectraForMaskedLM(ElectraConfig(**settings["generator"])).to(device).train()
generator.electra.embeddings = discriminator.electra.embeddings
generator.tie_weights()
parameters = list({id(p): p for net in (generator, discriminator) for p in net.parameters()}.values())
optimizer = torch.optim.AdamW(parameters, 1e-5, eps=1e-6, weight_decay=0.01)
forward = {"generator": generator, "discriminator": discriminator}
if settings["compile"]:
    forward = {name: torch.compile(network) for name, network in forward.items()}
data = np.load(settings["batches"])
batches = itertools.cycle(range(len(data["input_ids"])))
for _ in Turns():
    number = next(batches)
    inputs, masked, types, mask, labels = (
        torch.from_numpy(data[name][number]).to(device)
        for name in ("input_ids", "masked_input_ids", "token_type_ids", "attention_mask", "labels")
    )
    with torch.autocast(device, torch.bfloat16, enabled=settings["precision"] != "fp32"):
        output = forward["generator"](masked, attention_mask=mask, token_type_ids=types, labels=labels)
        with torch.no_grad():
            is_masked = labels != -100
            logits = output.logits[is_masked].float()  # what nobody needs is not sampled
            corrupted = inputs.clone()
            corrupted[is_masked] = (logits - torch.empty_like(logits).exponential_().log()).argmax(-1)
        detected = forward["discriminator"](
            corrupted, attention_mask=mask, token_type_ids=types, labels=(corrupted != inputs).long()
        )
        loss = output.loss + 50 * detected.loss
    loss.backward()
    torch.nn.utils.clip_grad_norm_(parameters, 1.0)
    optimizer.step()
    optimizer.zero_grad()
    if device == "cuda":
        torch.cuda.synchronize()

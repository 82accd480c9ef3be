"""PaddleNLP's ElectraForTotalPretraining with its own criterion, given the settings for CPUs that ours has."""

import itertools
import json
import sys

import numpy as np
from turns import Turns

from electra_paddle import runtime

settings = json.loads(sys.argv[1])
paddle = runtime.start()
from paddlenlp.transformers import ElectraConfig, ElectraForTotalPretraining, ElectraPretrainingCriterion  # noqa: E402

config = ElectraConfig(**settings["discriminator"])
model = ElectraForTotalPretraining(config)
criterion = ElectraPretrainingCriterion(config)
optimizer = paddle.optimizer.AdamW(
    1e-5, parameters=model.parameters(), weight_decay=0.01, grad_clip=paddle.nn.ClipGradByGlobalNorm(1.0)
)
model.train()
data = np.load(settings["batches"])
batches = itertools.cycle(range(len(data["input_ids"])))
is_gpu = paddle.device.get_device() != "cpu"
for _ in Turns():
    number = next(batches)
    inputs, masked, types, mask = (
        paddle.to_tensor(data[name][number])
        for name in ("input_ids", "masked_input_ids", "token_type_ids", "attention_mask")
    )
    labels = paddle.to_tensor(data["labels"][number])  # [B, L], -100 where nothing is masked
    with paddle.amp.auto_cast(enable=settings["precision"] != "fp32", dtype="bfloat16"):
        outputs = model(masked, types, attention_mask=mask, raw_input_ids=inputs, generator_labels=labels)
        generator_logits, rtd_logits, rtd_labels, _ = outputs
        loss = criterion(generator_logits, rtd_logits, labels, rtd_labels.astype("float32"), mask.astype("bool"))
    loss.backward()
    optimizer.step()
    optimizer.clear_grad()
    if is_gpu:
        paddle.device.cuda.synchronize()

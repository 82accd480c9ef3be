"""Hidden states of texts, and how similar two texts are. Shapes: B batch, L sequence, H hidden."""

import json

import numpy as np
from paddlenlp.transformers import ElectraModel

from electra_paddle.hub.tasks.base import Example, Task, encode, mean_states
from electra_paddle.text import encode_pair


class Embedding(Task):
    """Hidden states. The module's forward pass gives all of them [B, L, H] and those of [CLS] [B, H]."""

    num_texts = (1, 2)
    components = [("Textbox", {"label": "embedding of [CLS]", "lines": 8, "show_copy_button": True})]

    def build(self, module, config, head):
        module.model = ElectraModel(config)
        return module.model

    def forward(self, module, batch, position_ids=None):
        hidden = encode(module.model, batch, position_ids)  # [B, L, H]
        return hidden, hidden[:, 0]

    def compute(self, module, batch):
        return (encode(module.model, batch),)  # [B, L, H]

    def output_names(self, module):
        return ["hidden"]

    def keep(self, module, options, arrays, batch):
        lengths = batch.attention_mask.sum(axis=1).tolist()
        return [row[:length] for row, length in zip(arrays[0], lengths, strict=True)]

    def answer(self, module, example, values, options):
        return [values[0][0].tolist(), values[0].tolist()]

    def show(self, tokenizer, texts, answer):
        return answer[0]

    def view(self, module, texts, answer):
        return [json.dumps(answer[0])]


class Similarity(Embedding):
    """Cosine of the mean states of two texts, each encoded for itself; from -1 to 1."""

    num_texts = (2,)
    components = [("Number", {"label": "cosine, from -1 to 1"})]

    def encode(self, tokenizer, texts, options):
        return Example([(encode_pair(tokenizer, text, None, options.max_seq_len),) for text in texts])

    def compute(self, module, batch):
        return (mean_states(module.model, batch),)  # [B, H]

    def output_names(self, module):
        return ["mean"]

    def keep(self, module, options, arrays, batch):
        return list(arrays[0])

    def answer(self, module, example, values, options):
        first, second = (vector.astype("float64") for vector in values)
        cosine = first @ second / max(np.linalg.norm(first) * np.linalg.norm(second), 1e-12)
        return float(np.clip(cosine, -1, 1))  # rounding may carry it past 1

    def show(self, tokenizer, texts, answer):
        return {"similarity": answer}

    def view(self, module, texts, answer):
        return [round(answer, 4)]

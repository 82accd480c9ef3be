"""PaddleHub's own `predict` at its defaults, in a module like the official ones, with PaddleNLP's ELECTRA."""

import json
import sys
from pathlib import Path

import paddle.nn.functional as F
from paddle import nn
from paddlehub.module.nlp_module import TransformerModule
from paddlenlp.transformers import ElectraConfig, ElectraForSequenceClassification, ElectraTokenizer

sys.path.append(str(Path(__file__).parents[1] / "pretrain_peers"))
from turns import Turns

settings = json.loads(sys.argv[1])


class Electra(nn.Layer, TransformerModule):
    def __init__(self):
        super().__init__()
        self.task, self.label_map = "seq-cls", {0: "negative", 1: "positive"}
        self.model = ElectraForSequenceClassification(ElectraConfig(**settings["geometry"]))

    def forward(self, input_ids, token_type_ids):
        return F.softmax(self.model(input_ids, token_type_ids), axis=-1)

    def get_tokenizer(self):
        return ElectraTokenizer(settings["vocabulary"])


items = [[text] for text in json.loads(Path(settings["texts"]).read_text(encoding="utf-8"))]
items = items[:: settings["share"]]
model = Electra()
for _ in Turns():
    model.predict(items, settings["max_seq_length"])

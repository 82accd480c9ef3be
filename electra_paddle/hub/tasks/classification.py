"""Classes of texts and of pairs of texts. Shapes: B batch, L sequence, H hidden, C classes."""

import paddle
from paddle import nn
from paddlenlp.transformers import ElectraForSequenceClassification, ElectraModel

from electra_paddle.batch import TokenBatch
from electra_paddle.hub.tasks.base import Example, Task, encode, mean_states
from electra_paddle.models.heads import ElectraClassifier
from electra_paddle.text import encode_pair


class Classification(Task):
    """A class of a text, or of a pair in one sequence, with the reference's head: a single dense layer.

    Checkpoints of the official modules have two, and bring them along.
    """

    num_texts = (1, 2)
    has_classes = True
    is_learned = True
    trained_by = "ElectraClassifier"
    components = [("Label", {"label": "probabilities", "num_top_classes": 10})]

    def build(self, module, config, head):
        is_official = "classifier.dense.weight" in head
        module.model = (ElectraForSequenceClassification if is_official else ElectraClassifier)(config)
        return module.model.electra

    def forward(self, module, batch, position_ids=None):
        network = module.model
        hidden = encode(network.electra, batch, position_ids)  # [B, L, H]
        if isinstance(network, ElectraClassifier):
            return network.classifier(network.dropout(hidden[:, 0]))  # [B, C]
        return network.classifier(hidden)  # [B, C]

    def answer(self, module, example, values, options):
        return module.label_map[int(values[0].argmax())], values[0].tolist()

    def show(self, tokenizer, texts, answer):
        label, probabilities = answer
        return {"label": label, "probability": max(probabilities)}


class PairClassification(Classification):
    """A class of two texts in one sequence, as LCQMC, BQ and XNLI are published: the reference's head."""

    num_texts = (2,)

    def build(self, module, config, head):
        module.model = ElectraClassifier(config)
        return module.model.electra


class TextMatching(Classification):
    """A class of two texts, each encoded for itself: a dense layer on both mean states and their difference."""

    num_texts = (2,)
    inputs = ("query_", "title_")
    trained_by = None
    batch_names = ("query_input_ids", "query_token_type_ids", "title_input_ids", "title_token_type_ids", "labels")

    def build(self, module, config, head):
        module.model = ElectraModel(config)
        module.dropout = nn.Dropout(0.1)
        module.classifier = nn.Linear(3 * config.hidden_size, module.num_classes)
        return module.model

    def encode(self, tokenizer, texts, options):
        return Example([tuple(encode_pair(tokenizer, text, None, options.max_seq_len) for text in texts)])

    def forward_named(self, module, arguments):
        query, title = (TokenBatch(*(arguments[text + name] for name in TokenBatch._fields)) for text in self.inputs)
        return self.forward(module, query, title, *(arguments[text + "position_ids"] for text in self.inputs))

    def forward(self, module, query, title, query_position_ids=None, title_position_ids=None):
        """Logits [B, C] of two TokenBatches."""
        first = mean_states(module.model, query, query_position_ids, module.dropout)  # [B, H]
        second = mean_states(module.model, title, title_position_ids, module.dropout)  # [B, H]
        return module.classifier(paddle.concat([first, second, (first - second).abs()], axis=-1))

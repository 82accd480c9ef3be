"""A kind of task of a user's own: a number for each text, from fine-tuning to a hub module and its page."""

from typing import NamedTuple

import numpy as np
from paddle import nn
from paddlenlp.transformers import ElectraModel, ElectraPretrainedModel

from electra_paddle.batch import ClassificationBatch, ClassificationOutput
from electra_paddle.errors import DataError
from electra_paddle.files import replace_text
from electra_paddle.finetuning.formats import read_rows
from electra_paddle.finetuning.kinds.base import TaskKind
from electra_paddle.hub.tasks.base import Task, encode
from electra_paddle.text import encode_pair, pad


class ElectraStars(ElectraPretrainedModel):
    def __init__(self, config):
        super().__init__(config)
        self.electra = ElectraModel(config)
        self.regressor = nn.Linear(config.hidden_size, 1)

    def stars(self, hidden):
        return self.regressor(hidden[:, 0]).squeeze(-1)  # [B]


class Review(NamedTuple):
    id: str
    where: str
    text: str
    stars: float | None


class StarsFeature(NamedTuple):
    example: int
    input_ids: list
    stars: float


class Stars(TaskKind):
    feature_class = StarsFeature
    metrics = ("closeness",)

    def read(self, path, split, problems):
        layout = self.description.of_split(split)
        return [
            Review(str(number), row.where, row.cells["text_a"], float(row.cells["label"]))
            for number, row in enumerate(read_rows(path, layout, True, problems))
        ]

    def is_labelled(self, examples):
        return examples[0].stars is not None

    def featurize(self, number, example, tokenizer):
        ids, _ = encode_pair(tokenizer, example.text, None, self.config.max_seq_length)
        return [StarsFeature(number, ids, example.stars or 0.0)]

    def build_network(self, electra_config):
        return ElectraStars(electra_config)

    def collate(self, features, length=None):
        tokens = pad([(feature.input_ids, len(feature.input_ids)) for feature in features], length)
        stars = np.array([feature.stars for feature in features], np.float32)
        return ClassificationBatch(*tokens, stars, np.ones(len(features), np.float32))

    def forward(self, network, batch):
        hidden = network.electra(batch.input_ids, attention_mask=batch.attention_mask)
        stars = network.stars(hidden)
        return ClassificationOutput(((stars - batch.labels) ** 2 * batch.weights).sum(), stars)

    def answers(self, batch, output):
        return output.logits.numpy().tolist()

    def predict(self, examples, features, answers, tokenizer):
        return answers

    def score(self, examples, predictions):
        errors = [abs(example.stars - stars) for example, stars in zip(examples, predictions, strict=True)]
        return {"closeness": 100 - sum(errors) / len(errors)}

    def write_predictions(self, output_dir, split, trial, examples, predictions):
        path = output_dir / f"{self.description.name}_{split}_{trial}.txt"
        replace_text(path, "".join(f"{stars:.3f}\n" for stars in predictions))
        return [path]

    def example(self, number, given):
        if not isinstance(given, str) or not given:
            raise DataError(f"texts[{number}]", repr(given), "a text")
        return Review(str(number), f"texts[{number}]", given, None)

    def plain(self, prediction, with_probabilities=False):
        return prediction


class StarsTask(Task):
    """The same network within a module."""

    is_learned = True
    trained_by = "ElectraStars"

    def build(self, module, config, parameter_names):
        module.model = ElectraStars(config)
        return module.model.electra

    def forward(self, module, *batches, position_ids=(None, None)):
        return module.model.stars(encode(module.model.electra, batches[0], position_ids[0]))

    def compute(self, module, *batches):
        return (self.forward(module, *batches),)

    def output_names(self, module):
        return ["stars"]

    def answer(self, module, example, values, options):
        return float(values[0])

"""A tag for each token of a sentence. Shapes: B batch, L sequence, C tags, T tokens of a sentence."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from electra_paddle.batch import ClassificationBatch, ClassificationOutput
from electra_paddle.errors import ConfigError, DataError
from electra_paddle.files import replace_text
from electra_paddle.finetuning.analysis import NOTHING, Verdict
from electra_paddle.finetuning.description import one_of
from electra_paddle.finetuning.formats import read_sentences
from electra_paddle.finetuning.kinds.base import TaskKind
from electra_paddle.finetuning.kinds.objective import OneClass
from electra_paddle.finetuning.labels import labels_of
from electra_paddle.text import pad
from electra_paddle.text.tag_schemes import about, entities_of, scheme_of, split_tag

if TYPE_CHECKING:
    from paddle import Tensor
    from paddle.nn import Layer
    from paddlenlp.transformers import ElectraConfig

    from electra_paddle.arrays import Array
    from electra_paddle.config import FinetuningConfig
    from electra_paddle.finetuning.description import TaskDescription
    from electra_paddle.finetuning.prediction import Wanted
    from electra_paddle.finetuning.problems import Problems
    from electra_paddle.text import Tokenizer


class TaggingExample(NamedTuple):
    """One sentence."""

    id: str
    where: str  # file and line of its first token
    tokens: tuple[str, ...]  # T texts
    tags: tuple[int, ...]  # T ids, all -1 where the file has no tags


class TaggingFeature(NamedTuple):
    """One sequence with special tokens: a sentence, or a part of one that is longer than a sequence."""

    example: int  # its number
    input_ids: list[int] | Array  # [L]
    firsts: list[int] | Array  # where in input_ids the first piece of each token stands
    tags: list[int] | Array  # id of each token's tag, -1 where there is none


class TaggingPrediction(NamedTuple):
    """The prediction for one sentence."""

    tags: list[int]  # [T] ids
    probabilities: list[float]  # [T] of these tags


class TagAnswer(NamedTuple):
    """The most probable tag of each position of one sequence."""

    tags: Array  # [L] int16, the most probable
    probabilities: Array  # [L] float32, of these tags


class Tagging(
    OneClass,
    TaskKind[TaggingExample, TaggingFeature, ClassificationBatch, ClassificationOutput, TagAnswer, TaggingPrediction],
):
    """A dense layer on every token; cross entropy of the first pieces, summed."""

    feature_class = TaggingFeature
    reads_in_parts = True
    metrics = ("f1", "precision", "recall", "accuracy")

    def __init__(self, description: TaskDescription, config: FinetuningConfig) -> None:
        super().__init__(description, config)
        if description.labels and not self.has_entities and self.main_metric != "accuracy":
            raise ConfigError("metric", self.main_metric, "accuracy where no tag begins with B-, I-, M-, E- or S-")

    @property
    def main_metric(self) -> str:
        marks_none = bool(self.description.labels) and not self.has_entities
        return self.description.metric or ("accuracy" if marks_none else "f1")

    @property
    def has_entities(self) -> bool:
        """Whether the tags mark entities, which are then scored as wholes."""
        return scheme_of(self.description.classes) is not None

    def find_labels(self, path: Path, problems: Problems) -> tuple[str, ...]:
        layout = self.description.of_split("train")
        sentences = read_sentences(path, layout, True, problems)
        found = ((where, tag) for where, _, tags in sentences for tag in tags or ())
        return labels_of(found, layout, path, lambda tag: (split_tag(tag) or ("", tag))[1])

    def read(self, path: Path, split: str, problems: Problems) -> list[TaggingExample]:
        layout = self.description.of_split(split)
        examples: list[TaggingExample] = []
        for where, tokens, tags in read_sentences(path, layout, split in ("train", "dev"), problems):
            unknown = [tag for tag in tags or () if layout.label_id(tag) is None]
            if unknown:
                problems.add(where, f"tag {unknown[0]!r} in this sentence", one_of(layout.classes))
                continue
            ids = (
                [-1] * len(tokens)
                if tags is None
                else [layout.classes.index(layout.aliases.get(tag, tag)) for tag in tags]
            )
            examples.append(TaggingExample(str(len(examples)), where, tuple(tokens), tuple(ids)))
        return examples

    def is_labelled(self, examples: Sequence[TaggingExample]) -> bool:
        return examples[0].tags[0] >= 0

    def about_labels(self) -> str:
        return about(self.description.classes)

    def count_labels(self, examples: Sequence[TaggingExample]) -> dict[str, int]:
        counts = Counter(tag for example in examples for tag in example.tags)
        return {label: counts[number] for number, label in enumerate(self.description.classes)}

    def featurize(self, number: int, example: TaggingExample, tokenizer: Tokenizer) -> list[TaggingFeature]:
        vocabulary, room = tokenizer.vocabulary, self.config.max_seq_length - 2
        encoded = tokenizer.encode_lines("\n".join(token.replace("\n", " ") for token in example.tokens))
        starts = [0, *encoded.line_ends.tolist()]
        ids = encoded.ids.tolist()
        parts: list[tuple[list[int], list[int], list[int]]] = [([], [], [])]
        for tag, start, end in zip(example.tags, starts[:-1], starts[1:], strict=True):
            pieces = ids[start:end][:room] or [vocabulary.unk]  # some characters make no token
            if len(parts[-1][0]) + len(pieces) > room:
                parts.append(([], [], []))
            input_ids, firsts, tags = parts[-1]
            firsts.append(1 + len(input_ids))
            input_ids += pieces
            tags.append(tag)
        return [
            TaggingFeature(number, [vocabulary.cls, *input_ids, vocabulary.sep], firsts, tags)
            for input_ids, firsts, tags in parts
        ]

    def build_network(self, electra_config: ElectraConfig) -> Layer:
        from electra_paddle.models.heads import ElectraTagger

        return ElectraTagger(electra_config)

    def collate(self, features: Sequence[TaggingFeature], length: int | None = None) -> ClassificationBatch:
        tokens = pad([(feature.input_ids, len(feature.input_ids)) for feature in features], length)
        labels = np.full(tokens.input_ids.shape, -1, np.int64)  # [B, L]
        for row, feature in zip(labels, features, strict=True):
            row[np.asarray(feature.firsts)] = feature.tags
        return ClassificationBatch(*tokens, labels, np.ones(len(features), np.float32))

    def forward(self, network: Layer, batch: ClassificationBatch) -> ClassificationOutput:
        logits = network(batch.input_ids, batch.token_type_ids, batch.attention_mask)  # [B, L, C]
        return ClassificationOutput((self.training_loss if network.training else self.loss)(logits, batch), logits)

    def loss(self, logits: Tensor, batch: ClassificationBatch) -> Tensor:
        """The weighted sum over the batch's first pieces."""
        from electra_paddle.models.task_losses import classification_loss

        return classification_loss(logits, batch.labels, batch.weights.unsqueeze(-1))

    def row_losses(self, batch: ClassificationBatch, output: ClassificationOutput) -> Tensor:
        """The loss of each sentence's worst token."""
        from electra_paddle.models.task_losses import classification_losses

        return classification_losses(output.logits, batch.labels).max(axis=-1)

    def answers(self, batch: ClassificationBatch, output: ClassificationOutput) -> list[TagAnswer]:
        import paddle.nn.functional as F

        probabilities = F.softmax(output.logits.astype("float32"), axis=-1).numpy()  # [B, L, C]
        return best_tags(probabilities)

    def exported_answers(self, batch: ClassificationBatch, outputs: Mapping[str, Array]) -> list[TagAnswer]:
        return best_tags(outputs["probabilities"])

    def predict(
        self,
        examples: Sequence[TaggingExample],
        features: Iterable[TaggingFeature],
        answers: Iterable[TagAnswer],
        tokenizer: Tokenizer,
    ) -> list[TaggingPrediction]:
        predictions = [TaggingPrediction([], []) for _ in examples]
        for feature, answer in zip(features, answers, strict=True):
            prediction = predictions[feature.example]
            prediction.tags.extend(answer.tags[feature.firsts].tolist())
            prediction.probabilities.extend(answer.probabilities[feature.firsts].tolist())
        return predictions

    def score(self, examples: Sequence[TaggingExample], predictions: Sequence[TaggingPrediction]) -> dict[str, float]:
        pairs = list(zip(examples, predictions, strict=True))
        right = sum(np.equal(example.tags, prediction.tags).sum() for example, prediction in pairs)
        scores = {"accuracy": float(100 * right / sum(len(example.tags) for example, _ in pairs))}
        if not self.has_entities:
            return scores
        from seqeval.metrics import f1_score, precision_score, recall_score

        names = [self._scored(example.tags) for example in examples], [self._scored(row.tags) for row in predictions]
        functions = {"f1": f1_score, "precision": precision_score, "recall": recall_score}
        entities = {name: 100 * float(function(*names, zero_division=0)) for name, function in functions.items()}
        return {**entities, **scores}

    def write_predictions(
        self,
        output_dir: Path,
        split: str,
        trial: int | str,
        examples: Sequence[TaggingExample],
        predictions: Sequence[TaggingPrediction],
    ) -> list[Path]:
        lines: list[str] = []
        for example, prediction in zip(examples, predictions, strict=True):
            columns: list[Sequence[str]] = [example.tokens, self._names(prediction.tags)]
            if self.config.write_probabilities:
                columns.append([f"{probability:.6f}" for probability in prediction.probabilities])
            lines += [" ".join(cells) for cells in zip(*columns, strict=True)] + [""]
        path = output_dir / "test_predictions" / f"{self.description.name}_{split}_{trial}_predictions.txt"
        replace_text(path, "\n".join(lines))
        return [path]

    def example(self, number: int, given: Any) -> TaggingExample:
        """Make an example of a text, whose characters are its tokens, or of a list of tokens."""
        tokens = tuple(given) if isinstance(given, (str, list, tuple)) else ()
        if not tokens or not all(isinstance(token, str) and token for token in tokens):
            raise DataError(f"texts[{number}]", repr(given), "a text or a list of tokens")
        return TaggingExample(str(number), f"texts[{number}]", tokens, (-1,) * len(tokens))

    def plain(self, prediction: TaggingPrediction, with_probabilities: bool = False) -> Any:
        """A tag for each token, or with probabilities (tag, probability)."""
        tags = self._names(prediction.tags)
        return list(zip(tags, prediction.probabilities, strict=True)) if with_probabilities else tags

    def texts(self, example: TaggingExample) -> tuple[str, ...]:
        return ("".join(example.tokens),)

    def output(self, example: TaggingExample, prediction: TaggingPrediction, wanted: Wanted) -> dict[str, Any]:
        """Entities with their places in the text, or a tag for each token where tags mark none."""
        if not self.has_entities:
            return {"tags": self._names(prediction.tags)}
        ends = np.cumsum([0, *map(len, example.tokens)]).tolist()
        text, entities = "".join(example.tokens), []
        for label, first, last in sorted(self._entities(prediction.tags), key=lambda entity: entity[1:]):
            start, end = ends[first], ends[last + 1]
            score = float(np.mean(prediction.probabilities[first : last + 1]))
            entities.append({"text": text[start:end], "label": label, "start": start, "end": end, "score": score})
        return {"entities": entities}

    def gold(self, example: TaggingExample) -> Any:
        return self._names(example.tags) if example.tags[0] >= 0 else None

    def verdict(self, example: TaggingExample, prediction: TaggingPrediction) -> Verdict:
        """Of entities, where tags mark them, else of tags."""
        pairs = list(zip(example.tags, prediction.tags, strict=True))
        decisions = [(p, tag == said) for p, (tag, said) in zip(prediction.probabilities, pairs, strict=True)]
        severity = max((confidence for confidence, is_right in decisions if not is_right), default=0.0)
        if self.has_entities:
            right, said = (self._entities(tags) for tags in (example.tags, prediction.tags))
            groups = [(label, (label, *place) in said) for label, *place in sorted(right)]
            return Verdict(right == said, severity, groups, entity_confusions(right, said), decisions)
        names = [tuple(self._names(pair)) for pair in pairs]
        confusions = [(tag, said) for tag, said in names if tag != said]
        return Verdict(not confusions, severity, [(tag, tag == said) for tag, said in names], confusions, decisions)

    def _entities(self, ids: Iterable[int]) -> set[tuple[str, int, int]]:
        """(class, first token, last token) of each."""
        return {(str(name), first, last) for name, first, last in entities_of(self._names(ids))}

    def combine(self, batch: ClassificationBatch, outputs: Sequence[ClassificationOutput]) -> ClassificationOutput:
        from electra_paddle.models.ensemble import mean_of_softmax

        logits = mean_of_softmax([output.logits for output in outputs])  # [B, L, C]
        return ClassificationOutput(self.loss(logits, batch), logits)

    def write_report(
        self, stem: Path, examples: Sequence[TaggingExample], predictions: Sequence[TaggingPrediction]
    ) -> list[Path]:
        """Precision and recall of each class of entities."""
        if not self.has_entities:
            return []
        from seqeval.metrics import classification_report

        names = [self._scored(example.tags) for example in examples], [self._scored(row.tags) for row in predictions]
        path = Path(f"{stem}_classes.txt")
        replace_text(path, classification_report(*names, digits=4, zero_division=0))
        return [path]

    def _scored(self, ids: Iterable[int]) -> list[str]:
        """Tags as seqeval knows them: the middle of an entity is an I there."""
        return [f"I-{name[2:]}" if name.startswith("M-") else name for name in self._names(ids)]

    def _names(self, ids: Iterable[int]) -> list[str]:
        return [self.description.classes[number] for number in ids]


def best_tags(probabilities: Array) -> list[TagAnswer]:
    """TagAnswers of probabilities [B, L, C]."""
    return list(map(TagAnswer, probabilities.argmax(-1).astype(np.int16), probabilities.max(-1)))


def entity_confusions(right: set[tuple[str, int, int]], said: set[tuple[str, int, int]]) -> list[tuple[str, str]]:
    """What entities were taken for: another class, another extent, nothing; and what was given where none is right."""
    pairs = []
    for label, first, last in sorted(right - said):
        near = [entity for entity in sorted(said) if entity[1] <= last and first <= entity[2]]
        same_place = [name for name, *place in near if place == [first, last]]
        pairs.append((label, (same_place or [f"{name}, another extent" for name, *_ in near] or [NOTHING])[0]))
    for label, first, last in sorted(said - right):
        if not any(entity[1] <= last and first <= entity[2] for entity in right):
            pairs.append((NOTHING, label))
    return pairs

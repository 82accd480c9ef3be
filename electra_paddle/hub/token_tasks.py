"""Tasks that answer token by token; long texts go through the network in windows.

Shapes: B batch, L sequence, H hidden, C classes, M masks of a batch, V vocabulary.
"""

import re
from itertools import compress
from typing import Any, NamedTuple

import numpy as np
import paddle
import paddle.nn.functional as F
from paddlenlp.transformers import ElectraDiscriminator, ElectraGenerator

from electra_paddle.errors import DataError
from electra_paddle.hub.prediction import windows
from electra_paddle.hub.tasks import SPLIT_CHAR, Example, Task, encode
from electra_paddle.models.heads import ElectraTagger

MASK = "[MASK]"


class Windows(NamedTuple):
    """How the tokens of a text were laid out."""

    parts: list  # as `windows` returns them
    places: Any  # of each thing that is answered for, the number of its token, -1 if it has none


class TokenTask(Task):
    """One text in overlapping windows."""

    def encode(self, tokenizer, texts, options):
        ids, places = self.tokens(tokenizer, texts[0], options)
        parts = windows(len(ids), options.max_seq_len - 2)
        vocabulary = tokenizer.vocabulary
        sequences = [[vocabulary.cls, *ids[start:end], vocabulary.sep] for start, end, _, _ in parts]
        return Example([((sequence, len(sequence)),) for sequence in sequences], Windows(parts, places))

    def tokens(self, tokenizer, text, options):
        """(ids, places as in Windows) of a text."""
        raise NotImplementedError

    def join(self, example, values):
        """The values [tokens, ...] of all tokens, from those of the windows."""
        return np.concatenate(
            [
                value[1 + first - start : 1 + last - start]
                for value, (start, _, first, last) in zip(values, example.notes.parts, strict=True)
            ]
        )


class TokenClassification(TokenTask):
    """A label for each token of the caller's, by its first piece: those between `split_char`s where the text holds
    any, and else those of the tokenizer.
    """

    has_classes = True
    is_learned = True
    trained_by = "ElectraTagger"

    def build(self, module, config, head):
        module.model = ElectraTagger(config)
        return module.model.electra

    def tokens(self, tokenizer, text, options):
        if options.split_char not in text:
            ids = tokenizer.encode(text) or [tokenizer.vocabulary.unk]
            return ids, np.arange(len(ids))
        words = text.split(options.split_char)
        encoded = tokenizer.encode_lines("\n".join(word.replace("\n", " ") for word in words))
        ends = encoded.line_ends.tolist()
        ids, places = [], []
        for start, end in zip([0, *ends[:-1]], ends, strict=True):
            places.append(len(ids))
            ids += encoded.ids[start:end].tolist() or [tokenizer.vocabulary.unk]  # some characters make no token
        return ids, np.array(places)

    def forward(self, module, batch, position_ids=None):
        hidden = encode(module.model.electra, batch, position_ids)  # [B, L, H]
        return module.model.classifier(hidden)  # [B, L, C]

    def answer(self, module, example, values, options):
        probabilities = self.join(example, values)[example.notes.places]  # [tokens, C]
        return [module.label_map[number] for number in probabilities.argmax(-1).tolist()], probabilities.tolist()

    def show(self, tokenizer, texts, answer):
        if SPLIT_CHAR in texts[0]:
            return [list(pair) for pair in zip(texts[0].split(SPLIT_CHAR), answer[0], strict=True)]
        _, starts, ends = tokenizer.encode_with_offsets(texts[0])
        pieces = [texts[0][start:end] for start, end in zip(starts, ends, strict=True)] or [texts[0]]
        return [list(pair) for pair in zip(pieces, answer[0], strict=True)]


class ReplacedTokenDetection(TokenTask):
    """The probability that a character is not what once stood there, for every character of the text.

    Characters of one token share its probability; white space and other characters without a token have 0.
    """

    has_pretrained_head = True

    def build(self, module, config, head):
        module.model = ElectraDiscriminator(config)
        return module.model.electra

    def tokens(self, tokenizer, text, options):
        ids, starts, ends = tokenizer.encode_with_offsets(text)
        places = np.full(len(text), -1)
        for number, (start, end) in enumerate(zip(starts, ends, strict=True)):
            places[start:end] = number
        return ids, places

    def forward(self, module, batch, position_ids=None):
        """Logits [B, L]."""
        hidden = encode(module.model.electra, batch, position_ids)  # [B, L, H]
        head = module.model.discriminator_predictions  # called by part: its own forward squeezes a batch of one
        return head.dense_prediction(head.act(head.dense(hidden))).squeeze(-1)  # [B, L]

    def compute(self, module, batch):
        return (F.sigmoid(self.forward(module, batch)),)  # [B, L]

    def answer(self, module, example, values, options):
        probabilities = np.append(self.join(example, values), 0)  # the last for places of -1
        return probabilities[example.notes.places].tolist()

    def show(self, tokenizer, texts, answer):
        return [list(pair) for pair in zip(texts[0], answer, strict=True)]


class FillMask(TokenTask):
    """The most probable tokens for every [MASK] of the text: a list of {"token", "score"} for each."""

    component = "generator"
    has_pretrained_head = True

    def build(self, module, config, head):
        module.model = ElectraGenerator(config)
        return module.model.electra

    def tokens(self, tokenizer, text, options):
        parts = re.split(re.escape(MASK), text)
        if len(parts) == 1:
            raise DataError("data", f"a text without {MASK} ({text[:20]!r})", f"{MASK} where a token is to be found")
        ids = tokenizer.encode(parts[0])
        places = []
        for part in parts[1:]:
            places.append(len(ids))
            ids += [tokenizer.vocabulary.mask, *tokenizer.encode(part)]
        return ids, np.array(places)

    def encode(self, tokenizer, texts, options):
        example = super().encode(tokenizer, texts, options)
        places = example.notes.places
        is_asked = [((first <= places) & (places < last)).any() for _, _, first, last in example.notes.parts]
        parts, rows = (list(compress(each, is_asked)) for each in (example.notes.parts, example.rows))
        return Example(rows, Windows(parts, places))

    def forward(self, module, batch, position_ids=None):
        """Logits [B, L, V]."""
        return self.predict_tokens(module, encode(module.model.electra, batch, position_ids))

    def predict_tokens(self, module, hidden):
        """Logits [..., V] of hidden states [..., H]."""
        network = module.model
        hidden = network.generator_predictions(hidden)  # [..., E]
        embeddings = network.electra.embeddings.word_embeddings.weight  # [V, E]
        return paddle.matmul(hidden, embeddings, transpose_y=True) + network.generator_lm_head_bias

    def compute(self, module, batch):
        """Probabilities [M, V] at the masks alone, in the order of rows and places."""
        hidden = encode(module.model.electra, batch)  # [B, L, H]
        masks = paddle.nonzero(batch.input_ids == module.text_tokenizer.vocabulary.mask)  # [M, 2]
        return (F.softmax(self.predict_tokens(module, paddle.gather_nd(hidden, masks)), axis=-1),)

    def keep(self, module, options, arrays, batch):
        """Of each row place -> (ids, scores) of the best tokens."""
        found = [{} for _ in batch.input_ids]
        masks = np.argwhere(batch.input_ids == module.text_tokenizer.vocabulary.mask).tolist()  # [M, 2]
        for (row, place), scores in zip(masks, arrays[0], strict=True):
            best = np.argsort(-scores, kind="stable")[: options.top_k]
            found[row][place] = best.tolist(), scores[best].tolist()
        return found

    def answer(self, module, example, values, options):
        tokens, answers = module.text_tokenizer.vocabulary.tokens, []
        for place in example.notes.places.tolist():
            for value, (start, _, first, last) in zip(values, example.notes.parts, strict=True):
                if first <= place < last:
                    pairs = zip(*value[1 + place - start], strict=True)
                    answers.append([{"token": tokens[token], "score": score} for token, score in pairs])
        return answers

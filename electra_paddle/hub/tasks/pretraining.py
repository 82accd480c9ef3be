"""What both networks learn in pre-training: to fill masks, and to find replaced tokens.

Shapes: B batch, L sequence, H hidden, E embedding, M masks of a batch, V vocabulary.
"""

import re
from itertools import compress

import numpy as np
import paddle
import paddle.nn.functional as F
from paddlenlp.transformers import ElectraDiscriminator, ElectraGenerator

from electra_paddle.errors import DataError
from electra_paddle.hub.tasks.base import Example, encode
from electra_paddle.hub.tasks.tokens import TokenTask, Windows
from electra_paddle.models.heads import replaced_logits, vocabulary_logits

MASK = "[MASK]"


class ReplacedTokenDetection(TokenTask):
    """The probability that a character is not what once stood there, for every character of the text.

    Characters of one token share its probability; white space and other characters without a token have 0.
    """

    has_pretrained_head = True
    components = [("HighlightedText", {"label": "the redder, the more probably not what once stood there"})]

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
        return replaced_logits(module.model, hidden)

    def compute(self, module, batch):
        return (F.sigmoid(self.forward(module, batch)),)  # [B, L]

    def answer(self, module, example, values, options):
        probabilities = np.append(self.join(example, values), 0)  # the last for places of -1
        return probabilities[example.notes.places].tolist()

    def show(self, tokenizer, texts, answer):
        return [list(pair) for pair in zip(texts[0], answer, strict=True)]

    def view(self, module, texts, answer):
        return [list(zip(texts[0], answer, strict=True))]


class FillMask(TokenTask):
    """The most probable tokens for every [MASK] of the text: a list of {"token", "score"} for each."""

    component = "generator"
    has_pretrained_head = True
    components = [
        ("HighlightedText", {"label": "filled with the best tokens"}),
        ("Dataframe", {"label": "candidates", "headers": ["mask", "token", "score"]}),
    ]

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
        return vocabulary_logits(module.model, encode(module.model.electra, batch, position_ids))

    def compute(self, module, batch):
        """Probabilities [M, V] at the masks alone, in the order of rows and places."""
        hidden = encode(module.model.electra, batch)  # [B, L, H]
        masks = paddle.nonzero(batch.input_ids == module.text_tokenizer.vocabulary.mask)  # [M, 2]
        return (F.softmax(vocabulary_logits(module.model, paddle.gather_nd(hidden, masks)), axis=-1),)

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

    def view(self, module, texts, answer):
        first, *rest = texts[0].split(MASK)
        filled, rows = [(first, None)], []
        for number, (candidates, part) in enumerate(zip(answer, rest, strict=True), 1):
            filled += [(candidates[0]["token"], f"mask {number}"), (part, None)]
            rows += [[f"mask {number}", candidate["token"], round(candidate["score"], 4)] for candidate in candidates]
        return [[part for part in filled if part[0]], rows]

"""How well mistakes are found and corrected: one character of a sentence replaced by one that sounds the same.

Half of the sentences get a mistake, half stay as they are. On a first set of sentences the thresholds of
`text-correction` with the best F1 are chosen, on a second set they are measured. The packages of the extra `dev` are
needed (pypinyin).
"""

import argparse
import collections
import itertools
import json
import random
import re
import sys
from pathlib import Path

THRESHOLDS = (0.05, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8)
CHINESE = re.compile("[\u4e00-\u9fff]")
MIN_SCORES = (0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)


def main():
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    parser.add_argument("corpus", type=Path, help="file or folder of texts that the networks have not seen")
    parser.add_argument("--model", default="chinese-electra-nano", help="directory or published name")
    parser.add_argument("--number", type=int, default=1000, help="sentences of each of the two sets [1000]")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    arguments = parser.parse_args()
    lines = list(dict.fromkeys(sentences(arguments.corpus)))
    if len(lines) < 2 * arguments.number:
        found, expected = f"{len(lines):,} different sentences of 10 to 60 characters", f"{2 * arguments.number:,}"
        print(f"error: {arguments.corpus}: found {found}, expected {expected}; or a smaller --number", file=sys.stderr)
        return 2
    chance = random.Random(arguments.seed)
    same_sound = homophones(lines)
    chance.shuffle(lines)
    sets = [lines[: arguments.number], lines[arguments.number : 2 * arguments.number]]
    chosen_on, measured_on = (answered(arguments.model, spoiled(texts, same_sound, chance)) for texts in sets)
    best = max(itertools.product(THRESHOLDS, MIN_SCORES), key=lambda pair: score(chosen_on, *pair)["detection_f1"])
    result = {
        "model": arguments.model,
        "threshold": best[0],
        "min_score": best[1],
        **score(measured_on, *best),
        "defaults": score(measured_on, 0.5, 0.5),
    }
    print(json.dumps(result) if arguments.json else "\n".join(f"{name}: {value}" for name, value in result.items()))
    return 0


def sentences(corpus):
    """Those of 10 to 60 characters in a file or folder of texts, most of whose characters are Chinese."""
    from electra_paddle.data.mixture import documents_below

    for document in documents_below(corpus):
        for sentence in re.split(r"(?<=[。！？])|\n", document):
            sentence = sentence.strip()
            if 10 <= len(sentence) <= 60 and 3 * len(CHINESE.findall(sentence)) > 2 * len(sentence):
                yield sentence


def homophones(lines):
    """Character -> the characters of the texts that sound the same, tones aside, with their counts."""
    from pypinyin import lazy_pinyin

    counts = collections.Counter(character for line in lines for character in CHINESE.findall(line))
    by_sound = collections.defaultdict(list)
    for character in counts:
        by_sound[lazy_pinyin(character)[0]].append(character)
    return {
        character: [(other, counts[other]) for other in group if other != character]
        for group in by_sound.values()
        for character in group
    }


def spoiled(texts, same_sound, chance):
    """(text, place of the mistake or None, what stood there) triples: every second text gets a mistake."""
    rows = []
    for number, text in enumerate(texts):
        places = [place for place, character in enumerate(text) if same_sound.get(character)]
        if number % 2 or not places:
            rows.append((text, None, None))
            continue
        place = chance.choice(places)
        others, counts = zip(*same_sound[text[place]], strict=True)
        (other,) = chance.choices(others, counts)
        rows.append((text[:place] + other + text[place + 1 :], place, text[place]))
    return rows


def answered(model, rows):
    """(place, right character, {place: (suspicion, suggestion, certainty)}) of each row, for all possible edits."""
    from electra_paddle import load_module

    texts = [[text] for text, _, _ in rows]
    suspicions = load_module(model, "replaced-token-detection").predict(texts)
    corrections = load_module(model, "text-correction").predict(texts, threshold=0, min_score=0)
    return [
        (
            place,
            right,
            {edit["start"]: (suspicion[edit["start"]], edit["suggestion"], edit["score"]) for edit in answer["edits"]},
        )
        for (_, place, right), suspicion, answer in zip(rows, suspicions, corrections, strict=True)
    ]


def score(rows, threshold, min_score):
    """Figures of the edits that these thresholds leave."""
    edits = found = corrected = touched = 0
    for place, right, possible in rows:
        made = {start: edit[1] for start, edit in possible.items() if edit[0] >= threshold and edit[2] >= min_score}
        edits += len(made)
        found += place in made
        corrected += place is not None and made.get(place) == right
        touched += place is None and bool(made)
    mistakes = sum(place is not None for place, _, _ in rows)
    precision, recall = found / max(edits, 1), found / max(mistakes, 1)
    return {
        "mistakes": mistakes,
        "untouched_sentences": len(rows) - mistakes,
        "detection_precision": round(precision, 4),
        "detection_recall": round(recall, 4),
        "detection_f1": round(2 * precision * recall / max(precision + recall, 1e-9), 4),
        "corrected": round(corrected / max(mistakes, 1), 4),
        "right_sentences_changed": round(touched / max(len(rows) - mistakes, 1), 4),
    }


if __name__ == "__main__":
    from electra_paddle.cli import status_of

    sys.exit(status_of(main))

"""Linear models on tasks' data: what a fine-tuned network has to beat, from the same files by the same scores.

One text: logistic regression on characters and pairs of them. Two texts: on those in both and in one of them only, and
on how much they share. Tagging: a conditional random field on the characters around each (sklearn-crfsuite, of the
extra `dev`). Reading comprehension: the clause that logistic regression ranks first by what it, its sentence and the
clauses beside it share with the question.
"""

import argparse
import contextlib
import itertools
import json
import re
import sys
from pathlib import Path

CLAUSE_END = re.compile("(?<=[，。！？；：、,;!?])")
NEIGHBOURS = (-2, -1, 0, 1, 2)


def main():
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    parser.add_argument("--data-dir", type=Path, required=True, help="folder of finetuning_data/TASK/")
    tasks = parser.add_mutually_exclusive_group(required=True)
    tasks.add_argument("--task-names", nargs="+", help="names of tasks, or files that describe one")
    tasks.add_argument("--suite", type=Path, help="its tasks, with as many training examples as it takes")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    arguments = parser.parse_args()
    scores = {
        name: baseline(arguments.data_dir, name, most) for name, most in tasks_of(arguments.suite, arguments.task_names)
    }
    if arguments.json:
        print(json.dumps(scores))
        return
    for name, splits in scores.items():
        for split, values in splits.items():
            print(f"{name} {split}: " + ", ".join(f"{metric} {value:.2f}" for metric, value in values.items()))


def tasks_of(path, names):
    """(task, training examples or None for all) of a suite's file, or else of names."""
    from electra_paddle.finetuning.suite import load_suite

    if path is None:
        return [(name, None) for name in names]
    suite = load_suite(path)
    return [(name, suite.hparams_of(name).get("max_train_examples")) for name in suite.tasks]


def baseline(data_dir, name, max_train_examples=None):
    """split -> {metric: value in percent} of a task's linear model, from all training examples or the first ones.

    Raises:
        ElectraPaddleError: there is no such task, its files cannot be read, or it is of a kind that has no baseline.
    """
    from electra_paddle import FinetuningConfig, load_task
    from electra_paddle.errors import ConfigError
    from electra_paddle.finetuning.job import prepare
    from electra_paddle.published_models import NANO

    with contextlib.redirect_stdout(sys.stderr):
        config = FinetuningConfig(data_dir=data_dir, init_checkpoint=NANO.name, max_train_examples=max_train_examples)
        job = prepare(config, load_task(name))
    metrics = job.kind.table_metrics or (job.kind.main_metric,)
    answerers = {"classification": classify, "tagging": tag, "reading_comprehension": read}
    if job.kind.description.kind not in answerers:
        raise ConfigError(name, f"kind {job.kind.description.kind}", " or ".join(answerers))
    answer = answerers[job.kind.description.kind](job.examples["train"])
    return {
        split: {metric: scores[metric] for metric in metrics}
        for split, rows in job.examples.items()
        if split != "train" and job.kind.is_labelled(rows)
        for scores in [job.kind.score(rows, answer(rows))]
    }


def classify(examples):
    """A function from texts, or pairs, to predictions: logistic regression that has learned from examples."""
    from electra_paddle.demo.reviews import linear_model
    from electra_paddle.finetuning.kinds.classification import ClassificationPrediction

    model = linear_model(None if examples[0].text_b is None else pair_features())
    model.fit(inputs(examples), [row.label for row in examples])
    return lambda rows: [ClassificationPrediction(int(label), None) for label in model.predict(inputs(rows))]


def inputs(examples):
    """Texts, or pairs of them."""
    return [row.text_a if row.text_b is None else (row.text_a, row.text_b) for row in examples]


def pair_features():
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.pipeline import make_pipeline, make_union
    from sklearn.preprocessing import FunctionTransformer, KBinsDiscretizer

    shares = make_pipeline(FunctionTransformer(shares_of), KBinsDiscretizer(10, strategy="uniform", subsample=None))
    return make_union(TfidfVectorizer(analyzer=compared), shares)


def grams(text):
    """The characters of a text and the pairs of them."""
    return {*text, *map("".join, itertools.pairwise(text))}


def compared(pair):
    """The characters and pairs of two texts, by whether they stand in both, the first or the second."""
    first, second = map(grams, pair)
    parts = {"=": first & second, "<": first - second, ">": second - first}
    return [mark + gram for mark, part in parts.items() for gram in sorted(part)]


def shares_of(pairs):
    """[N, 3]: what share of all grams, of the first text's and of the second's, stands in both."""
    rows = []
    for first, second in (map(grams, pair) for pair in pairs):
        common = len(first & second)
        rows.append([common / max(len(part), 1) for part in (first | second, first, second)])
    return rows


def tag(examples):
    """A function from sentences to predictions: a conditional random field that has learned from examples."""
    from sklearn_crfsuite import CRF

    from electra_paddle.finetuning.kinds.tagging import TaggingPrediction

    model = CRF(algorithm="lbfgs", c1=0.05, c2=0.05, max_iterations=60)
    model.fit([surroundings(row.tokens) for row in examples], [[*map(str, row.tags)] for row in examples])
    return lambda rows: [
        TaggingPrediction([*map(int, tags)], []) for tags in model.predict([surroundings(row.tokens) for row in rows])
    ]


def surroundings(tokens):
    """For each token, those two places to the left and right, and the pairs among them."""
    around = ["<", "<", *tokens, ">", ">"]
    return [
        [f"{place}{around[number + 2 + place]}" for place in NEIGHBOURS]
        + [f"{place}{around[number + 2 + place]}{around[number + 3 + place]}" for place in NEIGHBOURS[:-1]]
        for number in range(len(tokens))
    ]


def read(examples):
    """A function from questions to predictions: a ranking of clauses that has learned from examples."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    from electra_paddle.finetuning.comprehension.squad import answer_span
    from electra_paddle.finetuning.kinds.reading_comprehension import ReadingPrediction

    rows, labels = [], []
    for question in examples:
        clauses = clauses_of(question)
        start, place = answer_span(question)[0], 0
        for clause in clauses:
            labels.append(place <= start < place + len(clause))
            place += len(clause)
        rows += clause_features(question.text, clauses)
    model = make_pipeline(StandardScaler(), LogisticRegression(class_weight="balanced", max_iter=1000))
    model.fit(rows, labels)

    def answer(question):
        clauses = clauses_of(question)
        scores = model.decision_function(clause_features(question.text, clauses))
        text = clauses[int(scores.argmax())].strip(" ，。！？；：、,;!?")
        return ReadingPrediction(text, [], "")

    return lambda questions: [*map(answer, questions)]


def clauses_of(question):
    """The clauses of a question's text, which together are the text."""
    return [part for part in CLAUSE_END.split(question.context) if part]


def clause_features(question, clauses):
    """For each clause: what share of the question's grams it and its neighbours have, and its length and place."""
    wanted = grams(question)
    shared = [len(grams(clause) & wanted) / max(len(wanted), 1) for clause in clauses]
    padded = [0.0, 0.0, *shared, 0.0, 0.0]
    return [
        [*padded[number : number + len(NEIGHBOURS)], len(clause), abs(len(clause) - 10), number / len(clauses)]
        for number, clause in enumerate(clauses)
    ]


if __name__ == "__main__":
    from electra_paddle.cli import status_of

    sys.exit(status_of(main))

import numpy as np
import pytest
from small_corpus import WORDS, build, random_text

from electra_paddle.data.evaluation import EvaluationBatches, hold_out
from electra_paddle.data.loader import PretrainingBatches
from electra_paddle.data.masking import MaskingSettings
from electra_paddle.data.shards import Shards
from electra_paddle.text import Vocabulary


@pytest.fixture(scope="module")
def shards(tmp_path_factory):
    folder = tmp_path_factory.mktemp("evaluation")
    (folder / "corpus.txt").write_text(random_text(0, num_documents=200), encoding="utf-8")
    (folder / "vocab.txt").write_text("\n".join(WORDS) + "\n", encoding="utf-8")
    build(folder)
    return Shards(folder / "shards", Vocabulary.load(folder / "vocab.txt"))


@pytest.fixture
def batches(shards):
    """Function that makes EvaluationBatches of held-out examples."""
    vocabulary = Vocabulary.load(shards.folder.parent / "vocab.txt")

    def make(batch_size, part=None, max_batches=1000, **options):
        part = hold_out(shards, 0.1)[1] if part is None else part
        return EvaluationBatches(part, vocabulary, batch_size, max_batches, MaskingSettings(32, 0.15, 4, **options))

    return make


@pytest.mark.parametrize("fraction", [0.001, 0.1, 0.5])
def test_every_example_is_for_training_or_for_evaluation(shards, fraction):
    training, evaluation = hold_out(shards, fraction)
    numbers = [part.numbers(np.arange(len(part))) for part in (training, evaluation)]
    assert sorted(np.concatenate(numbers)) == list(range(len(shards)))


class Many:
    """Stands for shards of so many examples, of which none is read."""

    folder = manifest = has_word_starts = None

    def __init__(self, count):
        self.count = count

    def __len__(self):
        return self.count


@pytest.mark.parametrize(
    ("total", "fraction", "held_out"),
    [(9, 0.005, 0), (500, 0.005, 50), (5_000, 0.005, 128), (100_000, 0.005, 500), (400_000_000, 0.005, 12_800),
     (500, 0.3, 150), (500, 0, 0)],
)  # fmt: skip
def test_share_held_out_is_a_batch_at_least_but_no_more_than_a_tenth_for_it(total, fraction, held_out):
    training, evaluation = hold_out(Many(total), fraction)
    assert len(evaluation or ()) == held_out and len(training) == total - held_out


def test_held_out_examples_come_from_everywhere(shards):
    evaluation = hold_out(shards, 0.3)[1]
    numbers = evaluation.numbers(np.arange(len(evaluation)))
    counts = np.histogram(numbers, 5, (0, len(shards)))[0]
    assert counts.min() > 0.5 * len(evaluation) / 5


def test_part_reads_the_examples_of_its_numbers(shards):
    evaluation = hold_out(shards, 0.1)[1]
    places = [3, 0, 5]
    for one, other in zip(evaluation.read(places, 32), shards.read(evaluation.numbers(places), 32), strict=True):
        assert (one is None and other is None) or (one == other).all()
    assert (evaluation.lengths(places)[0] == shards.lengths(evaluation.numbers(places))[0]).all()


def test_training_batches_never_hold_what_is_held_out(shards):
    training, evaluation = hold_out(shards, 0.1)
    vocabulary = Vocabulary.load(shards.folder.parent / "vocab.txt")
    held_out = set(evaluation.numbers(np.arange(len(evaluation))))
    for seed in (0, 1):
        loader = PretrainingBatches(training, vocabulary, 16, MaskingSettings(32, 0.15, 4), seed)
        seen = {int(n) for k in range(3 * len(training) // 16) for n in training.numbers(loader.examples(k))}
        assert len(seen) == len(training) and not seen & held_out


@pytest.mark.parametrize("batch_size", [1, 7, 32, 10_000])
def test_every_held_out_example_comes_once(batches, batch_size):
    loader = batches(batch_size)
    sizes = [len(loader[number].input_ids) for number in range(len(loader))]
    assert sum(sizes) == len(loader.shards) and set(sizes[:-1]) <= {batch_size}
    examples = np.concatenate([loader.examples(number) for number in range(len(loader))])
    assert sorted(examples) == list(range(len(loader.shards)))


def test_fewer_batches_may_be_asked_for(batches):
    assert len(batches(8, max_batches=3)) == 3


@pytest.mark.parametrize("options", [{}, {"mask_sampling": "reference"}])
def test_questions_are_the_same_at_every_evaluation(batches, options):
    for one, other in zip(batches(8, **options)[2], batches(8, **options)[2], strict=True):
        assert (one == other).all()
    last = batches(8, **options)[len(batches(8)) - 1]
    assert last.mlm_normalizer == last.masked_weights.sum() > 0
    assert last.rtd_normalizer == last.attention_mask.sum()

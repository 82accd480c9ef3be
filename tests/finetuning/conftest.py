"""A tiny pre-trained model to fine-tune."""

import pytest

from electra_paddle import runtime
from electra_paddle.text import SPECIAL_TOKENS, Vocabulary

CHARACTERS = [chr(0x4E00 + number) for number in range(40)]


@pytest.fixture(scope="session")
def model_dir(tmp_path_factory):
    """Its pretrained directory."""
    runtime.start()
    from paddlenlp.transformers import ElectraConfig

    from electra_paddle.models.heads import ElectraClassifier
    from electra_paddle.models.initialization import initialize
    from electra_paddle.models.pretrained_directory import save_pretrained

    shape = {"embedding_size": 8, "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2}
    vocabulary = Vocabulary([*SPECIAL_TOKENS, *CHARACTERS])
    network = ElectraClassifier(ElectraConfig(vocab_size=len(vocabulary), intermediate_size=64, **shape))
    initialize(network, 0)
    folder = tmp_path_factory.mktemp("models") / "tiny"
    save_pretrained(network, folder, vocabulary, True, "# tiny")
    return folder


QUICK = {  # settings with which it learns a few rows in a second or two
    "learning_rate": 5e-3,
    "layerwise_lr_decay": 0.0,
    "train_batch_size": 8,
    "loggers": (),
}


def write_splits(data_dir, task, rows_of_splits):
    """The TSV files of a task with labels and texts; split -> "label<tab>text" rows."""
    folder = data_dir / "finetuning_data" / task
    folder.mkdir(parents=True)
    for split, rows in rows_of_splits.items():
        (folder / f"{split}.tsv").write_text("\n".join(["label\ttext_a", *rows]) + "\n", encoding="utf-8")

"""The class behind every PaddleHub module of this project: the interface of the official ELECTRA modules 2.0.2.

Shapes: B batch, L sequence, H hidden, C classes.
"""

import contextlib
import warnings
from pathlib import Path

import paddle
import paddle.nn.functional as F
from paddle import nn
from paddlehub.module.nlp_module import TransformerModule

from electra_paddle.conversion.published import pretrained_directory
from electra_paddle.errors import ConfigError
from electra_paddle.hub.tokenizer import ReferenceTokenizer
from electra_paddle.models import pretrained_directory as pretrained
from electra_paddle.models.heads import ElectraClassifier
from electra_paddle.models.initialization import initialize
from electra_paddle.tensors import assign, read_state
from electra_paddle.text import encode_pair, pad

TASKS = (None, "seq-cls")
DEPRECATED_TASKS = {"sequence_classification": "seq-cls"}


class ElectraModule(nn.Layer, TransformerModule):
    """Embeddings, or text classification that `hub.Trainer` can fine-tune.

    Args:
        task: None or "seq-cls".
        load_checkpoint: fine-tuned parameters of this module: a .safetensors file, or the .pdparams file that
            `hub.Trainer` writes (read without running any code in it).
        label_map: class id -> label; keys may be strings, as JSON has them.
        num_classes: classes of "seq-cls"; the label map's number where one is given.
        suffix: ignored; the official modules use it for names of parameters.
        pretrained_dir: a pretrained directory, or the name of a published model, to use instead of the module's own
            assets.
    """

    def __init__(
        self,
        task=None,
        load_checkpoint=None,
        label_map=None,
        num_classes=2,
        suffix=False,
        pretrained_dir=None,
        **kwargs,
    ):
        super().__init__()
        self.task = DEPRECATED_TASKS.get(task, task)
        if self.task not in TASKS:
            raise ConfigError("task", repr(task), " or ".join(map(repr, TASKS)))
        self.label_map = {int(key): label for key, label in (label_map or {}).items()}
        self.num_classes = len(self.label_map) or num_classes
        self.label_map = self.label_map or {number: number for number in range(self.num_classes)}
        self.assets = pretrained_directory(pretrained_dir) if pretrained_dir else Path(self.directory) / "assets"
        self.text_tokenizer = pretrained.load_tokenizer(self.assets)
        config = pretrained.load_config(self.assets)
        config.num_labels = self.num_classes
        self.model = ElectraClassifier(config)
        initialize(self.model, seed=0)
        pretrained.load_encoder(self.model, self.assets)
        self.criterion = nn.CrossEntropyLoss()
        self.metric = paddle.metric.Accuracy()
        self.is_trained = load_checkpoint is not None
        if load_checkpoint is not None:
            pretrained.announce(assign(self, read_state(load_checkpoint), load_checkpoint))

    def forward(
        self,
        input_ids,
        token_type_ids=None,
        position_ids=None,
        attention_mask=None,
        seq_lengths=None,
        labels=None,
        **kwargs,
    ):
        """Class probabilities [B, C], with labels [B] also the mean loss and {"acc": accuracy}.

        Without a task: the last hidden states [B, L, H], and those of [CLS] [B, H].
        """
        if self.task is None:
            if attention_mask is None:
                attention_mask = (input_ids != self.model.electra.pad_token_id).astype("int64")
            hidden = self.model.electra(
                input_ids, token_type_ids=token_type_ids, position_ids=position_ids, attention_mask=attention_mask
            )  # [B, L, H]
            return hidden, hidden[:, 0]
        if self.training:
            self.is_trained = True
        logits = self.model(input_ids, token_type_ids, attention_mask, position_ids)  # [B, C]
        probabilities = F.softmax(logits, axis=-1)
        if labels is None:
            return probabilities
        labels = labels.reshape([-1])
        self.metric.update(self.metric.compute(probabilities, labels.unsqueeze(-1)))
        return probabilities, self.criterion(logits, labels), {"acc": self.metric.accumulate()}

    def validation_step(self, batch, batch_idx):
        """Accuracy of this batch alone; PaddleHub's own averages a running average that is never reset."""
        self.metric.reset()
        return super().validation_step(batch, batch_idx)

    def get_tokenizer(self, *args, **kwargs):
        """PaddleNLP's tokenizer with the reference's rules, for PaddleHub's data sets."""
        return ReferenceTokenizer(str(self.assets / pretrained.VOCABULARY), self.text_tokenizer)

    def predict(self, data, max_seq_len=128, split_char="\002", batch_size=1, use_gpu=False, return_prob=False):
        """Labels of texts, and with `return_prob` their class probabilities; embeddings where there is no task.

        Args:
            data: list of [text] or [text, second text].

        Returns:
            list of labels, or (labels, probabilities); without a task, list of
            [embedding of [CLS], embeddings of all tokens], padding removed.
        """
        if self.task == "seq-cls" and not self.is_trained:
            warnings.warn(f"{self.name}: the classification head is untrained, its labels mean nothing", stacklevel=2)
        sequences = [encode_pair(self.text_tokenizer, *(*texts, None)[:2], max_seq_len) for texts in data]
        results, probabilities = [], []
        self.eval()
        with on_device(use_gpu), paddle.no_grad():
            for start in range(0, len(sequences), batch_size):
                part = sequences[start : start + batch_size]
                batch = pad(part)
                output = self(
                    paddle.to_tensor(batch.input_ids),
                    paddle.to_tensor(batch.token_type_ids),
                    attention_mask=paddle.to_tensor(batch.attention_mask),
                )
                if self.task is None:
                    hidden, pooled = output[0].numpy(), output[1].numpy()
                    results += [
                        [pooled[row].tolist(), hidden[row, : len(ids)].tolist()] for row, (ids, _) in enumerate(part)
                    ]
                else:
                    probabilities += output.numpy().tolist()
        if self.task is None:
            return results
        labels = [self.label_map[max(range(len(row)), key=row.__getitem__)] for row in probabilities]
        return (labels, probabilities) if return_prob else labels

    def get_embedding(self, data, use_gpu=False):
        """[embedding of [CLS], embeddings of all tokens] of each text; only without a task."""
        if self.task is not None:
            raise ConfigError("get_embedding", f"task {self.task!r}", "a module made with task=None")
        return self.predict(data, use_gpu=use_gpu)


@contextlib.contextmanager
def on_device(use_gpu):
    """Work on a device and leave the global one as it was."""
    before = paddle.device.get_device()
    if use_gpu and not paddle.device.is_compiled_with_cuda():
        raise ConfigError("use_gpu", True, "False", "this build of Paddle has no GPU support")
    paddle.device.set_device("gpu" if use_gpu else "cpu")
    try:
        yield
    finally:
        paddle.device.set_device(before)

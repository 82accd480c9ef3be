"""Training and evaluation of a classifier. Shapes: B batch, C classes."""

import numpy as np
import paddle
from paddle import nn

from electra_paddle.batch import ClassificationOutput
from electra_paddle.finetuning.reading import collate, training_batches
from electra_paddle.models.encoder import speed_up
from electra_paddle.models.heads import classification_loss
from electra_paddle.training.loop import to_tensors, train
from electra_paddle.training.optimizer import build_optimizer, layerwise_factors
from electra_paddle.training.schedule import build_schedule


class TrainableClassifier(nn.Layer):
    """A classifier as the training loop takes it."""

    def __init__(self, classifier):
        super().__init__()
        speed_up(classifier)
        self.classifier = classifier

    def forward(self, batch):
        """ClassificationOutput of a ClassificationBatch; the loss is summed over the batch."""
        logits = self.classifier(batch.input_ids, batch.token_type_ids, batch.attention_mask)  # [B, C]
        return ClassificationOutput(classification_loss(logits, batch.labels), logits)


def num_train_steps(num_examples, config):
    """Updates of a run, rounded as the original does."""
    return int(-(-num_examples // config.train_batch_size) * config.num_train_epochs)


def train_classifier(classifier, examples, config, seed, monitor):
    """Fine-tune with the original's optimizer: layer-wise rates, warm-up, decay, loss summed over the batch."""
    model = TrainableClassifier(classifier)
    steps = num_train_steps(len(examples), config)
    schedule = build_schedule(config.learning_rate, steps, steps * config.warmup_proportion, config.lr_decay_power)
    factors = None
    if config.layerwise_lr_decay > 0:
        names = [name for name, _ in model.named_parameters()]
        factors = layerwise_factors(names, classifier.config.num_hidden_layers, config.layerwise_lr_decay)
    optimizer = build_optimizer(model, schedule, config.weight_decay_rate, factors)
    batches = training_batches(examples, config.train_batch_size, steps, seed)
    train(model, batches, optimizer, schedule, monitor, training_metrics, seed=seed)


def training_metrics(batch, output):
    """Mean loss and accuracy of one batch."""
    with paddle.no_grad():
        right = (paddle.argmax(output.logits, axis=-1) == batch.labels).astype("float32").mean()
        return {"loss": output.loss / len(batch.labels), "accuracy": right}


def evaluate_classifier(classifier, examples, batch_size):
    """Accuracy in percent and mean loss over every example; batches hold examples of similar length."""
    classifier.eval()
    model = TrainableClassifier(classifier)
    by_length = sorted(examples, key=lambda example: len(example.ids))
    loss, right = 0.0, 0
    with paddle.no_grad():
        for start in range(0, len(examples), batch_size):
            batch = collate(by_length[start : start + batch_size])
            output = model(to_tensors(batch))
            loss += float(output.loss)
            right += int((np.argmax(output.logits.numpy(), axis=-1) == batch.labels).sum())
    return {"accuracy": 100 * right / len(examples), "loss": loss / len(examples)}

"""The learning rate over the updates."""


def learning_rate_factor(step, num_train_steps, num_warmup_steps, power=1.0):
    """What the configured learning rate is multiplied with at an update, counted from 0.

    The warm-up is multiplied onto the line that already falls, so the peak lies a little below 1 and the
    very first update has rate 0. Source: `create_optimizer` of the original.
    """
    decay = (1 - min(step, num_train_steps) / num_train_steps) ** power
    return decay * warmup_factor(step, num_warmup_steps)


def warmup_factor(step, num_warmup_steps):
    """Rises from 0 at the first update to 1 behind the warm-up."""
    return min(1.0, step / num_warmup_steps) if num_warmup_steps else 1.0


class Ending:
    """When a run ends whose decay may be asked for while it lasts.

    Args:
        num_train_steps: when it ends unless it is asked to end before.
        num_decay_steps: updates between the beginning of the decay and the end; 0 where there is no decay to ask for.
        decay_start: update with which the decay began or begins, if that was asked for before.
    """

    def __init__(self, num_train_steps, num_decay_steps=0, decay_start=None):
        self.num_decay_steps = num_decay_steps
        self.asked = decay_start is not None
        self.decay_start = num_train_steps - num_decay_steps if decay_start is None else decay_start

    @property
    def step(self):
        """Updates of the whole run."""
        return self.decay_start + self.num_decay_steps

    def begin_decay(self, step):
        """Let the decay begin after `step` updates, unless it has begun already."""
        if step < self.decay_start:
            self.decay_start, self.asked = step, True

    def state(self):
        """What a checkpoint keeps: the update with which a decay that was asked for began, or None."""
        return self.decay_start if self.asked else None

    def factor(self, step):
        """Of the learning rate at an update, counted from 0: 1, then in a straight line to 0 behind the last one."""
        return 1.0 if step <= self.decay_start else max(0.0, (self.step - step) / max(1, self.num_decay_steps))


def build_schedule(learning_rate, num_train_steps, num_warmup_steps, power=1.0, name="linear", ending=None):
    """A Paddle LRScheduler; call its step() after each update.

    Args:
        name: "linear", the original's; "constant", or "warmup_stable_decay", which falls as its Ending says.
    """
    from paddle.optimizer.lr import LambdaDecay

    factors = {
        "linear": lambda step: learning_rate_factor(step, num_train_steps, num_warmup_steps, power),
        "constant": lambda step: warmup_factor(step, num_warmup_steps),
        "warmup_stable_decay": lambda step: warmup_factor(step, num_warmup_steps) * ending.factor(step),
    }
    return LambdaDecay(learning_rate, factors[name])

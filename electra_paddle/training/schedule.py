"""The learning rate over the updates."""


def learning_rate_factor(step, num_train_steps, num_warmup_steps, power=1.0):
    """What the configured learning rate is multiplied with at an update, counted from 0.

    The warm-up is multiplied onto the line that already falls, so the peak lies a little below 1 and the
    very first update has rate 0. Source: `create_optimizer` of the original.
    """
    decay = (1 - min(step, num_train_steps) / num_train_steps) ** power
    return decay * min(1.0, step / num_warmup_steps) if num_warmup_steps else decay


def build_schedule(learning_rate, num_train_steps, num_warmup_steps, power=1.0):
    """A Paddle LRScheduler; call its step() after each update."""
    from paddle.optimizer.lr import LambdaDecay

    return LambdaDecay(learning_rate, lambda step: learning_rate_factor(step, num_train_steps, num_warmup_steps, power))

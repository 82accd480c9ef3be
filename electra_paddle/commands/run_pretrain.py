"""Joint pre-training of generator and discriminator, from shards to pretrained directories."""

import dataclasses

from electra_paddle.config import PretrainingConfig, add_entries, resolve, save_config

DESCRIPTION = "Pre-train a generator and a discriminator; the same command again resumes."


def add_arguments(parser):
    add_entries(parser, PretrainingConfig)


def run(arguments):
    pretrain(resolve(PretrainingConfig, arguments))


def pretrain(config):
    """The whole run that a PretrainingConfig describes."""
    from electra_paddle import runtime
    from electra_paddle.data.loader import PretrainingBatches
    from electra_paddle.data.shards import Shards
    from electra_paddle.text import Vocabulary
    from electra_paddle.training.checkpoint import Checkpoints

    vocabulary = Vocabulary.load(config.vocab_file)
    config.check_vocabulary(vocabulary)
    generator, discriminator = config.geometries(len(vocabulary))
    config.check_length(discriminator)
    batches = PretrainingBatches(
        Shards(config.pretrain_shards, vocabulary),
        vocabulary,
        config.train_batch_size,
        config.max_seq_length,
        config.mask_prob,
        config.max_predictions_per_seq,
        config.seed,
        runtime.rank(),
        runtime.num_processes(),
    )
    identity = {
        "generator": dataclasses.asdict(generator),
        "discriminator": dataclasses.asdict(discriminator),
        "vocab_sha256": vocabulary.sha256,
    }
    checkpoints = Checkpoints(config.model_dir / "checkpoints", identity, config.keep_checkpoint_max)
    checkpoints.latest()  # a checkpoint that does not fit is refused before Paddle is imported

    runtime.start()
    from electra_paddle.models.pretraining import ElectraForJointPretraining, pretraining_metrics
    from electra_paddle.training.loop import train
    from electra_paddle.training.monitor import Monitor
    from electra_paddle.training.optimizer import build_optimizer
    from electra_paddle.training.schedule import build_schedule

    model = ElectraForJointPretraining(
        generator,
        discriminator,
        config.gen_weight,
        config.disc_weight,
        config.temperature,
        config.disallow_correct,
        config.seed,
    )
    schedule = build_schedule(
        config.learning_rate, config.num_train_steps, config.num_warmup_steps, config.lr_decay_power
    )
    optimizer = build_optimizer(model, schedule, config.weight_decay_rate)
    start = checkpoints.restore(model, optimizer, schedule)
    if runtime.is_main():
        config.model_dir.mkdir(parents=True, exist_ok=True)
        save_config(config, config.model_dir / "pretraining_config.json")
        announce(config, model, start, batches)

    def save(step):
        if step % config.save_checkpoints_steps == 0 or step == config.num_train_steps:
            if runtime.is_main():
                checkpoints.save(step, model, optimizer)
            runtime.barrier()

    monitor = Monitor(
        config.model_dir,
        config.num_train_steps,
        start,
        config.log_steps,
        config.train_batch_size,
        "pretrain",
        "pre-train",
    )
    train(
        runtime.distribute(model),
        batches.iterate(start, config.num_train_steps),
        optimizer,
        schedule,
        monitor,
        pretraining_metrics,
        start,
        config.seed,
        save,
    )
    monitor.close()
    if runtime.is_main():
        save_networks(config, model, vocabulary)


def announce(config, model, start, batches):
    from electra_paddle.models.initialization import num_parameters

    print(
        f"generator {num_parameters(model.generator):,} and discriminator {num_parameters(model.discriminator):,} "
        f"parameters, {num_parameters(model):,} in all; {len(batches.shards):,} examples; "
        f"{f'resuming after {start:,}' if start else 'from the start'} of {config.num_train_steps:,} updates"
    )


def save_networks(config, model, vocabulary):
    """Write the two pretrained directories."""
    from electra_paddle.models.pretrained_directory import save_pretrained

    for name in ("generator", "discriminator"):
        card = model_card(config, name, len(vocabulary))
        save_pretrained(getattr(model, name), config.model_dir / name, vocabulary, config.do_lower_case, card)
        print(f"{config.model_dir / name}: {name} written")


def model_card(config, name, vocab_size):
    job = {
        "generator": "fills masked tokens (masked language model)",
        "discriminator": "tells which tokens were replaced; the network to fine-tune",
    }[name]
    return (
        f"# {config.model_name}: ELECTRA {name}\n\n"
        f"This network {job}. Pre-trained for {config.num_train_steps:,} updates of "
        f"{config.train_batch_size} sequences of "
        f"{config.max_seq_length} tokens; vocabulary of {vocab_size:,} entries.\n\n"
        "```python\nfrom paddlenlp.transformers import ElectraModel, ElectraTokenizer\n\n"
        'encoder = ElectraModel.from_pretrained("PATH_OF_THIS_FOLDER")\n'
        'tokenizer = ElectraTokenizer.from_pretrained("PATH_OF_THIS_FOLDER")\n```\n'
    )

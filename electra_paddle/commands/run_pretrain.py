"""Joint pre-training of generator and discriminator, from shards to pretrained directories."""

import contextlib
import dataclasses
import json
import math
import shutil
import signal
import time
from typing import Any, NamedTuple

from electra_paddle.commands.pretraining_reports import Reports
from electra_paddle.config import PretrainingConfig, add_entries, resolve, save_config
from electra_paddle.config.geometry import training_flops
from electra_paddle.errors import CheckpointError, ConfigError, DataError, Interrupted

PAIR_COUNTS = "pair_counts.npz"  # in the folder of the model, for the informed initialisation
WAITING_SECONDS = 20  # that other processes wait for a message at most
DECAY_REQUEST = "decay_request"  # a file in the folder of the model, which `begin_decay` writes
DESCRIPTION = "Pre-train a generator and a discriminator; the same command again resumes."


def add_arguments(parser):
    add_entries(parser, PretrainingConfig)
    parser.add_argument("--dry-run", action="store_true", help="print sizes, memory and lengths of the run, then exit")


def run(arguments):
    from electra_paddle import runtime
    from electra_paddle.commands import dry_run

    config = resolve(PretrainingConfig, arguments)
    if config.debug and not arguments.dry_run:
        clear_debug_run(config.model_dir)
    job = prepare(config)
    if arguments.dry_run:
        dry_run.show(job, runtime.num_processes())
        return
    runtime.start()
    with runtime.last_to_fail():
        pretrain(job)
    runtime.leave()


class Job(NamedTuple):
    """What a run works with, as far as it is known without Paddle."""

    config: PretrainingConfig
    vocabulary: Any  # Vocabulary
    generator: Any  # Geometry, or None
    discriminator: Any  # Geometry, or None
    batches: Any  # PretrainingBatches
    eval_batches: Any  # EvaluationBatches, or None
    checkpoints: Any  # Checkpoints
    checkpoint: Any  # the Checkpoint to go on from, or None
    cloze: Any  # Cloze, or None
    first_weights: dict  # what `find_networks` found in init_from; {} if nothing is to be filled from there

    @property
    def start(self):
        """Updates done before."""
        return self.checkpoint.step if self.checkpoint else self.config.init_step


def prepare(config):
    """The Job of a PretrainingConfig. What does not fit together is refused here, before Paddle is imported."""
    from electra_paddle.config.recipes import find_recipe
    from electra_paddle.conversion.published import pretrained_directories
    from electra_paddle.data.cloze import read_cloze
    from electra_paddle.models.warm_start import find_networks
    from electra_paddle.text import Vocabulary
    from electra_paddle.training.checkpoint import Checkpoints

    vocabulary = Vocabulary.load(config.vocab_file)
    config.check_vocabulary(vocabulary)
    generator, discriminator = config.geometries(len(vocabulary))
    config.check_length(discriminator or generator)
    batches, eval_batches = open_shards(config, vocabulary)
    shapes = {"generator": generator, "discriminator": discriminator}
    identity = {name: shape and dataclasses.asdict(shape) for name, shape in shapes.items()}
    identity["vocab_sha256"] = vocabulary.sha256
    checkpoints = Checkpoints(config.model_dir / "checkpoints", identity, config.keep_checkpoint_max)
    checkpoint = checkpoints.latest()
    if config.do_eval:
        check_evaluation(config, eval_batches, checkpoint)
    check_initialization(config, (generator, discriminator), checkpoint)
    first_weights = {}
    if config.init_from and not checkpoint:
        first_weights = find_networks(pretrained_directories(config.init_from), vocabulary, shapes)
    cloze = None
    if config.cloze_file:
        cloze = read_cloze(find_recipe(config.cloze_file), vocabulary, config.do_lower_case)
    return Job(
        config,
        vocabulary,
        generator,
        discriminator,
        batches,
        eval_batches,
        checkpoints,
        checkpoint,
        cloze,
        first_weights,
    )


def open_shards(config, vocabulary):
    """(PretrainingBatches, EvaluationBatches or None) of this process."""
    from electra_paddle import runtime
    from electra_paddle.data.evaluation import EvaluationBatches, hold_out
    from electra_paddle.data.loader import PretrainingBatches
    from electra_paddle.data.shards import Shards

    shards = Shards(config.pretrain_shards, vocabulary)
    training, held_out = hold_out(shards, 0 if config.eval_shards else config.eval_fraction)
    if config.eval_shards:
        held_out = Shards(config.eval_shards, vocabulary)
    masking = (config.max_seq_length, config.mask_prob, config.max_predictions_per_seq)
    options = {"whole_word_mask": config.whole_word_mask, "mask_sampling": config.mask_sampling}
    batches = PretrainingBatches(
        training,
        vocabulary,
        config.train_batch_size,
        *masking,
        config.seed,
        runtime.rank(),
        runtime.num_processes(),
        num_accumulated=config.gradient_accumulation_steps,
        **options,
    )
    if held_out is None:
        return batches, None
    return batches, EvaluationBatches(
        held_out, vocabulary, config.eval_batch_size, config.num_eval_steps, *masking, **options
    )


def pretrain(job):
    """Train, or only evaluate, and write the pretrained directories."""
    from electra_paddle import runtime
    from electra_paddle.models.encoder import fuse_attention
    from electra_paddle.models.pretraining import ElectraForJointPretraining, pretraining_metrics
    from electra_paddle.models.warm_start import fill_networks
    from electra_paddle.training.interruption import Interruption
    from electra_paddle.training.loop import train
    from electra_paddle.training.loss_scale import LossScale
    from electra_paddle.training.monitor import Monitor
    from electra_paddle.training.optimizer import build_optimizer
    from electra_paddle.training.schedule import Ending, build_schedule

    config = job.config
    model = ElectraForJointPretraining(
        job.generator,
        job.discriminator,
        config.gen_weight,
        config.disc_weight,
        config.temperature,
        config.disallow_correct,
        config.seed,
        config.untied_generator,
        config.untied_generator_embeddings,
    )
    progress = job.checkpoint.progress if job.checkpoint else {}
    ending = Ending(config.num_train_steps, config.num_decay_steps, progress.get("decay_start"))
    schedule = build_schedule(
        config.learning_rate,
        config.num_train_steps,
        config.num_warmup_steps,
        config.lr_decay_power,
        config.lr_schedule,
        ending,
    )
    schedule.step(job.start)
    factors = config.rate_factors([name for name, _ in model.named_parameters()])
    optimizer = build_optimizer(model, schedule, config.weight_decay_rate, factors, shard=config.sharding_stage == 1)
    precision, reason = runtime.usable_precision(config.precision)
    reasons = [reason and f"precision fp32: {reason}", fuse_attention(model, precision)]
    loss_scale = LossScale(is_active=precision == "fp16")
    if job.checkpoint:
        job.checkpoints.restore(job.checkpoint, model, optimizer)
        loss_scale.restore(job.checkpoint.progress["loss_scale"])
    filled = fill_networks(model, job.first_weights, config.shared_prefix) if job.first_weights else []
    if config.initialization == "informed" and not job.checkpoint:
        filled += inform_networks(job, model)
    if runtime.is_main():
        print("".join(line + "\n" for line in filled), end="")
        announce(job, model)
        print("".join(reason + "\n" for reason in filter(None, reasons)), end="")
        config.model_dir.mkdir(parents=True, exist_ok=True)
        if config.do_train:
            save_config(config, config.model_dir / "pretraining_config.json")
    if config.recompute:
        runtime.recompute(model.encoder_layers())
    if config.sharding_stage and runtime.is_main():
        sizes = " + ".join(f"{size:,}" for size in optimizer.moment_bytes)
        print(f"Adam's moments: {sizes} bytes, a part in each process")

    monitor = Monitor(
        config.model_dir if config.do_train else None,
        ending.step,
        job.start,
        config.log_steps,
        config.train_batch_size,
        "pretrain",
        "pre-train",
        training_flops(job.generator, job.discriminator, config.max_seq_length, config.max_predictions_per_seq),
        runtime.DTYPES[precision],
    )
    stream = job.batches.iterate(job.start, config.num_train_steps)
    request = config.model_dir / DECAY_REQUEST
    best = progress.get("best", {})
    reports = Reports(config, model, monitor, job.vocabulary, job.batches, job.eval_batches, best, job.cloze)

    def after_step(step):
        """Report; write a checkpoint now and then, at the end, and when the job is asked to end."""
        if config.num_decay_steps and step % config.log_steps == 0 and runtime.is_any(request.exists()):
            ending.begin_decay(step)
            monitor.ends_at(ending.step)
        reports.after_step(step, step == ending.step)
        is_last, is_asked = step == ending.step, runtime.is_any(interruption.signal)
        is_due = step % config.save_checkpoints_steps == 0 and math.isfinite(optimizer.global_norm)
        if is_last or is_asked or is_due:
            state = {
                "loss_scale": loss_scale.state(),
                "best": reports.best,
                "decay_start": ending.state(),
                "initialization": config.initialization,
            }
            job.checkpoints.save(step, model, optimizer, state)
        if is_asked and not is_last:
            message = f"interrupted; update {step:,} of {ending.step:,} is saved, the same command goes on"
            raise Interrupted(interruption.signal or signal.SIGTERM, message)

    with contextlib.closing(monitor), contextlib.closing(stream), Interruption() as interruption:
        if config.do_eval:
            reports.evaluate(job.start)
            return
        train(
            runtime.distribute(model, config.recompute),
            until(stream, ending, job.start),
            optimizer,
            schedule,
            monitor,
            pretraining_metrics,
            start=job.start,
            seed=config.seed,
            after_step=after_step,
            num_accumulated=config.gradient_accumulation_steps,
            precision=precision,
            loss_scale=loss_scale,
            max_bad_steps=config.max_bad_steps,
        )
    if runtime.is_main():
        request.unlink(missing_ok=True)
        save_networks(config, model, job.vocabulary, ending.step)


def until(batches, ending, start):
    """Batches as long as the run has not come to its end, which may move."""
    for step, batch in enumerate(batches, start):
        if step >= ending.step:
            return
        yield batch


def inform_networks(job, model):
    """Apply the informed initialisation to new networks; returns a line that says so.

    One process counts and computes, the others get its weights. Now and then it tells them that it is still there:
    counting a large corpus takes longer than a message may wait.
    """
    from tqdm import tqdm

    from electra_paddle import runtime
    from electra_paddle.data.pairs import count_pairs
    from electra_paddle.models.informed import inform

    lines = []
    if runtime.is_main():
        told = time.monotonic()

        def on_tokens(count):
            nonlocal told
            progress.update(count)
            if time.monotonic() - told > WAITING_SECONDS:
                told = time.monotonic()
                runtime.is_any(False)

        with tqdm(desc="count neighbours", unit="token", unit_scale=True, delay=5) as progress:
            counts = count_pairs(job.batches.shards, job.vocabulary, job.config.model_dir / PAIR_COUNTS, on_tokens)
        inform(model, counts, job.config.seed)
        lines = [f"informed initialisation: {counts.sum():,} pairs of neighbours, {counts.nnz:,} different ones"]
        runtime.is_any(True)
    else:
        while not runtime.is_any(False):
            pass
    if runtime.num_processes() > 1:
        runtime.send_from(0, list(model.parameters()))
    return lines


def check_initialization(config, geometries, checkpoint):
    """Refuse networks too narrow for the informed initialisation, and another one than the run began with."""
    from electra_paddle.models.informed import num_frequencies

    begun_with = checkpoint.progress.get("initialization", "original") if checkpoint else config.initialization
    if config.initialization != begun_with:
        raise ConfigError(
            "initialization",
            f"{config.initialization} for a run that began as {begun_with} and has made {checkpoint.step:,} updates",
            begun_with,
            "or choose another model_name to begin anew",
        )
    if config.initialization == "informed":
        num_frequencies(geometries)


def check_evaluation(config, eval_batches, checkpoint):
    """Refuse an evaluation of nothing, or on nothing."""
    if not checkpoint and not config.init_from:
        raise CheckpointError(
            config.model_dir / "checkpoints", "no checkpoint", "one to evaluate", "train first, or give init_from"
        )
    if eval_batches is None:
        raise DataError(config.pretrain_shards, "fewer than 10 examples", "enough for evaluation", "give eval_shards")


def clear_debug_run(folder):
    """Empty the folder of an earlier debug run, as the original does; every process may, as none has begun to write.

    Raises:
        ConfigError: the folder holds something else.
    """
    if not folder.exists():
        return
    path = folder / "pretraining_config.json"
    if not path.exists() or not json.loads(path.read_text(encoding="utf-8")).get("debug"):
        raise ConfigError(
            "model_dir", f"{folder}, which no debug run made", "a new folder", "choose another model_name"
        )
    shutil.rmtree(folder, ignore_errors=True)


def announce(job, model):
    """Print what is trained, and on how much."""
    from electra_paddle.models.initialization import num_parameters

    counts = [f"{name} {num_parameters(network):,}" for name, network in networks(model)]
    evaluated = f", {len(job.eval_batches.shards):,} more for evaluation" if job.eval_batches else ""
    begins = f"resuming after {job.start:,}" if job.start else "from the start"
    print(
        f"{' and '.join(counts)} parameters, {num_parameters(model):,} in all; "
        f"{len(job.batches.shards):,} examples{evaluated}; {begins} of {job.config.num_train_steps:,} updates"
    )


def networks(model):
    """(name, network) of those that the objective has."""
    pairs = [("generator", model.generator), ("discriminator", model.discriminator)]
    return [(name, network) for name, network in pairs if network is not None]


def save_networks(config, model, vocabulary, num_steps):
    """Write the pretrained directories."""
    from electra_paddle.models.pretrained_directory import save_pretrained

    for name, network in networks(model):
        card = model_card(config, name, len(vocabulary), num_steps)
        save_pretrained(network, config.model_dir / name, vocabulary, config.do_lower_case, card)
        print(f"{config.model_dir / name}: {name} written")


def model_card(config, name, vocab_size, num_steps):
    job = {
        "generator": "fills masked tokens (masked language model)",
        "discriminator": "tells which tokens were replaced; the network to fine-tune",
    }[name]
    return (
        f"# {config.model_name}: ELECTRA {name}\n\n"
        f"This network {job}. Pre-trained for {num_steps:,} updates of "
        f"{config.train_batch_size} sequences of "
        f"{config.max_seq_length} tokens; vocabulary of {vocab_size:,} entries.\n\n"
        "```python\nfrom paddlenlp.transformers import ElectraModel, ElectraTokenizer\n\n"
        'encoder = ElectraModel.from_pretrained("PATH_OF_THIS_FOLDER")\n'
        'tokenizer = ElectraTokenizer.from_pretrained("PATH_OF_THIS_FOLDER")\n```\n'
    )

"""Fine-tuning on tasks, in several trials, with maximum and mean as published."""

from electra_paddle.config import FinetuningConfig, add_entries, resolve, save_config
from electra_paddle.errors import ConfigError, DataError

DESCRIPTION = "Fine-tune a pre-trained model on tasks and report its scores."


def add_arguments(parser):
    add_entries(parser, FinetuningConfig)


def run(arguments):
    config = resolve(FinetuningConfig, arguments)
    for task in config.task_names:
        finetune(config, task)


def finetune(config, task):
    """All trials of one task; returns split -> maximum, mean and standard deviation."""
    from electra_paddle import runtime
    from electra_paddle.conversion.published import pretrained_directory
    from electra_paddle.finetuning.description import load_description
    from electra_paddle.finetuning.reading import find_split, read_examples
    from electra_paddle.models import pretrained_directory as pretrained
    from electra_paddle.text import Tokenizer, Vocabulary

    if runtime.num_processes() > 1:
        raise ConfigError("paddle.distributed.launch", f"{runtime.num_processes()} processes", "one for fine-tuning")
    description = load_description(task)
    source = pretrained_directory(config.init_checkpoint)
    tokenizer = Tokenizer(Vocabulary.load(source / pretrained.VOCABULARY), config.do_lower_case)
    folder = config.data_dir / "finetuning_data" / description.name
    examples = {}
    for split, wanted in (("train", config.do_train), ("dev", config.do_eval), ("test", config.do_test)):
        path = find_split(folder, split)
        if wanted and path is None and split == "train":
            raise DataError(folder / "train.tsv", "no such file", f"the training data of {description.name}")
        if wanted and path is None:
            print(f"{folder}: no {split} split, skipped")
        elif wanted:
            examples[split] = read_examples(path, description, tokenizer, config.max_seq_length)

    runtime.start()
    electra_config = pretrained.load_config(source)
    electra_config.num_labels = len(description.labels)
    if config.max_seq_length > electra_config.max_position_embeddings:
        raise ConfigError("max_seq_length", config.max_seq_length, f"at most {electra_config.max_position_embeddings}")
    run = FinetuningRun(config, description, source, electra_config, tokenizer.vocabulary, examples)
    return run.all_trials()


class FinetuningRun:
    """The trials of one task, after everything that can be wrong with its inputs has been checked."""

    def __init__(self, config, description, source, electra_config, vocabulary, examples):
        self.config, self.description, self.source = config, description, source
        self.electra_config, self.vocabulary, self.examples = electra_config, vocabulary, examples

    def all_trials(self):
        from electra_paddle.finetuning.report import markdown_table, write_results

        config, trials, seeds = self.config, [], []
        results = config.output_dir / "results"
        for trial in range(1, config.num_trials + 1):
            seeds.append(config.seed + trial - 1)
            trials.append(self.one_trial(trial, seeds[-1]))
            if trials[0]:
                summary = write_results(results, self.description.name, self.description.metric, trials, seeds)
        save_config(config, config.output_dir / f"finetuning_config_{self.description.name}.json")
        if not trials[0]:
            return {}
        print(f"\n{self.description.name}, {self.description.metric}: maximum (mean) of {config.num_trials} trials\n")
        print(markdown_table(config.output_dir.name, summary))
        print(f"\n{results / self.description.name}_results.json written")
        return summary

    def one_trial(self, trial, seed):
        """Train, save and evaluate one model: split -> {metric: value}."""
        from electra_paddle.finetuning.classification import (
            evaluate_classifier,
            num_train_steps,
            train_classifier,
        )
        from electra_paddle.models import pretrained_directory as pretrained
        from electra_paddle.models.heads import ElectraClassifier
        from electra_paddle.models.initialization import initialize
        from electra_paddle.training.monitor import Monitor

        config, name = self.config, self.description.name
        folder = config.output_dir / "finetuning_models" / f"{name}_model_{trial}"
        model = ElectraClassifier(self.electra_config)
        initialize(model, seed)
        if not config.do_train:
            pretrained.load_model(model, folder)
        elif not config.random_init:
            pretrained.load_encoder(model, self.source)
        if config.do_train:
            steps = num_train_steps(len(self.examples["train"]), config)
            monitor = Monitor(
                config.output_dir / "finetuning_logs" / f"{name}_{trial}",
                steps,
                log_steps=config.log_steps,
                sequences_per_step=config.train_batch_size,
                prefix=name,
                description=f"{name}, trial {trial}",
            )
            train_classifier(model, self.examples["train"], config, seed, monitor)
            monitor.close()
            model.config.id2label = dict(enumerate(self.description.labels))
            card = f"# {config.model_name} fine-tuned on {name}\n\nTrial {trial}, seed {seed}.\n"
            pretrained.save_pretrained(model, folder, self.vocabulary, config.do_lower_case, card)
        scores = {}
        for split in self.examples.keys() - {"train"}:
            scores[split] = evaluate_classifier(model, self.examples[split], config.eval_batch_size)
        scores = {split: scores[split] for split in ("dev", "test") if split in scores}
        for split, values in scores.items():
            print(f"{name} {split}: " + " - ".join(f"{key}: {value:.2f}" for key, value in values.items()))
        return scores

"""Fine-tuning on tasks, in several trials, with maximum and mean as published."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from electra_paddle.config import FinetuningConfig, add_entries, resolve
from electra_paddle.errors import ConfigError

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace

    from electra_paddle.finetuning.description import TaskDescription
    from electra_paddle.finetuning.job import Job
    from electra_paddle.finetuning.report import Results


DESCRIPTION = "Fine-tune a pre-trained model on tasks and report its scores; the same command again resumes."


def add_arguments(parser: ArgumentParser) -> None:
    add_entries(parser, FinetuningConfig)
    parser.add_argument("--task", help="the same as --task-names: a name, or a file that describes a task")
    parser.add_argument(
        "--check-data", action="store_true", help="only read the tasks' files and report on them, as check-data does"
    )
    parser.add_argument(
        "--suite", type=Path, help="run the tasks of this file, configs/suite/chinese.yaml for instance"
    )
    parser.add_argument(
        "--search",
        type=Path,
        help="try the hyper-parameters that this file lists, and keep the best on dev",
    )


def run(arguments: Namespace) -> None:
    from electra_paddle import runtime
    from electra_paddle.finetuning.description import load_description
    from electra_paddle.finetuning.job import prepare
    from electra_paddle.finetuning.recommendation import say
    from electra_paddle.finetuning.suite import load_suite, write_report

    if arguments.task:
        arguments.task_names = arguments.task
    config = resolve(FinetuningConfig, arguments)
    suite = load_suite(arguments.suite) if arguments.suite else None
    tasks = suite.tasks if suite and not arguments.task_names else config.task_names
    if arguments.search:
        run_searches(arguments, [load_description(task) for task in tasks])
        return
    if arguments.check_data:
        report_data(arguments, [load_description(task) for task in tasks])
        return
    jobs = []
    for task in tasks:
        description = load_description(task)
        own, note = config_for(arguments, description, suite.hparams_of(task) if suite else {})
        jobs.append(prepare(own, description))
        say(note)
    runtime.start(config.deterministic)
    with runtime.last_to_fail():
        from electra_paddle.finetuning.run import run_task

        results = [run_task(job) for job in jobs]
    if suite and runtime.is_main():
        path = write_report(suite, list(zip(jobs, results, strict=True)), arguments.suite.stem, config.output_dir)
        print(f"{path} and {path.with_suffix('.html').name} written")
    if runtime.is_main():
        for job, result in zip(jobs, results, strict=True):
            say_what_now(job, result)
    runtime.leave()


def report_data(arguments: Namespace, descriptions: Sequence[TaskDescription]) -> None:
    """Print what is in the files of each task."""
    from electra_paddle.finetuning.data_check import check_data, lines_of
    from electra_paddle.finetuning.recommendation import recommended_for

    for description in descriptions:
        length = recommended_for(description, "base").get("max_seq_length", 128)
        config = resolve(FinetuningConfig, arguments, {"max_seq_length": length})
        print("\n".join(lines_of(check_data(description, dataclasses.replace(config, on_error="skip")))))


def run_searches(arguments: Namespace, descriptions: Sequence[TaskDescription]) -> None:
    """Search on each task; the model of the best setting is the one to use."""
    from electra_paddle import runtime
    from electra_paddle.finetuning.recommendation import say
    from electra_paddle.finetuning.search import check_search, load_space, run_search

    if arguments.suite:
        raise ConfigError("search", f"{arguments.search} with --suite", "one of both", "name tasks with --task-names")
    plan = load_space(arguments.search)
    for name in plan.space:
        if getattr(arguments, name) is not None:
            raise ConfigError(f"--{name.replace('_', '-')}", getattr(arguments, name), f"no value: {name} is searched")
    configs = []
    for description in descriptions:
        config, note = config_for(arguments, description, {})
        check_search(config, description, plan)
        say(note)
        configs.append(config)
    runtime.start(any(each.deterministic for each in configs))
    with runtime.last_to_fail():
        found = [run_search(*each, plan) for each in zip(configs, descriptions, strict=True)]
    if runtime.is_main():
        for each in found:
            say_what_now(each.job, each.results)
    runtime.leave()


def say_what_now(job: Job, results: Results) -> None:
    """Print where the ensemble's or the best trial's model lies, and what one does with it."""
    model = results.ensemble_model or results.best_model
    if model is None:
        return
    print(f"\n{model}: {job.name}, written")
    print(f'in Python: electra_paddle.from_finetuned("{model}").predict([...])')
    if model != results.ensemble_model:  # a module holds one network
        print(f"a file: python -m electra_paddle predict {model} IN OUT")
        print(f"as a PaddleHub module: python tools/export_hub_module.py {model} {job.name}.tar.gz")


def config_for(
    arguments: Namespace, description: TaskDescription, hparams: Mapping[str, Any]
) -> tuple[FinetuningConfig, str]:
    """(the FinetuningConfig for one task, a note on it): of the task's recommended values, a suite's and the user's."""
    from electra_paddle.finetuning.recommendation import with_recommended

    return with_recommended(description, lambda values: resolve(FinetuningConfig, arguments, {**values, **hparams}))

"""Fine-tuning on tasks, in several trials, with maximum and mean as published."""

from electra_paddle.config import FinetuningConfig, add_entries, resolve

DESCRIPTION = "Fine-tune a pre-trained model on tasks and report its scores; the same command again resumes."


def add_arguments(parser):
    add_entries(parser, FinetuningConfig)
    parser.add_argument("--task", help="the same as --task-names: a name, or a file that describes a task")


def run(arguments):
    from electra_paddle import runtime
    from electra_paddle.finetuning.description import load_description
    from electra_paddle.finetuning.job import prepare

    if arguments.task:
        arguments.task_names = arguments.task
    config = resolve(FinetuningConfig, arguments)
    descriptions = [load_description(task) for task in config.task_names]
    jobs = [prepare(config_for(arguments, config, description), description) for description in descriptions]
    runtime.start()
    with runtime.last_to_fail():
        from electra_paddle.finetuning.run import run_task

        for job in jobs:
            run_task(job)
    runtime.leave()


def config_for(arguments, config, description):
    """The configuration for one task: with `recommended`, the task's values below the user's."""
    if not config.recommended:
        return config
    from electra_paddle.finetuning.job import find_source, size_of

    recommended = description.recommended
    size = size_of(find_source(config)[1])
    return resolve(FinetuningConfig, arguments, {**recommended.get("all", {}), **recommended.get(size, {})})

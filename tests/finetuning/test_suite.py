import re
from pathlib import Path
from types import SimpleNamespace

import pytest
from conftest import ROOT

from electra_paddle.errors import ConfigError
from electra_paddle.finetuning.description import TaskDescription, built_in_tasks
from electra_paddle.finetuning.report import Results
from electra_paddle.finetuning.suite import Suite, load_suite, to_html, write_report

DESCRIPTION = TaskDescription("mood", labels=("a", "b"), published_sizes={"train": 3, "dev": 2})
SUITE = Suite(("mood",), source="a paper", published={"mood": {"Great": {"dev": "99.0 (98.0)"}}})


def job_and_results(folder, num_train):
    kind = SimpleNamespace(description=DESCRIPTION, main_metric="accuracy", table_metrics=())
    config = SimpleNamespace(output_dir=Path(folder) / "mine", num_models=2, unit="trial")
    job = SimpleNamespace(
        name="mood", kind=kind, config=config, files={}, examples={"train": [0] * num_train, "dev": [0] * 2}
    )
    results = Results(job)
    for seed, accuracy in enumerate((50.0, 100.0)):
        results.add(seed, "x", {"dev": {"accuracy": accuracy, "loss": 1.0}})
    return job, results


def test_published_scores_stand_beside_ours_on_the_published_data(tmp_path):
    path = write_report(SUITE, [job_and_results(tmp_path, 3)], "s", tmp_path)
    text = path.read_text()
    assert "| mine | 100.00 (75.00) |\n| Great (published) | 99.0 (98.0) |" in text
    assert "Published scores: a paper." in text
    assert "dev 35.36" in text
    page = path.with_suffix(".html").read_text()
    assert "<tr><td>Great (published)</td><td>99.0 (98.0)</td></tr>" in page and page.count("<table>") == 1


def test_substitute_data_is_said_to_be_one_and_never_set_beside_published_scores(tmp_path):
    text = write_report(SUITE, [job_and_results(tmp_path, 4)], "s", tmp_path).read_text()
    assert "Great" not in text and "a paper" not in text
    assert "Examples: train 4, dev 2; other data than the published, not to be compared with it." in text


def test_page_escapes_what_names_may_hold():
    assert "<h1>a &lt;b&gt;</h1>" in to_html("# a <b>\n", "a <b>")


def test_chinese_suite_runs_all_tasks_and_its_values_are_as_written():
    suite = load_suite(str(ROOT / "configs/suite/chinese.yaml"))
    assert {*suite.tasks} == {*built_in_tasks()} - {
        "cail2018_multi",  # whose cases are not those that are published
        "peoples_daily",  # for which no scores of ELECTRA are published
    }
    assert suite.published["xnli"]["ELECTRA-large"] == {"dev": 81.5, "test": "81.0"}
    assert suite.hparams_of("drcd")["num_trials"] == 10


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("tasks: []", "tasks: found none"),
        ("{tasks: [a], published: {a: {m: {dev: 1}}}}", "source: found nothing"),
        ("{tasks: [xnli], task_hparams: {xnl: {}}}", "task_hparams.xnl: found an unknown key, expected 'xnli'"),
    ],
)
def test_mistake_in_a_suite_names_the_entry(tmp_path, text, message):
    (tmp_path / "s.yaml").write_text(text)
    with pytest.raises(ConfigError, match=message):
        load_suite(str(tmp_path / "s.yaml"))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("tasks: 3", "tasks: found 3, expected a list of names"),
        ("tasks: [lcqmc]\nhparams: 3", "hparams: found 3, expected a mapping such as"),
        ("tasks: [lcqmc]\npublished: {lcqmc: 3}", "published: found {'lcqmc': 3}, expected a mapping to a mapping to"),
    ],
)
def test_value_of_another_type_is_one_line(tmp_path, text, message):
    path = tmp_path / "suite.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=re.escape(message)):
        load_suite(path)

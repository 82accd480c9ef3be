"""Texts of strangers: each is parsed, or refused in a few words and at once."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from electra_paddle.config import PretrainingConfig, load_config
from electra_paddle.errors import ConfigError, ElectraPaddleError
from electra_paddle.parsing import ParseError, parse_json, parse_yaml

BOMB = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"a{number}: &a{number} [{', '.join([f'*a{number - 1}'] * 9)}]\n" for number in range(1, 10)
)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[" * 3000, "nested too deeply|line 1"),
        ("a: 2024-13-45", "month must be in 1..12"),
        (BOMB, "more than 1,000,000 values, its aliases written out"),
        ("a: !!python/object:os.system x", "could not determine a constructor"),
        ("{1: 2, [3]: 4}", "unhashable key"),
        ("a: *nobody", "found undefined alias|undefined alias"),
        ("a:\n\t- b", "line 2: found character"),
    ],
)
def test_faulty_yaml_is_refused_in_a_few_words(text, message):
    with pytest.raises(ParseError, match=message) as caught:
        parse_yaml(text)
    assert len(str(caught.value)) < 200 and "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        *[("010", "010"), ("12:30:45", "12:30:45"), ("0x1F", "0x1F"), ("0b11", "0b11"), ("190:20.5", "190:20.5")],
        *[("10", 10), ("-3", -3), ("0", 0), ("1_000", 1000), ("1e-3", "1e-3"), ("2.5E+3", 2500.0), ("-.5", -0.5)],
        *[("3.", 3.0), (".inf", float("inf")), ("true", True), ("null", None), ("1e", "1e"), ("1.2.3", "1.2.3")],
    ],
)
def test_numbers_in_yaml_are_those_that_people_write(text, value):
    (found,) = parse_yaml(f"[{text}]")
    assert found == value and type(found) is type(value)


def test_faulty_json_is_refused_in_a_few_words():
    for text in ("[" * 100_000, '{"a": ' * 100_000, "{", "1" * 5000, b"\xff", b"\x00"):
        with pytest.raises(ValueError):
            parse_json(text)
    assert parse_json('{"a": [1, null]}') == {"a": [1, None]}


@settings(max_examples=300, deadline=None)
@given(st.text(max_size=200))
def test_any_text_is_parsed_or_refused(text):
    for parse in (parse_json, parse_yaml):
        try:
            parse(text)
        except ParseError as error:
            assert "\n" not in str(error)


@pytest.mark.parametrize("text", ["learning_rate: 2024-13-45", BOMB, "[" * 3000, "seed: {a: " + "9" * 5000 + "}"])
def test_file_of_hyper_parameters_ends_in_one_short_line(tmp_path, text):
    path = tmp_path / "hparams.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError) as caught:
        load_config(PretrainingConfig, path)
    assert str(path) in str(caught.value) and len(str(caught.value)) < 1000


def test_long_values_are_cut_in_messages():
    message = str(ElectraPaddleError("x", "y" * 10_000, "z"))
    assert len(message) < 500 and message.startswith("x: found yyy") and message.endswith("..., expected z")


def test_option_that_is_no_json_is_one_line(capsys):
    from electra_paddle.cli import main

    assert main(["run_pretrain", "--model-hparam-overrides", "{'a': 1"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("error: command line: model_hparam_overrides: found no valid JSON (line 1:")

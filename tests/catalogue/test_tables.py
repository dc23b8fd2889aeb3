"""Every row's settings are the parameters of what it names, and say what they do."""

import inspect
from dataclasses import asdict, fields
from pathlib import Path
from types import NoneType
from typing import Any, Literal, get_args, get_origin, get_type_hints

import pytest

from segdistill import config
from segdistill.analysis.opened import AnalysisSettings
from segdistill.catalogue.analyses import ANALYSES
from segdistill.catalogue.commands import COMMANDS, GROUPS, target
from segdistill.catalogue.datasets import DATASETS, LABELS, PIXELS
from segdistill.catalogue.formats import FORMATS
from segdistill.catalogue.losses import LOSSES
from segdistill.catalogue.networks import HEADS, NETWORKS, SOURCES, TEACHERS
from segdistill.catalogue.settings import REQUIRED, Setting, accepted
from segdistill.catalogue.tables import load
from segdistill.models import Adaptation

OWNERS = (
    ("segdistill.losses", LOSSES),
    ("segdistill.models", NETWORKS),
    ("segdistill.models", HEADS),
    ("segdistill.models", SOURCES),
    ("segdistill.models", TEACHERS),
    ("segdistill.data", DATASETS),
    ("segdistill.data", {"pixels": PIXELS, "labels": LABELS}),
    ("segdistill.delivery", FORMATS),
)
ROWS = [
    pytest.param(package, row, id=f"{package}-{name}")
    for package, table in OWNERS
    for name, row in table.items()
]
SETTINGS = [
    pytest.param(setting, id=f"{name}.{key}")
    for _, table in (*OWNERS, ("segdistill.analysis", ANALYSES))
    for name, row in table.items()
    for key, setting in row.settings.items()
]


def kind(type_: Any) -> Any:
    """Return the type that a signature has where a row lists the only values of it."""
    if get_origin(type_) is Literal:
        (of_values,) = {type(value) for value in get_args(type_)}
        return of_values
    return type_


@pytest.mark.parametrize(("package", "row"), ROWS)
def test_a_rows_settings_are_the_parameters_of_its_target(package: str, row: Any) -> None:
    target = load(package, row.target)
    has_parameters = inspect.isfunction(target) or "__init__" in vars(target)
    parameters = inspect.signature(target).parameters if has_parameters else {}
    hints = get_type_hints(target if inspect.isfunction(target) else target.__init__)
    defaults = {name: each.default for name, each in parameters.items() if name not in row.given}
    if "adaptation" in row.given:
        # A record of settings that all sources share.
        hints |= get_type_hints(Adaptation)
        defaults |= {field.name: field.default for field in fields(Adaptation)}
    assert list(defaults) == list(row.settings)
    assert set(row.given) <= set(parameters)
    for name, setting in row.settings.items():
        assert setting.default == defaults[name], name
        assert kind(setting.type) == kind(hints[name]), name


@pytest.mark.parametrize("setting", SETTINGS)
def test_a_setting_says_what_it_does_and_takes_its_own_default(setting: Setting) -> None:
    assert len(setting.help.split()) >= 3
    assert not setting.help.endswith(".")
    assert setting.accepts
    if setting.bounds:
        numbers = {int, float, tuple, *map(kind, get_args(setting.type)), NoneType}
        assert numbers & {kind(setting.type), get_origin(setting.type), int, float}
    if setting.choices:
        assert setting.default in setting.choices
    values = setting.default if isinstance(setting.default, tuple) else (setting.default,)
    for value in values:
        if isinstance(value, int | float):
            assert value > setting.bounds.get("above", -float("inf"))
            assert value >= setting.bounds.get("at_least", -float("inf"))
            assert value < setting.bounds.get("below", float("inf"))
            assert value <= setting.bounds.get("at_most", float("inf"))


@pytest.mark.parametrize(
    ("table", "section"),
    [(LOSSES, config.LossConfig), (NETWORKS | SOURCES | TEACHERS, config.NetworkConfig)],
    ids=["losses", "networks"],
)
def test_no_setting_has_the_name_of_a_key_that_all_rows_have(table: Any, section: Any) -> None:
    for name, row in table.items():
        # Sources take a class map when they build a network; ours are wrapped in one afterwards.
        own = row.settings.keys() - ({"class_map"} if name in SOURCES else set())
        assert not own & section.model_fields.keys(), name


def test_no_setting_of_a_dataset_has_the_name_of_a_key_of_data() -> None:
    shared = config.DataConfig.model_fields.keys() | config.UnlabelledConfig.model_fields.keys()
    for name, row in DATASETS.items():
        assert not row.settings.keys() & shared, name


def test_the_analyses_read_every_setting_of_theirs_and_no_other() -> None:
    read = {key: one for row in ANALYSES.values() for key, one in row.settings.items()}
    hints = get_type_hints(AnalysisSettings)
    assert {key: one.default for key, one in read.items()} == asdict(AnalysisSettings())
    assert {key: one.type for key, one in read.items()} == hints
    for row in ANALYSES.values():
        assert callable(load("segdistill.analysis", row.target))


def test_every_command_is_a_function_and_every_group_has_commands() -> None:
    for words in COMMANDS:
        assert inspect.isfunction(load("segdistill.cli", target(words)))
        assert len(words.split()) == 1 or words.split()[0] in GROUPS
    assert {words.split()[0] for words in COMMANDS if " " in words} == set(GROUPS)


@pytest.mark.parametrize(
    ("type_", "bounds", "words"),
    [
        (float, {"above": 0.0}, "a number above 0"),
        (float, {"at_least": 0.0, "below": 1.0}, "a number of at least 0 and below 1"),
        (float, {"above": 0.0, "at_most": 1.0}, "a number above 0 and at most 1"),
        (float, {"at_least": 0.0, "at_most": 0.5}, "a number from 0 to 0.5"),
        (int | None, {"at_least": 1}, "a whole number of at least 1 or null"),
        (tuple[int, int], {"at_least": 32}, "two whole numbers of at least 32"),
        (tuple[float, ...] | None, {}, "a list of numbers or null"),
        (
            tuple[int | str | tuple[int, ...] | None, ...],
            {"at_least": 0},
            "a list of whole numbers of at least 0, strings, lists or nulls",
        ),
        (tuple[dict[str, Any], ...], {}, "a list of sections"),
        (Literal["a", "b", "c"], {}, "a, b or c"),
        (bool, {}, "true or false"),
        (Path, {}, "a path"),
        (dict[str, object], {}, "a mapping of names to values"),
    ],
)
def test_what_a_setting_takes_is_said_in_words(
    type_: Any, bounds: dict[str, float], words: str
) -> None:
    assert accepted(type_, bounds) == words
    assert Setting(type_, REQUIRED, "does what it says", **bounds).accepts == words

"""The schema for editors takes every packaged file and refuses what a check refuses."""

from collections.abc import Iterator
from copy import deepcopy
from typing import Any, get_args

import jsonschema
import pytest

from segdistill import config
from segdistill.catalogue.recipes import recipe_files
from segdistill.config.loading import read
from segdistill.config.rows import section_settings
from segdistill.config.schema import file_schema

RUN: dict[str, Any] = {
    "data": {"dataset": "scenes", "crop": [64, 96]},
    "teacher": {"network": "deeplabv3", "backbone": "resnet18"},
    "student": {"network": "smp:unet", "args": {"encoder_name": "resnet18"}},
    "distill": [{"loss": "pixelwise_kl", "temperature": 2.0}],
    "training": {"steps": 10},
}
STUDY: dict[str, Any] = {
    **{key: part for key, part in RUN.items() if key != "distill"},
    "methods": {"kl": [{"loss": "pixelwise_kl"}]},
}


@pytest.fixture(scope="module")
def validator() -> jsonschema.Draft202012Validator:
    schema = file_schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    return jsonschema.Draft202012Validator(schema)


def errors(validator: jsonschema.Draft202012Validator, tree: Any) -> list[str]:
    return [
        f"{'.'.join(map(str, error.absolute_path))}: {error.message}"
        for error in validator.iter_errors(tree)
    ]


@pytest.mark.parametrize("name", recipe_files())
def test_every_packaged_file_is_valid(
    name: str, validator: jsonschema.Draft202012Validator
) -> None:
    assert errors(validator, read(name)) == []


def test_a_run_a_cohort_and_a_study_are_valid(validator: jsonschema.Draft202012Validator) -> None:
    cohort = {"plain": {"distill": []}, "wide": {"student": {"decoder": "x"}}}
    del cohort["wide"]
    for tree in (
        RUN,
        STUDY,
        {**RUN, "teacher": {"weights": "teacher.safetensors"}},
        {**RUN, "teacher": None, "distill": []},
        {**RUN, "cohort": {**cohort, "slow": {"training": {"lr": 0.1}, "data": {"flip": False}}}},
        {**STUDY, "seeds": [1, 2], "search": {"space": {"training.lr": {"low": 1, "high": 2}}}},
        {**STUDY, "methods": {"kl": {"distill": [{"loss": "attention"}]}, "plain": None}},
    ):
        assert errors(validator, tree) == []


@pytest.mark.parametrize(
    ("tree", "path", "value"),
    [
        (RUN, "distill.0.temperature", -1),
        (RUN, "distill.0.tempratur", 1.0),
        (RUN, "distill.0.loss", "pixelwise"),
        (RUN, "distill.0.weight", -1),
        (RUN, "student.network", "smt:unet"),
        (RUN, "student.divisor", 0),
        (RUN, "teacher.width", -3),
        (RUN, "teacher.output_stride", 12),
        (RUN, "teacher.bins", [1]),
        (RUN, "data.crop", 5),
        (RUN, "data.crop", [5]),
        (RUN, "data.root", "a setting of other datasets"),
        (RUN, "data.unlabelled", {"dataset": "images", "root": "x"}),
        (RUN, "training.lr", -1),
        (RUN, "training.optimizer", "adagrad"),
        (RUN, "training", {}),
        (RUN, "trainin", {}),
        (RUN, "cohort", {"wide": {"student": {"wdth": 3}}}),
        (STUDY, "methods.kl.0.temperature", -1),
        (STUDY, "training.lr", -1),
        (STUDY, "search", {"trials": -1}),
        (STUDY, "seeds", 0),
        (STUDY, "pairs", {"a": {}}),
    ],
)
def test_a_wrong_value_fails(
    tree: Any, path: str, value: Any, validator: jsonschema.Draft202012Validator
) -> None:
    wrong = inner = deepcopy(tree)
    *sections, key = path.split(".")
    for step in sections:
        inner = inner[int(step)] if isinstance(inner, list) else inner[step]
    inner[key] = value
    assert errors(validator, wrong)


def sections_of(annotation: Any) -> Iterator[type[config.Section]]:
    """Yield every section in an annotation, with the sections of its own keys."""
    if isinstance(annotation, type) and issubclass(annotation, config.Section):
        yield annotation
        for field in annotation.model_fields.values():
            yield from sections_of(field.annotation)
    for part in get_args(annotation):
        yield from sections_of(part)


@pytest.mark.parametrize(
    "section", dict.fromkeys(sections_of(config.RunConfig | config.StudyConfig))
)
def test_every_key_of_every_section_says_what_it_does(section: type[config.Section]) -> None:
    for key, setting in section_settings(section).items():
        assert len(setting.help.split()) >= 3, key
        assert setting.help[0].isalnum(), key
        assert not setting.help.endswith("."), key


def test_a_key_says_what_it_takes_and_does(validator: jsonschema.Draft202012Validator) -> None:
    rules = validator.schema["$defs"]["loss"]["allOf"]
    (row,) = [r["then"] for r in rules if r["then"]["properties"]["loss"] == {"const": "holistic"}]
    assert row["properties"]["width"]["description"].startswith(
        "width of the critic's first layer; each of the next three doubles it. Takes a whole "
        "number of at least 2 (channels); default 64 "
    )
    assert row["properties"]["width"]["minimum"] == 2

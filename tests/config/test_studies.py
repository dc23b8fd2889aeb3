"""Study files: short forms, and mistakes answered with what was meant."""

from typing import Any

import pytest

from segdistill.config import PairConfig, Range, check_study
from segdistill.errors import ConfigError

FILE: dict[str, Any] = {
    "data": {"dataset": "scenes", "crop": [64, 96]},
    "teacher": {"network": "fcn"},
    "student": {"network": "lraspp"},
    "methods": {"kl": [{"loss": "pixelwise_kl"}]},
    "training": {"steps": 4},
}


def test_short_forms_mean_what_the_long_ones_say() -> None:
    study = check_study(FILE | {"seeds": 3})
    long = {
        "data": FILE["data"],
        "pairs": {"student": {"teacher": FILE["teacher"], "student": FILE["student"]}},
        "methods": {"plain": {}, "kl": {"distill": [{"loss": "pixelwise_kl"}]}},
        "training": FILE["training"],
        "seeds": [0, 1, 2],
    }
    assert check_study(long) == study
    assert study.pairs["student"] == PairConfig(teacher=FILE["teacher"], student=FILE["student"])
    assert list(study.methods) == ["plain", "kl"]
    assert len(check_study(FILE).seeds) == 8
    assert check_study(study.tree()) == study


def test_spaces_are_lists_or_ranges() -> None:
    space = {"training.lr": {"low": 0.1, "high": 1}, "training.clip_norm": [1, 2.5, None]}
    study = check_study(FILE | {"search": {"space": space}})
    assert study.search.space == {
        "training.lr": Range(low=0.1, high=1),
        "training.clip_norm": (1, 2.5, None),
    }


def test_each_value_of_a_grid_is_a_method() -> None:
    terms = [{"loss": "pixelwise_kl"}, {"loss": "pairwise_similarity", "weight": 1.0}]
    grid = {"distill.0.temperature": [1, 2.5], "distill.1.weight": [1e-3, 10]}
    study = check_study(
        FILE | {"methods": {"kl": FILE["methods"]["kl"], "pa": {"distill": terms, "grid": grid}}}
    )
    assert list(study.methods) == [
        "plain",
        "kl",
        "pa-1-0.001",
        "pa-1-10",
        "pa-2.5-0.001",
        "pa-2.5-10",
    ]
    own = study.methods["pa-2.5-0.001"].distill
    assert own == (terms[0] | {"temperature": 2.5}, terms[1] | {"weight": 1e-3})
    # The study is that of the methods, however they were written.
    long = {name: {"distill": list(method.distill)} for name, method in study.methods.items()}
    assert check_study(FILE | {"methods": long}).hash() == study.hash()
    assert check_study(study.tree()) == study


def test_where_it_runs_is_no_part_of_what_a_study_is() -> None:
    assert check_study(FILE | {"engine": {"processes": 4}}).hash() == check_study(FILE).hash()
    assert check_study(FILE | {"seeds": 3}).hash() != check_study(FILE).hash()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"serch": {}}, "unknown key 'serch'; did you mean 'search'"),
        ({"search": {"trails": 3}}, r"unknown key 'search\.trails'; did you mean 'trials'"),
        ({"search": {"pruning": {"rung": 1}}}, "did you mean 'rungs'"),
        ({"methods": {"kl": {"distil": []}}}, r"unknown key 'methods\.kl\.distil'"),
        ({"methods": {"kl": []}}, "expected at least one term"),
        ({"methods": {}}, "one method besides plain"),
        (
            {"methods": {"kl": {"distill": [{"loss": "pixelwise_kl"}], "grid": {"a": [1]}}}},
            r"methods\.kl\.grid\.a: expected a setting of a term",
        ),
        (
            {"methods": {"kl": {"distill": [{}], "grid": {"distill.0.weight": 1}}}},
            r"methods\.kl\.grid: expected lists of values by setting",
        ),
        (
            {"methods": {"kl": {"distill": [{}], "grid": {"distill.1.weight": [1]}}}},
            "expected an index from 0 to 0",
        ),
        (
            {"methods": {"kl": {"distill": [{}], "grid": {"distill.0.weight": [1, 1.0]}}}},
            "got two methods called kl-1",
        ),
        (
            {
                "methods": {
                    "kl": {
                        "distill": [{"loss": "pixelwise_kl"}],
                        "grid": {"distill.0.weight": [-1]},
                    }
                }
            },
            r"methods\.kl--1\.distill\.0\.weight",
        ),
        ({"methods": {"a b": [{}]}}, "expected a name of letters"),
        ({"methods": {"..": [{}]}}, "expected a name of letters"),
        ({"methods": {"plain": [{}], "kl": [{}]}}, "it is the baseline"),
        ({"seeds": [1, 1]}, "expected distinct seeds"),
        ({"seeds": []}, "expected distinct seeds"),
        ({"seeds": 41}, "expected at most 40, .* got 41"),
        ({"search": {"trials": 1}, "evaluation": {"split": "train"}}, "trials are not scored, got"),
        (
            {
                "search": {"trials": 1},
                "data": FILE["data"] | {"holdout": 0.2},
                "evaluation": {"split": "holdout"},
            },
            "trials are not scored, got 'holdout'",
        ),
        (
            {"search": {"space": {"training.lr": {"low": 1}}}},
            "training.lr: expected a section with low and high or a list of values, got .*low",
        ),
        (
            {"search": {"space": {"training.lr": [0.1, -1]}}},
            r"search\.space\.training\.lr: .* got -1",
        ),
        ({"search": {"space": {"trainin.lr": [1]}}}, "did you mean 'training'"),
        (
            {"search": {"space": {"training.lr": {"low": 1, "high": 2, "lgo": True}}}},
            "training.lr: expected a section with low and high or a list of values, got",
        ),
        ({"search": {"sampler": "gird"}}, "expected grid, random or tpe, got 'gird'; did you mean"),
        (
            {"search": {"trials": -1}},
            "search.trials: expected a whole number of at least 0, got -1",
        ),
        ({"search": {"space": {"distill.0.temperature": [0]}}}, "a number above 0, got 0"),
        ({"search": {"space": {"distill.1.weight": [1]}}}, "expected an index from 0 to 0"),
        ({"pairs": {}}, "either pairs, or teacher and student"),
        ({"student": {"network": "lraspp", "width": -3}}, "student.width: .* at least 1, got -3"),
        ({"teacher": {"network": "fnc"}}, "teacher.network: there is no network 'fnc'; did you"),
        ({"data": {"dataset": "scenes", "crop": 5}}, "data.crop: expected two whole numbers"),
        ({"training": {"steps": 4, "lr": -1}}, "training.lr: expected a number above 0, got -1"),
        ({"evaluation": {"flip": 3}}, "evaluation.flip: expected true or false, got 3"),
        ({"methods": {"kl": [{"loss": "pixelwise_kl", "weight": -1}]}}, r"methods.kl.0.weight: "),
        (
            {"methods": {"kl": {"distill": [{"loss": "pixelwise_kl", "tempratur": 1}]}}},
            r"unknown key 'methods\.kl\.distill\.0\.tempratur'; did you mean 'temperature'",
        ),
        ({"training": None}, "training: expected a section, got null"),
    ],
)
def test_refuses_what_it_does_not_know(change: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        check_study(FILE | change)

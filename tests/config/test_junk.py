"""Whatever stands wherever in a file, the answer is a config or one line about one key."""

from collections.abc import Iterator
from copy import deepcopy
from typing import Any

import pytest

from segdistill.catalogue.recipes import kind_of, recipe_files
from segdistill.config import check, check_search, check_study, parse_tree
from segdistill.errors import ConfigError

JUNK: tuple[Any, ...] = (
    None,
    True,
    -1,
    10**400,
    1.5,
    float("nan"),
    "junk",
    "",
    [],
    [-1],
    [[]],
    {},
    {"junk": 1},
    {1: 2},
)


def paths(tree: Any) -> Iterator[tuple[Any, ...]]:
    items = tree.items() if isinstance(tree, dict) else enumerate(tree)
    for key, below in items:
        yield (key,)
        if isinstance(below, dict | list):
            yield from ((key, *rest) for rest in paths(below))


def with_junk(tree: Any, path: tuple[Any, ...], junk: Any) -> Any:
    changed = inner = deepcopy(tree)
    for step in path[:-1]:
        inner = inner[step]
    inner[path[-1]] = junk
    return changed


@pytest.mark.parametrize(
    "name", ["reference", "papers/skd", "studies/reference", "searches/reference"]
)
def test_junk_is_answered_in_one_line_or_taken(name: str) -> None:
    tree = parse_tree(recipe_files()[name].read_text(encoding="utf-8"), name)
    checkers = {"run": check, "study": check_study, "search": check_search}
    checked = checkers[kind_of(name)]
    tree.pop("cohort", None)
    answers = []
    for path in [*paths(tree), ("junk",), ("training", "junk")]:
        for junk in JUNK:
            try:
                checked(with_junk(tree, path, junk))
            except ConfigError as error:
                answers.append(str(error))
    assert len(answers) > 100
    for answer in answers:
        assert "\n" not in answer
        assert len(answer) < 500
        assert not [word for word in ("pydantic", "input", "valid ", "should") if word in answer]

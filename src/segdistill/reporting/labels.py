"""Labels of groups and panels in tables, as short as possible."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from segdistill.reporting.identity import conditions, differing, in_words, measured, method
from segdistill.reporting.runs import Run

_MOST_SETTINGS = 3  # number of settings in a label; more would be too wide


def label_groups(members: Sequence[Sequence[Run]]) -> list[str]:
    """Return a unique label for each group: its name, with differences if names are equal."""
    names = [_name(runs) for runs in members]
    trees = [conditions(runs[0]) | method(runs[0]) for runs in members]
    labels = [_with_difference(name, number, names, trees) for number, name in enumerate(names)]
    counts = Counter(labels)
    return [
        label if counts[label] == 1 else f"{label}, {number + 1}"
        for number, label in enumerate(labels)
    ]


def label_panels(members: Sequence[Sequence[Run]]) -> list[str]:
    """Return what each group was scored on, empty if it is the same for all."""
    trees = [measured(runs[0]) for runs in members]
    apart = differing(trees)
    if not apart:
        return [""] * len(members)
    labels = []
    for tree in trees:
        words = [str(tree["dataset"])] if tree["dataset"] else []
        words += [f"{tree['images']:,} {tree['split']} images"] if tree["images"] else []
        words += [
            in_words(key, tree.get(key))
            for key in apart
            if key not in ("dataset", "split", "images", "classes") and tree.get(key) is not None
        ]
        words += [f"{len(tree['classes'])} classes"] if "classes" in apart else []
        labels.append(", ".join(words))
    return labels


def training_differences(groups: Sequence[Sequence[Run]]) -> str | None:
    """Describe how the training of the students differs, None if it is the same for all.

    Args:
        groups: the runs of each group of students.
    """
    recipes = [
        {k: v for k, v in conditions(runs[0]).items() if not k.startswith("student.")}
        for runs in groups
    ]
    taught = [runs[0] for runs in groups if runs[0].settings.get("distill")]
    teachers = [
        {k: v for k, v in method(run).items() if k.startswith("teacher.")} for run in taught
    ]
    parts = [
        f"{path} ({' or '.join(dict.fromkeys(map(str, values)))})"
        for trees in (recipes, teachers)
        for path, values in differing(trees).items()
    ]
    if not parts:
        return None
    return (
        f"Training differs between these runs in {', '.join(parts)}. Runs that differ in more than "
        "their seeds are separate groups, and a method is only compared with a plain student that "
        "was trained in the same way."
    )


def repeats(label: str, runs: Sequence[Run]) -> list[str]:
    """Report seeds of a group that were run more than once."""
    seeds: dict[Any, list[Run]] = {}
    for run in runs:
        seeds.setdefault(run.seeds, []).append(run)
    return [
        f"{label}, seed {seed} was run {len(same)} times ({'; '.join(run.label for run in same)}): "
        "the mean of these runs counts as one seed."
        for (_, seed), same in seeds.items()
        if len(same) > 1
    ]


def _name(runs: Sequence[Run]) -> str:
    names = {run.result.name for run in runs}
    return names.pop() if len(names) == 1 else runs[0].method


def _with_difference(
    name: str, number: int, names: Sequence[str], trees: Sequence[Mapping[str, Any]]
) -> str:
    """Return a name, with the settings that differ from others of the same name."""
    same = [other for other, known in enumerate(names) if known == name]
    if len(same) == 1:
        return name
    apart = differing([trees[other] for other in same])
    own = [in_words(path, values[same.index(number)]) for path, values in apart.items()]
    more = ["…"] if len(own) > _MOST_SETTINGS else []
    return f"{name} ({', '.join([*own[:_MOST_SETTINGS], *more])})" if own else name

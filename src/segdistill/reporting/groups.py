"""Groups: runs that differ by seed alone, compared with the plain students trained alike."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from segdistill.config import PLAIN
from segdistill.drawing.svg import series_color
from segdistill.reporting.identity import conditions, key_of, measured, method
from segdistill.reporting.labels import label_groups, label_panels
from segdistill.reporting.runs import Run
from segdistill.runs.result import Result
from segdistill.studies.comparison import Comparison
from segdistill.studies.summary import Summary, summarize

Seeds = tuple[int, int]
"""What pairs runs: data seed and own seed."""


@dataclass(frozen=True)
class Group:
    """Runs that differ by seed alone.

    Attributes:
        label: what tables call it, unique within a report.
        name: its method's name, unique within its panel.
        runs: at least one.
        summary: the runs in numbers, compared with the baseline.
        panel: what it shares a table with; empty where a report has one table.
        baseline: label of the group that it is compared with: the plain student that was trained
            alike.
    """

    label: str
    name: str
    runs: tuple[Run, ...]
    summary: Summary
    panel: str = ""
    baseline: str | None = None

    @property
    def teacher(self) -> bool:
        """Whether another run of the report learnt from it."""
        return self.runs[0].teacher

    @property
    def miou(self) -> float:
        """Mean over seeds."""
        assert self.summary.mean is not None, "a group has a run"
        return self.summary.mean

    @property
    def deviation(self) -> float | None:
        """Standard deviation over seeds, None for one."""
        return self.summary.deviation

    @property
    def seeds(self) -> int:
        """How many seeds there are; a seed that was run twice is one."""
        return len(self.summary.scores)

    @property
    def comparison(self) -> Comparison | None:
        """With the baseline, None where there is none."""
        return self.summary.comparison


def group(runs: Sequence[Run]) -> list[Group]:
    """Gather runs that trained alike and compare each group with the plain one.

    Runs belong together where everything but the seeds is the same: data recipe, student, terms,
    teacher and training. A method is compared with the plain student of the same data, network
    and training, scored on the same images; those methods are tested jointly.

    Args:
        runs: as :func:`segdistill.reporting.runs.read_runs` returns them.

    Returns:
        The groups, in the order of their first runs.
    """
    alike: dict[tuple[str, ...], list[Run]] = {}
    for run in runs:
        keys = (conditions(run), method(run), measured(run))
        alike.setdefault((str(run.teacher), *map(key_of, keys)), []).append(run)
    members = [tuple(own) for own in alike.values()]
    labels, panel_of = label_groups(members), label_panels(members)
    rivals: dict[tuple[str, str], dict[str, tuple[Run, ...]]] = {}
    for label, own in zip(labels, members, strict=True):
        if not own[0].teacher:
            shared = key_of(conditions(own[0])), key_of(measured(own[0]))
            rivals.setdefault(shared, {})[label] = own
    baselines: dict[str, str] = {}
    summaries: dict[str, Summary] = {}
    for students in rivals.values():
        plain = next((name for name, own in students.items() if own[0].method == PLAIN), None)
        summaries |= summarize_runs(students, plain)
        if plain is not None:
            baselines |= {
                name: plain for name in students if summaries[name].comparison is not None
            }
    return [
        Group(
            label,
            label,
            own,
            summaries[label] if label in summaries else summarize_runs({label: own}, None)[label],
            panel,
            baselines.get(label),
        )
        for label, own, panel in zip(labels, members, panel_of, strict=True)
    ]


def summarize_runs(
    methods: Mapping[str, Sequence[Run]],
    plain: str | None,
    searches: Mapping[int, int] | None = None,
) -> dict[str, Summary]:
    """Summarize the runs of each method, compared with the plain one where there is one.

    Args:
        methods: runs by method.
        plain: the method that the others are compared with.
        searches: which search each final seed took its values from, where there were several.
    """
    by_seed: dict[str, dict[Seeds, list[Result]]] = {}
    for name, runs in methods.items():
        seeds = by_seed.setdefault(name, {})
        for run in runs:
            seeds.setdefault(run.seeds, []).append(run.result)
    known = None
    if searches is not None:
        known = {own: searches[own[0]] for seeds in by_seed.values() for own in seeds}
    return summarize(by_seed, plain, known)


def panels(groups: Sequence[Group]) -> dict[str, list[Group]]:
    """Return the groups by panel, in order; a teacher without one is in each."""
    names = dict.fromkeys(one.panel for one in groups if one.panel or not one.teacher)
    if not names:
        return {"": list(groups)}
    return {name: [one for one in groups if one.panel in (name, "")] for name in names}


def baseline_of(group: Group, groups: Sequence[Group]) -> Group | None:
    """Return the group that one is compared with, None where there is none."""
    return next((one for one in groups if one.label == group.baseline), None)


def color_of(group: Group, groups: Sequence[Group]) -> str:
    """Return the CSS variable of a group's colour: teachers share the first.

    A method has the same colour in every panel.
    """
    return "--s0" if group.teacher else color_of_method(group.name, groups)


def color_of_method(name: str, groups: Sequence[Group]) -> str:
    """Return the CSS variable of a method's colour, the teachers' for one without a group."""
    names = list(dict.fromkeys(one.name for one in groups if not one.teacher))
    return series_color(names.index(name)) if name in names else "--s0"

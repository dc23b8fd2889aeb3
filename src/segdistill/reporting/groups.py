"""Groups: runs that differ only in their seeds, compared with equally trained plain students."""

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
"""The key that pairs runs: data seed and own seed."""


@dataclass(frozen=True)
class Group:
    """Runs that differ only in their seeds.

    Attributes:
        label: its label in tables, unique within a report.
        name: name of its method, unique within its panel.
        runs: its runs, at least one.
        summary: statistics of the runs, and the comparison with the baseline.
        panel: the table that it is in; empty if a report has a single table.
        baseline: label of the group that it is compared with: the equally trained plain student.
    """

    label: str
    name: str
    runs: tuple[Run, ...]
    summary: Summary
    panel: str = ""
    baseline: str | None = None

    @property
    def teacher(self) -> bool:
        """Whether it is the teacher of another run of the report."""
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
        """Number of distinct seeds."""
        return len(self.summary.scores)

    @property
    def comparison(self) -> Comparison | None:
        """Comparison with the baseline, None if there is none."""
        return self.summary.comparison


def group(runs: Sequence[Run]) -> list[Group]:
    """Group runs that trained alike, and compare each group with the plain one.

    Runs belong together where everything but the seeds is the same: data recipe, student, terms,
    teacher and training. A method is compared with the plain student of the same data, network
    and training, scored on the same images; those methods are tested jointly.

    Args:
        runs: runs from :func:`segdistill.reporting.runs.read_runs`.

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


def summarize_runs(methods: Mapping[str, Sequence[Run]], plain: str | None) -> dict[str, Summary]:
    """Summarize the runs of each method, and compare them with the plain one if there is one.

    Args:
        methods: runs by method.
        plain: the method that the others are compared with.
    """
    by_seed: dict[str, dict[Seeds, list[Result]]] = {}
    for name, runs in methods.items():
        seeds = by_seed.setdefault(name, {})
        for run in runs:
            seeds.setdefault(run.seeds, []).append(run.result)
    return summarize(by_seed, plain)


def panels(groups: Sequence[Group]) -> dict[str, list[Group]]:
    """Return the groups by panel, in order; a teacher without a panel is in each."""
    names = dict.fromkeys(g.panel for g in groups if g.panel or not g.teacher)
    if not names:
        return {"": list(groups)}
    return {name: [g for g in groups if g.panel in (name, "")] for name in names}


def baseline_of(group: Group, groups: Sequence[Group]) -> Group | None:
    """Return the group that a group is compared with, None if there is none."""
    return next((g for g in groups if g.label == group.baseline), None)


def color_of(group: Group, groups: Sequence[Group]) -> str:
    """Return the CSS variable of a group's colour; all teachers have the first.

    A method has the same colour in every panel.
    """
    return "--s0" if group.teacher else color_of_method(group.name, groups)


def color_of_method(name: str, groups: Sequence[Group]) -> str:
    """Return the CSS variable of a method's colour, that of teachers if it has no group."""
    names = list(dict.fromkeys(group.name for group in groups if not group.teacher))
    return series_color(names.index(name)) if name in names else "--s0"

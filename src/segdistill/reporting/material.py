"""The material of a page, from which every section takes its values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from segdistill.reporting.groups import Group, color_of, panels
from segdistill.reporting.runs import Run
from segdistill.reporting.studies import Study
from segdistill.reporting.timings import Timings, cost_size, timings
from segdistill.runs.students import Found
from segdistill.studies.verdict import MARGIN


@dataclass(frozen=True)
class Material:
    """The runs that a page compares, with everything about them.

    Attributes:
        groups: groups of runs that differ only in their seeds, with their comparisons.
        study: the study that they belong to, None for separate run folders.
        search: what the search of students found that they belong to, or None.
        notes: sentences to add to the verdict.
        folder: folder with the files of ``segdistill analyse``, or None.
    """

    groups: Sequence[Group]
    study: Study | None = None
    search: Found | None = None
    notes: Sequence[str] = ()
    folder: Path | None = None

    @property
    def runs(self) -> list[Run]:
        """Every run of the page."""
        return [run for group in self.groups for run in group.runs]

    @property
    def margin(self) -> float:
        """Largest mIoU difference that does not matter, as a fraction."""
        settings = {} if self.study is None else self.study.settings
        return float(settings.get("equivalence", 100 * MARGIN)) / 100

    @property
    def students(self) -> list[Group]:
        """The groups that are not teachers."""
        return [group for group in self.groups if not group.teacher]

    @property
    def trained(self) -> list[Group]:
        """The groups trained here, without the teacher of a study or search."""
        whole = self.study is None and self.search is None
        return list(self.groups) if whole else self.students

    @property
    def panels(self) -> dict[str, list[Group]]:
        """The groups by table."""
        return panels(self.groups)

    @property
    def colors(self) -> Mapping[str, str]:
        """CSS variable of each group, by label."""
        return {group.label: color_of(group, self.groups) for group in self.groups}

    @property
    def method_colors(self) -> Mapping[str, str]:
        """CSS variable of each method, by name."""
        return {group.name: color_of(group, self.groups) for group in self.groups}

    @property
    def cost_size(self) -> tuple[int, int] | None:
        """Height and width of the image for which costs are shown, None without costs."""
        return cost_size(self.groups)

    @cached_property
    def timings(self) -> Timings:
        """The time of each group's network for such an image."""
        return timings(self.groups)

    def student_cost(self, run: Run, key: str) -> float | None:
        """Return the cost of one forward pass, None if it was not counted at this page's size.

        Args:
            run: a run of a group.
            key: ``params_m`` or ``gflops``.
        """
        cost = run.result.cost
        if cost is None or (key != "params_m" and cost.cost_size not in (None, self.cost_size)):
            return None
        value: float | None = getattr(cost, key)
        return value

    @property
    def several_seeds(self) -> bool:
        """Whether some group has several runs."""
        return any(len(group.runs) > 1 for group in self.groups)

    @property
    def compared(self) -> list[Group]:
        """The groups that have a baseline."""
        return [group for group in self.groups if group.comparison is not None]

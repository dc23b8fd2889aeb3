"""The cost of running a network: mIoU against cost, with the Pareto front."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import fmean
from typing import Any

from matplotlib.axes import Axes
from matplotlib.transforms import ScaledTranslation

from segdistill.drawing.figure import Figure
from segdistill.drawing.svg import blank, ink, log_across, tidy, to_svg
from segdistill.reporting.groups import Group
from segdistill.reporting.material import Material
from segdistill.studies.front import front

_COSTS = {
    "gflops": "GFLOPs per image",
    "params_m": "parameters, millions",
    "latency_ms": "latency, ms per image",
}
_MARKERS = {"o": "circle", "s": "square", "D": "diamond", "^": "triangle", "v": "tip", "P": "plus"}
_LOG_FROM = 8.0  # ratio of largest to smallest cost from which the scale is logarithmic
_SAME = 1e-3  # relative difference below which two costs are equal


def show(material: Material) -> Mapping[str, Any] | None:
    """Return the plots, None if all networks cost the same."""
    figures = pareto_plots(material)
    if not figures:
        return None
    return {"figures": figures}


def pareto_plots(material: Material) -> list[Figure]:
    """Plot mIoU against GFLOPs, parameters and latency, as far as runs have them.

    Scores on different images are in different plots. A cost that is the same for all networks is
    left out.
    """
    shown = [group for groups in material.panels.values() for group in groups]
    if material.study is None and len(material.panels) > 1:
        shown = next(iter(material.panels.values()))
    groups = list({group.label: group for group in shown}.values())
    figures = []
    for key, words in _COSTS.items():
        costs = {
            group.label: cost
            for group in groups
            if (cost := _cost(group, material, key)) is not None
        }
        if costs and max(costs.values()) > (1 + _SAME) * min(costs.values()):
            figures.append(_plot(costs, groups, material, key, words))
    return figures


def _cost(group: Group, material: Material, key: str) -> float | None:
    """Return a cost, averaged over all runs of the same network."""
    if key == "latency_ms":
        timing = material.timings.of.get(group.label)
        return None if timing is None else timing.ms

    def network(one: Group) -> tuple[object, ...]:
        first = one.runs[0]
        counted = [material.student_cost(first, key) for key in ("params_m", "gflops")]
        return one.teacher, one.panel, first.network, *counted

    runs = [run for g in material.groups if network(g) == network(group) for run in g.runs]
    costs = [cost for run in runs if (cost := material.student_cost(run, key)) is not None]
    return fmean(costs) if costs else None


def _plot(
    costs: Mapping[str, float],
    groups: Sequence[Group],
    material: Material,
    key: str,
    words: str,
) -> Figure:
    figure, axes = blank(3.4)
    pairs = list(material.panels)
    known = [group for group in groups if group.label in costs]
    located = [(costs[group.label], 100 * group.miou) for group in known]
    edge = front(located)
    axes.step(
        [cost for cost, _ in edge],
        [score for _, score in edge],
        where="post",
        color="black",
        alpha=0.45,
        linewidth=1.0,
        linestyle=(0, (4, 3)),
    )
    labels = [group.label for group in known]
    for group, (cost, score) in zip(known, located, strict=True):
        marker = "*" if group.teacher else list(_MARKERS)[pairs.index(group.panel) % len(_MARKERS)]
        beside = [label for label, at in zip(labels, located, strict=True) if at[0] == cost]
        aside = 6.0 * (beside.index(group.label) - (len(beside) - 1) / 2)
        _mark(axes, group, (cost, score), marker, ink(material.colors[group.label]), aside)
    low, high = min(costs.values()), max(costs.values())
    if high > _LOG_FROM * low:
        log_across(axes)
    axes.margins(x=0.12, y=0.12)
    # The limits do not include marks that are moved aside.
    for group, (cost, score) in zip(known, located, strict=True):
        half = 100 * (group.deviation or 0.0)
        axes.update_datalim([(cost, score - half), (cost, score + half)])
    axes.autoscale_view()
    tidy(axes, "mIoU, %", words)
    summary = "; ".join(
        f"{group.label}: {score:.1f} % at {cost:.3g}"
        for group, (cost, score) in zip(known, located, strict=True)
    )
    title = f"mIoU against {words.partition(',')[0]}"
    caption = (
        "Marks of the same network stand side by side. Dashed: the front, which nothing cheaper "
        "beats. Star: teacher."
    )
    if any(group.deviation is not None for group in known):
        caption = f"Mean over seeds; bars are one standard deviation. {caption}"
    if len(pairs) > 1:
        shapes = zip(pairs, _MARKERS.values(), strict=False)
        caption += f" Shapes: {', '.join(f'{shape} {pair}' for pair, shape in shapes)}."
    legend = {group.name: material.colors[group.label] for group in known}
    return Figure(title, caption, to_svg(figure, f"pareto-{key}"), f"{title}. {summary}.", legend)


def _mark(
    axes: Axes,
    group: Group,
    at: tuple[float, float],
    marker: str,
    color: str,
    aside: float,
) -> None:
    """Draw a group's mean and spread, moved aside by a few points."""
    figure = axes.get_figure(root=True)
    shift = ScaledTranslation(aside / 72, 0, figure.dpi_scale_trans)  # type: ignore[union-attr]
    cost, score = at
    moved = axes.transData + shift
    if group.deviation is not None:
        half = 100 * group.deviation
        ends = [score - half, score + half]
        axes.plot([cost, cost], ends, color=color, linewidth=1.4, alpha=0.8, transform=moved)
    size = 11 if marker == "*" else 6.5
    axes.plot([cost], [score], marker, color=color, markersize=size, transform=moved)

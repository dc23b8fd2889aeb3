"""mIoU against what a network costs to run, with the front of those that nothing beats."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import fmean

from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator
from matplotlib.transforms import ScaledTranslation

from segdistill.reporting.charts import blank, ink, tidy, to_svg
from segdistill.reporting.figure import Figure
from segdistill.reporting.groups import Group, color_of, panels

_COSTS = {
    "gflops": "GFLOPs an image",
    "params_m": "parameters, millions",
    "latency_ms": "latency, ms an image",
}
_MARKERS = {"o": "circle", "s": "square", "D": "diamond", "^": "triangle", "v": "tip", "P": "plus"}
_LOG_FROM = 8.0  # ratio of the largest to the smallest cost


def front(found: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """Return the points that no other one beats, from the cheapest.

    A point is beaten by one that costs no more and scores higher, or costs less and scores
    no lower.

    Args:
        found: cost and score of each.
    """
    best: list[tuple[float, float]] = []
    for cost, score in sorted(set(found), key=lambda one: (one[0], -one[1])):
        if not best or score > best[-1][1]:
            best.append((cost, score))
    return best


def pareto_plots(groups: Sequence[Group]) -> list[Figure]:
    """Return mIoU against GFLOPs, parameters and latency, as far as runs have them.

    A cost that is the same for all is left out: there is nothing to weigh.
    """
    found = []
    for key, words in _COSTS.items():
        costs = {one.label: cost for one in groups if (cost := _cost(one, groups, key))}
        if len({round(cost, 9) for cost in costs.values()}) > 1:
            found.append(_plot(costs, groups, key, words))
    return found


def _cost(group: Group, groups: Sequence[Group], key: str) -> float | None:
    """Return a cost, mean over all runs of the same network: how it was trained is no matter."""

    def network(one: Group) -> tuple[object, ...]:
        return one.teacher, one.pair, one.mean("params_m"), one.mean("gflops")

    known = [one.mean(key) for one in groups if network(one) == network(group)]
    costs = [cost for cost in known if cost is not None]
    return fmean(costs) if costs else None


def _plot(costs: Mapping[str, float], groups: Sequence[Group], key: str, words: str) -> Figure:
    figure, axes = blank(5.0, 3.3)
    pairs = list(panels(groups))
    known = [one for one in groups if one.label in costs]
    located = [(costs[one.label], 100 * one.miou) for one in known]
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
    for one, (cost, score) in zip(known, located, strict=True):
        marker = "*" if one.teacher else list(_MARKERS)[pairs.index(one.pair) % len(_MARKERS)]
        beside = [other for other, at in zip(known, located, strict=True) if at[0] == cost]
        aside = 6.0 * (beside.index(one) - (len(beside) - 1) / 2)
        _mark(axes, one, (cost, score), marker, ink(color_of(one, groups)), aside)
    low, high = min(costs.values()), max(costs.values())
    if high > _LOG_FROM * low:
        axes.set_xscale("log")
        axes.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        axes.xaxis.set_minor_locator(NullLocator())
    axes.margins(x=0.12, y=0.12)
    # What is moved aside does not count for the limits by itself.
    for one, (cost, score) in zip(known, located, strict=True):
        half = 100 * (one.deviation or 0.0)
        axes.update_datalim([(cost, score - half), (cost, score + half)])
    axes.autoscale_view()
    tidy(axes, "mIoU, %", words)
    said = "; ".join(
        f"{one.label}: {score:.1f} % at {cost:.3g}"
        for one, (cost, score) in zip(known, located, strict=True)
    )
    title = f"mIoU against {words.partition(',')[0]}"
    caption = "Mean over seeds; bars are one standard deviation. "
    caption = (caption if any(one.deviation is not None for one in known) else "") + (
        "Marks of the same network stand "
        "side by side. Dashed: the front, which nothing cheaper beats. Star: teacher."
    )
    if len(pairs) > 1:
        shapes = zip(pairs, _MARKERS.values(), strict=False)
        caption += f" Shapes: {', '.join(f'{shape} {pair}' for pair, shape in shapes)}."
    return Figure(title, caption, to_svg(figure, f"pareto-{key}"), f"{title}. {said}.")


def _mark(
    axes: Axes,
    group: Group,
    at: tuple[float, float],
    marker: str,
    color: str,
    aside: float,
) -> None:
    """Draw a group's mean and spread, moved aside by a few points of the page."""
    figure = axes.get_figure(root=True)
    shift = ScaledTranslation(aside / 72, 0, figure.dpi_scale_trans)  # type: ignore[union-attr]
    cost, score = at
    place = axes.transData + shift
    if group.deviation is not None:
        half = 100 * group.deviation
        ends = [score - half, score + half]
        axes.plot([cost, cost], ends, color=color, linewidth=1.4, alpha=0.8, transform=place)
    size = 11 if marker == "*" else 6.5
    axes.plot([cost], [score], marker, color=color, markersize=size, transform=place)

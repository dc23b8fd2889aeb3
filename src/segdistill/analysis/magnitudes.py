"""Norms of the feature maps during training, from the log of feature matching in parts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from segdistill.analysis.captions import Place, provenance, titled
from segdistill.analysis.header import header
from segdistill.drawing.figure import Figure
from segdistill.drawing.svg import canvas, ink, tidy, to_svg
from segdistill.runs.metrics import read_metrics, train_lines

if TYPE_CHECKING:
    from segdistill.analysis.looking import Looked
    from segdistill.analysis.opened import Opened
    from segdistill.config import LossConfig

LOSS = "feature_mse_terms"
"""The loss whose parts contain the norms."""


def measure(looked: Looked) -> dict[str, Any] | None:
    r"""Return the norms m and n, and mn/N, over the steps of every run that logged them.

    The logged parts :math:`w m^2/N` and :math:`w n^2/N` are means over the images and steps since
    the previous line, so the norms are root mean squares. None if no run logged them.
    """
    opened, networks = looked.opened, {}
    for name, config in opened.compared.configs.items():
        term = next((term for term in config.distill if term.loss == LOSS), None)
        if term is None or term.weight == 0:
            continue
        lines = [
            (line.step, line.parts[f"{LOSS}.teacher"], line.parts[f"{LOSS}.student"])
            for line in train_lines(read_metrics(opened.compared.runs[name]))
            if f"{LOSS}.teacher" in line.parts
        ]
        size = _values_of_map(opened, name, term)
        m = [(size * teacher / term.weight) ** 0.5 for _, teacher, _ in lines]
        n = [(size * student / term.weight) ** 0.5 for _, _, student in lines]
        networks[name] = {
            "tap": term.tap,
            "weight": term.weight,
            "values": size,
            "steps": [step for step, _, _ in lines],
            "m": m,
            "n": n,
            "mn_over_values": [a * b / size for a, b in zip(m, n, strict=True)],
        }
    return header("magnitudes", opened) | {"networks": networks} if networks else None


def draw(values: Mapping[str, Any], place: Place) -> list[Figure]:
    """Plot mn/N, and below it the norms m and n, over the steps."""
    rows = {name: row for name, row in values["networks"].items() if row["steps"]}
    if not rows:
        return []
    figure = canvas(5.2)
    above, below = figure.subplots(2, 1, sharex=True)
    for method, row in rows.items():
        color = ink(place.colors[method])
        above.plot(row["steps"], row["mn_over_values"], color=color, linewidth=1.6, label=method)
        below.plot(row["steps"], row["n"], color=color, linewidth=1.6, label=f"n, {method}")
    first = next(iter(rows.values()))
    for row in rows.values():
        label = "m, teacher" if row is first else None
        below.plot(row["steps"], row["m"], color=ink("--s0"), linewidth=1.6, label=label)
    tidy(above, "mn/N", "")
    tidy(below, "m and n", "step")
    for axes in (above, below):
        axes.margins(x=0.02)
        axes.set_ylim(bottom=0)
        axes.legend(frameon=False)
    summary = "; ".join(
        f"{name}: n from {row['n'][0]:.3g} to {row['n'][-1]:.3g}, m {row['m'][-1]:.3g}, mn/N "
        f"{row['mn_over_values'][0]:.3g} to {row['mn_over_values'][-1]:.3g}"
        for name, row in rows.items()
    )
    return [
        Figure(
            titled("Lengths of the features while training", values),
            "Feature matching weighs the angle between the two maps by mn/N (above), with m the "
            "length of the teacher's map (grey), n that of the student's (below) and N = "
            f"{first['values']:,} its values; tap {first['tap']}, weight {first['weight']:g}. Root "
            f"mean squares over the images between two lines of the log. {provenance(values)}",
            to_svg(figure, place.name),
            f"Curves over the steps. {summary}.",
        )
    ]


def _values_of_map(opened: Opened, name: str, term: LossConfig) -> int:
    """Return N, the number of values of the compared map at the teacher's width."""
    from segdistill.models.taps import describe

    crop = opened.compared.configs[name].data.crop
    student = describe(opened.students[name], [term.tap], crop)[term.tap]
    teacher = describe(opened.networks["teacher"], [term.tap], crop)[term.tap]
    height, width = teacher.size if term.align == "student" else student.size
    return teacher.channels * height * width

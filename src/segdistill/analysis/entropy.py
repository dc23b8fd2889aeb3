"""Softness of the teacher: the entropy of its class probabilities at several temperatures."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from segdistill.analysis.captions import Place, provenance, titled
from segdistill.analysis.compared import TEACHER
from segdistill.analysis.header import header
from segdistill.drawing.figure import Figure
from segdistill.drawing.svg import blank, ink, series_color, tidy, to_svg

if TYPE_CHECKING:
    from segdistill.analysis.looking import Looked


def measure(looked: Looked) -> dict[str, Any]:
    """Return the histogram of the teacher's entropy at every temperature, over all pixels."""
    import torch
    from torch.nn import functional as F

    from segdistill.scoring.softness import entropy, entropy_counts

    opened = looked.opened
    settings, classes = opened.settings, len(opened.classes)
    counts = {t: torch.zeros(settings.bins, dtype=torch.int64) for t in settings.temperatures}
    sums = dict.fromkeys(settings.temperatures, 0.0)
    for logits, sample in zip(looked.seen[TEACHER].logits, opened.samples, strict=True):
        full = F.interpolate(logits[None], size=sample.image.shape[:2], mode="bilinear")
        for temperature in settings.temperatures:
            entropies = entropy(full, temperature=temperature)
            counts[temperature] += entropy_counts(entropies, classes=classes, bins=settings.bins)
            sums[temperature] += float(entropies.double().sum())
    pixels = int(next(iter(counts.values())).sum())
    largest = math.log(classes)
    return header("entropy", opened, "temperatures", "bins") | {
        "images": opened.names(),
        "pixels": pixels,
        "classes": classes,
        "edges": [largest * edge / settings.bins for edge in range(settings.bins + 1)],
        "temperatures": [
            {
                "temperature": temperature,
                "mean": sums[temperature] / pixels,
                "shares": (counts[temperature].double() / pixels).tolist(),
            }
            for temperature in settings.temperatures
        ],
    }


def draw(values: Mapping[str, Any], place: Place) -> list[Figure]:
    """Draw the histogram of entropies of every temperature."""
    rows, largest = values["temperatures"], values["edges"][-1]
    figure, axes = blank(3.4)
    for number, row in enumerate(rows):
        color = ink(series_color(number))
        label = f"T = {row['temperature']:g}, mean {row['mean']:.2f}"
        shares = [100 * share for share in row["shares"]]
        axes.stairs(shares, values["edges"], color=color, linewidth=1.6, label=label)
        axes.stairs(shares, values["edges"], color=color, fill=True, alpha=0.12)
        axes.plot([row["mean"]], [0], marker="^", color=color, markersize=6, clip_on=False)
    tidy(axes, "Pixels, %", "entropy of the teacher's classes, nats")
    axes.margins(x=0.02)
    axes.set_ylim(bottom=0)
    axes.legend(frameon=False)
    means = ", ".join(f"{row['mean']:.2f} at T = {row['temperature']:g}" for row in rows)
    return [
        Figure(
            titled("How soft the teacher is", values),
            f"Share of all {values['pixels']:,} pixels of {len(values['images'])} "
            f"{values['split']} images by the entropy of the teacher's class probabilities, "
            "softened by a temperature T: at 0 one class has all the probability, at "
            f"{largest:.2f} nats all {values['classes']} classes have the same. Triangles: means. "
            f"{provenance(values)}",
            to_svg(figure, place.name),
            f"Histograms of entropy. Mean: {means}, of at most {largest:.2f} nats; at T = "
            f"{rows[0]['temperature']:g}, {100 * rows[0]['shares'][0]:.0f} % of the pixels are in "
            "the lowest bin.",
        )
    ]

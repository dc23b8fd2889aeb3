"""Figures of what ``segdistill analyse`` found: one for every file that is there."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from segdistill.files import read_json
from segdistill.reporting.analysis_charts import (
    critic_chart,
    difference_chart,
    entropy_chart,
    magnitude_chart,
)
from segdistill.reporting.figure import Figure
from segdistill.reporting.groups import SERIES_COLORS
from segdistill.reporting.panels import affinity_panels, embedding_panels

Colors = Mapping[str, str]
"""CSS variable by method; the teacher's is among them."""


def analysis_figures(folder: Path, *, colors: Colors | None = None) -> list[Figure]:
    """Return the figures of a folder's analyses, none where nothing was analysed.

    Args:
        folder: the study, cohort or run folder that holds ``analyses``.
        colors: CSS variable by method, where the page has given them already; else the
            teacher has ``--s0`` and the methods the next ones in their order.
    """
    place = folder / "analyses"
    pairs = sorted(path for path in place.glob("*/") if any(path.glob("*.json")))
    figures = []
    for number, one in enumerate([place, *pairs]):
        for kind, draw in _DRAWN.items():
            file = one / f"{kind}.json"
            if file.exists():
                found = read_json(file)
                known = {**_colors(found), **(colors or {})}
                figures += draw(found, place, known, f"analysis-{kind}-{number}")
    return figures


def _colors(found: Mapping[str, Any]) -> dict[str, str]:
    methods = [name for name in found["runs"] if name != "teacher"]
    own = {name: f"--s{1 + i % (SERIES_COLORS - 1)}" for i, name in enumerate(methods)}
    return {**own, "teacher": "--s0"}


def _title(text: str, found: Mapping[str, Any]) -> str:
    return f"{text}: {found['pair']}" if found["pair"] else text


def _tail(found: Mapping[str, Any]) -> str:
    """Return source and runs in the words that end every caption."""
    seeds = {(run["data_seed"], run["seed"]) for run in found["runs"].values()}
    data, seed = min(seeds)
    said = f"data seed {data}, seed {seed}" if data != seed else f"seed {seed}"
    source = f" After {found['source']}." if found["source"] else ""
    return f"One seed ({said}).{source}"


def _entropy(found: Any, folder: Path, colors: Colors, name: str) -> list[Figure]:
    rows, largest = found["temperatures"], found["edges"][-1]
    means = ", ".join(f"{row['mean']:.2f} at T = {row['temperature']:g}" for row in rows)
    hard = 100 * rows[0]["shares"][0]
    return [
        Figure(
            _title("How soft the teacher is", found),
            f"Share of all {found['pixels']:,} pixels of {len(found['images'])} "
            f"{found['split']} images by the entropy of the teacher's class probabilities, "
            f"softened by a temperature T: 0 is one class with all the mass, {largest:.2f} nats "
            f"all {found['classes']} alike. Triangles: means. {_tail(found)}",
            entropy_chart(found, name),
            f"Histograms of entropy. Mean: {means}, of at most {largest:.2f} nats; at T = "
            f"{rows[0]['temperature']:g}, {hard:.0f} % of the pixels are in the lowest bin.",
        )
    ]


def _embedding(found: Any, folder: Path, colors: Colors, name: str) -> list[Figure]:
    shares = {one: row["neighbour_agreement"] for one, row in found["networks"].items()}
    said = ", ".join(f"{one} {100 * share:.0f} %" for one, share in shares.items())
    return [
        Figure(
            _title("Embeddings of pixels", found),
            f"t-SNE (perplexity {found['perplexity']:g}) of {len(found['labels']):,} pixels' "
            f"features of the tap {found['settings']['tap']}, each of length 1, about as many of "
            "every class, the same for all; distances between clusters mean little. The per "
            f"cent are taken in the space itself: how many of a pixel's {found['neighbours']} "
            f"nearest are of its class (teacher: {100 * shares['teacher']:.0f} %). {_tail(found)}"
            if "teacher" in shares
            else f"t-SNE (perplexity {found['perplexity']:g}) of {len(found['labels']):,} "
            f"pixels' features of the tap {found['settings']['tap']}. {_tail(found)}",
            embedding_panels(found, name),
            f"Scatter plots by class, one a network. Nearest neighbours of the same class: {said}.",
        )
    ]


def _affinity(found: Any, folder: Path, colors: Colors, name: str) -> list[Figure]:
    if not found["points"]:
        return []
    said = "; ".join(
        f"{point['class']} in {point['image']}: "
        + ", ".join(f"{one} {row['mean']:.2f}" for one, row in point["maps"].items())
        for point in found["points"]
    )
    return [
        Figure(
            _title("Affinity to one point", found),
            "Cosine between the features of the marked point and those of every position, over "
            f"the picture; tap {found['settings']['tap']}, points drawn by seed "
            f"{found['settings']['seed']}, one colour scale a picture. {_tail(found)}",
            affinity_panels(found, folder, name),
            f"Maps over pictures. Mean affinity to the point: {said}.",
        )
    ]


def _critic(found: Any, folder: Path, colors: Colors, name: str) -> list[Figure]:
    figures = []
    for place, (method, critic) in enumerate(found["critics"].items()):
        means = {one: sum(gaps) / len(gaps) for one, gaps in critic["gaps"].items()}
        said = ", ".join(f"{mean:+.2f} for {one}" for one, mean in means.items())
        figures.append(
            Figure(
                _title(f"What the critic of {method} sees", found),
                "Score of the teacher's map minus that of the student's, for "
                f"{len(found['images'])} {found['split']} images, by the critic that was trained "
                f"against {method} "
                f"(step {critic['step']:,}); 0: it cannot tell them apart. Images in the order of "
                f"the first student's difference; dashed: means. {_tail(found)}",
                critic_chart(critic["gaps"], colors, f"{name}-{place}"),
                f"Points, one an image and student. Mean difference: {said}.",
            )
        )
    return figures


def _magnitudes(found: Any, folder: Path, colors: Colors, name: str) -> list[Figure]:
    rows = {one: row for one, row in found["networks"].items() if row["steps"]}
    if not rows:
        return []
    said = "; ".join(
        f"{one}: n from {row['n'][0]:.3g} to {row['n'][-1]:.3g}, m {row['m'][-1]:.3g}, mn/N "
        f"{row['mn_over_values'][0]:.3g} to {row['mn_over_values'][-1]:.3g}"
        for one, row in rows.items()
    )
    first = next(iter(rows.values()))
    return [
        Figure(
            _title("Lengths of the features while training", found),
            "Feature matching weighs the angle between the two maps by mn/N (above), with m the "
            "length of the teacher's map (grey), n that of the student's (below) and N = "
            f"{first['values']:,} its values; tap {first['tap']}, weight {first['weight']:g}. Root "
            f"mean squares over the images between two lines of the log. {_tail(found)}",
            magnitude_chart(rows, colors, name),
            f"Curves over the steps. {said}.",
        )
    ]


def _images(found: Any, folder: Path, colors: Colors, name: str) -> list[Figure]:
    methods = found["methods"]
    said = "; ".join(
        f"{one}: better on {row['better']}, worse on {row['worse']} of {len(found['images'])}"
        for one, row in methods.items()
    )
    return [
        Figure(
            _title("Image by image against plain", found),
            f"mIoU of each of {len(found['images']):,} {found['split']} images minus the plain "
            "student's on the same image, in points, from the worst to the best, "
            f"{_over(methods)}; dots: the worst and best ones, of which there are pictures.",
            difference_chart(methods, colors, name),
            f"Curves from the worst image to the best. {said}.",
        )
    ]


def _over(methods: Mapping[str, Mapping[str, Any]]) -> str:
    seeds = sorted({row["seeds"] for row in methods.values()})
    if seeds == [1]:
        return "one seed"
    return f"mean over {' or '.join(map(str, seeds))} seeds"


_DRAWN: dict[str, Callable[[Any, Path, Colors, str], list[Figure]]] = {
    "entropy": _entropy,
    "magnitudes": _magnitudes,
    "critic": _critic,
    "images": _images,
    "embedding": _embedding,
    "affinity": _affinity,
}

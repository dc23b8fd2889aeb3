"""Small pictures side by side, as SVG written by hand: embeddings and affinity maps.

A library's scatter plot is a hundred bytes a point, and its images are drawn anew; here a
point takes ten, and a picture is in the page once.
"""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from markupsafe import Markup, escape
from matplotlib import image as pictures

from segdistill.files import inside
from segdistill.reporting.pictures import data_uri

WIDTH = 360.0  # as a chart of 5 inches, so that the text is as large
_GAP = 12.0
_TEXT = 10.0
_LINE = 14.0
_MAP = "viridis"


def embedding_panels(found: Mapping[str, Any], name: str) -> Markup:
    """Draw the embeddings of each network that has places in the plane, two in a row.

    Args:
        found: ``embedding.json``.
        name: prefix of the drawing's ids.
    """
    networks = {one: row for one, row in found["networks"].items() if "x" in row}
    columns = min(2, len(networks))
    side = (WIDTH - _GAP * (columns - 1)) / columns
    parts, top = [], 0.0
    for place, (one, row) in enumerate(networks.items()):
        left = (place % columns) * (side + _GAP)
        top = (place // columns) * (side + _LINE + _GAP) + _LINE
        share = f"{100 * row['neighbour_agreement']:.0f} %"
        parts.append(_text(left, top - 4, one, bold=True))
        parts.append(_text(left + side, top - 4, share, anchor="end"))
        parts.append(_box(left, top, side))
        parts += _dots(row, found, left, top, side)
    legend, bottom = _legend(found, top + side + _GAP + _LINE)
    return _svg([*parts, *legend], bottom)


def affinity_panels(found: Mapping[str, Any], folder: Path, name: str) -> Markup:
    """Draw each point's picture, and over it the map of every network, three in a row.

    Args:
        found: ``affinity.json``.
        folder: of the analyses, where its pictures' names start.
        name: prefix of the drawing's ids.
    """
    width = (WIDTH - 2 * _GAP) / 3
    parts, top = [], 0.0
    for number, point in enumerate(found["points"]):
        height = width * point["size"][0] / point["size"][1]
        key = f"{name}-{number}"
        low = min(row["low"] for row in point["maps"].values())
        source = data_uri(inside(folder, point["input"]))
        parts.append(
            f'<defs><image id="{key}" href="{source}" width="{width:.1f}" '
            f'height="{height:.1f}" preserveAspectRatio="none"/></defs>'
        )
        cells = [(f"{point['class']}, {point['image']}", None), *point["maps"].items()]
        for place, (label, row) in enumerate(cells):
            left = (place % 3) * (width + _GAP)
            y = top + (place // 3) * (height + _LINE + _GAP / 2) + _LINE
            parts.append(_text(left, y - 4, label, bold=row is not None, most=width))
            parts.append(f'<use href="#{key}" x="{left:.1f}" y="{y:.1f}"/>')
            if row is not None:
                parts.append(
                    f'<image href="{_colored(inside(folder, row["file"]), low)}" x="{left:.1f}" '
                    f'y="{y:.1f}" width="{width:.1f}" height="{height:.1f}" opacity="0.72" '
                    'preserveAspectRatio="none"/>'
                )
            across = left + width * (point["column"] + 0.5) / point["grid"][1]
            down = y + height * (point["row"] + 0.5) / point["grid"][0]
            parts.append(_cross(across, down))
        top += -(-len(cells) // 3) * (height + _LINE + _GAP / 2) + _GAP / 2
        parts.append(_scale(top + 2, low, key))
        top += _LINE + _GAP * 1.5
    return _svg(parts, top)


def _dots(
    row: Mapping[str, Sequence[float]],
    found: Mapping[str, Any],
    left: float,
    top: float,
    side: float,
) -> list[str]:
    """Return one path a class; a point is a line of no length with round ends."""
    places = np.array([row["x"], row["y"]], dtype=np.float64)
    middle = (places.max(axis=1) + places.min(axis=1)) / 2
    reach = max(float(np.ptp(places, axis=1).max()), 1e-9)
    placed = (places - middle[:, None]) / reach * (side - 10) + side / 2
    labels = np.array(found["labels"])
    paths = []
    for one, color in enumerate(found["colors"]):
        chosen = placed[:, labels == one].T
        if len(chosen):
            path = "".join(f"M{left + x:.1f} {top + y:.1f}h0" for x, y in chosen)
            paths.append(
                f'<path d="{path}" fill="none" stroke-width="2.8" stroke-linecap="round" '
                f'style="stroke: {_ink(color)}"/>'
            )
    return paths


def _legend(found: Mapping[str, Any], top: float) -> tuple[list[str], float]:
    """Return the classes with their colours, three in a row, and where they end."""
    labels = set(found["labels"])
    known = [one for one in range(len(found["classes"])) if one in labels]
    parts = []
    for place, one in enumerate(known):
        x, y = (place % 3) * WIDTH / 3, top + (place // 3) * _LINE
        color = _ink(found["colors"][one])
        parts.append(f'<circle cx="{x + 4:.1f}" cy="{y - 3.5:.1f}" r="4" style="fill: {color}"/>')
        parts.append(_text(x + 12, y, found["classes"][one], most=WIDTH / 3 - 16))
    return parts, top + (-(-len(known) // 3) - 1) * _LINE + 6


def _ink(color: Sequence[int]) -> str:
    """Return a class's colour, nearer to the text's where it would drown in the paper."""
    red, green, blue = color
    return f"color-mix(in srgb, rgb({red} {green} {blue}) 86%, currentColor)"


def _colored(file: Path, low: float) -> str:
    """Return a grey map in colours, from the lowest value to 1, as a ``data:`` address."""
    values = 2 * np.asarray(pictures.imread(file), dtype=np.float64) - 1
    shares = (values - low) / max(1 - low, 1e-9)
    out = io.BytesIO()
    pictures.imsave(out, mpl.colormaps[_MAP](shares.clip(0, 1)), format="png")
    return f"data:image/png;base64,{base64.b64encode(out.getvalue()).decode('ascii')}"


def _scale(top: float, low: float, key: str) -> str:
    stops = "".join(
        f'<stop offset="{place / 8:g}" stop-color="rgb({red} {green} {blue})"/>'
        for place in range(9)
        for red, green, blue in [[round(255 * c) for c in mpl.colormaps[_MAP](place / 8)[:3]]]
    )
    return (
        f'<defs><linearGradient id="{key}-scale">{stops}</linearGradient></defs>'
        f"{_text(0, top + 8, f'cosine {low:.2f}'.replace('-', '−'))}"
        f'<rect x="76" y="{top:.1f}" width="110" height="9" fill="url(#{key}-scale)"/>'
        f"{_text(192, top + 8, '1')}"
    )


def _cross(x: float, y: float) -> str:
    path = f"M{x - 5:.1f} {y:.1f}h10M{x:.1f} {y - 5:.1f}v10"
    return (
        f'<path d="{path}" fill="none" stroke="black" stroke-width="4"/>'
        f'<path d="{path}" fill="none" stroke="white" stroke-width="2"/>'
    )


def _box(left: float, top: float, side: float) -> str:
    return (
        f'<rect x="{left:.1f}" y="{top:.1f}" width="{side:.1f}" height="{side:.1f}" rx="3" '
        'fill="none" stroke="currentColor" stroke-opacity="0.25"/>'
    )


def _text(
    x: float,
    y: float,
    text: str,
    *,
    anchor: str = "start",
    bold: bool = False,
    most: float | None = None,
) -> str:
    if most is not None and len(text) > (fits := int(most / (0.52 * _TEXT))):
        text = text[: fits - 1] + "…"
    weight = ' font-weight="600"' if bold else ""
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" font-size="{_TEXT:g}" text-anchor="{anchor}"{weight}>'
        f"{escape(text)}</text>"
    )


def _svg(parts: Sequence[str], height: float) -> Markup:
    return Markup(
        f'<svg aria-hidden="true" focusable="false" fill="currentColor" '
        f'viewBox="0 0 {WIDTH:g} {height:.1f}" style="font-family: inherit">'
        f"{''.join(parts)}</svg>"
    )

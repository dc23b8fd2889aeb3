"""Pictures side by side: input, labels and each group's prediction."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from markupsafe import Markup

from segdistill.drawing.embedded import data_uri
from segdistill.image_scores import worst_and_best
from segdistill.reporting.groups import Group
from segdistill.reporting.material import Material
from segdistill.reporting.sections.classes import class_colors
from segdistill.reporting.sections.extremes import extremes, image_scores
from segdistill.runs.analyses import find_picture, read_analysis, using
from segdistill.studies.verdict import points

MOST_PICTURES = 12  # of about 60 kB each
MOST_REMARKABLE = 3  # number of worst, and of best, images of a run
_TEACHER = "teacher"


@dataclass(frozen=True)
class Layer:
    """One layer of a picture: ``input``, ``truth`` or ``prediction``, and its origin."""

    kind: str
    label: str
    source: Markup


@dataclass(frozen=True)
class Picture:
    """Layers of one image of the scored split, and a remark about it."""

    name: str
    layers: Sequence[Layer]
    note: str = ""


def show(material: Material) -> Mapping[str, Any] | None:
    """Return the analysed and the kept pictures without repetition; None if there are none.

    The worst and the best images come first, with a remark.
    """
    notes = remarkable(material)
    analysed = [] if material.folder is None else analysed_pictures(material.folder, material)
    names = {picture.name for picture in analysed}
    kept = [picture for picture in kept_pictures(material.trained) if picture.name not in names]
    pictures = [replace(p, note=notes.get(p.name, "")) for p in [*analysed, *kept]]
    order = {name: rank for rank, name in enumerate(notes)}
    pictures.sort(key=lambda picture: order.get(picture.name, len(order)))
    pictures = pictures[:MOST_PICTURES]
    if not pictures:
        return None
    return {"pictures": pictures, "colors": class_colors(material.groups)}


def remarkable(material: Material) -> dict[str, str]:
    """Return remarks on images, by name, the most remarkable first.

    In a comparison these are the images on which a method gains or loses most; for runs without a
    comparison, the worst and the best of each.
    """
    notes: dict[str, list[str]] = {}
    compared = extremes(material)
    for label, rows in compared.items():
        for row in rows:
            notes.setdefault(row.image, []).append(f"{label} {points(row.change)}")
    if compared:
        return {
            name: f"{', '.join(said)} mIoU points against plain" for name, said in notes.items()
        }
    for group in material.trained:
        scores = image_scores(group.runs[0].folder)
        worst, best = worst_and_best(np.array([*scores.values()]), count=MOST_REMARKABLE)
        names, of = [*scores], f" of {group.label}" if len(material.trained) > 1 else ""
        for word, places in (("worst", worst), ("best", best)):
            for place in places:
                said = f"among the {word}{of}, {100 * scores[names[place]]:.1f} % mIoU"
                notes.setdefault(names[place], []).append(said)
    return {name: "; ".join(said) for name, said in notes.items()}


def kept_pictures(groups: Sequence[Group]) -> list[Picture]:
    """Return the pictures that runs have kept, with the prediction of each group's first run."""
    firsts = [(group.label, group.runs[0].pictures) for group in groups]
    names = list(dict.fromkeys(name for _, pictures in firsts for name in pictures))
    pictures = []
    for name in names[:MOST_PICTURES]:
        files: dict[str, Path] = {}
        for kind in ("input", "truth"):
            known = [
                file for _, kept in firsts for k, file in kept.get(name, {}).items() if k == kind
            ]
            if known:
                files[kind] = known[0]
        guesses = {label: kept[name]["prediction"] for label, kept in firsts if name in kept}
        pictures.append(_picture(name, files, guesses))
    return pictures


def analysed_pictures(folder: Path, material: Material) -> list[Picture]:
    """Return the pictures of worst and best images that an analysis wrote.

    Args:
        folder: the study, cohort or run folder that was analysed.
        material: material of the report.

    Raises:
        RunFolderError: a file of the analysis is broken, or names a picture outside of it.
    """
    pictures = []
    for panel, groups in material.panels.items():
        pair = panel if material.study is not None else ""
        analysis = read_analysis(folder, "images", pair)
        if analysis is None:
            continue
        labels = {group.name: group.label for group in groups}
        with using(folder, analysis):
            for image, names in analysis.values.get("pictures", {}).items():
                files = {kind: find_picture(folder, name) for kind, name in names.items()}
                files = {kind: file for kind, file in files.items() if file.exists()}
                inputs = {kind: files[kind] for kind in ("input", "truth") if kind in files}
                order = dict.fromkeys([_TEACHER, *labels])
                guesses = {labels.get(name, name): files[name] for name in order if name in files}
                if guesses and "input" in inputs:
                    pictures.append(
                        _picture(f"{image}, {pair}" if pair else image, inputs, guesses)
                    )
        if material.study is None:
            break
    return pictures


def _picture(name: str, files: Mapping[str, Path], guesses: Mapping[str, Path]) -> Picture:
    layers = [Layer(kind, kind, data_uri(file)) for kind, file in files.items()]
    layers += [Layer("prediction", label, data_uri(file)) for label, file in guesses.items()]
    return Picture(name, layers)

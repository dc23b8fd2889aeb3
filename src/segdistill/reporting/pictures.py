"""Pictures side by side: input, truth and what each group predicts, inside the page."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from markupsafe import Markup

from segdistill.files import inside, read_json
from segdistill.reporting.groups import Group, panels

MOST_PICTURES = 12  # about 60 kB each
TEACHER = "teacher"
_MEDIA = {".jpg": "image/jpeg", ".jpeg": "image/jpeg", ".png": "image/png", ".webp": "image/webp"}


@dataclass(frozen=True)
class Layer:
    """One layer of a picture: ``input``, ``truth`` or ``prediction``, and where it is from."""

    kind: str
    label: str
    source: Markup


@dataclass(frozen=True)
class Picture:
    """Layers of one image of the scored split."""

    name: str
    layers: Sequence[Layer]


def kept_pictures(groups: Sequence[Group]) -> list[Picture]:
    """Return the pictures that runs kept, with a prediction of each group's first seed."""
    firsts = [(one.label, one.runs[0].pictures) for one in groups]
    names = list(dict.fromkeys(name for _, pictures in firsts for name in pictures))
    found = []
    for name in names[:MOST_PICTURES]:
        files: dict[str, Path] = {}
        for kind in ("input", "truth"):
            known = [kept[name][kind] for _, kept in firsts if kind in kept.get(name, {})]
            if known:
                files[kind] = known[0]
        guesses = {label: kept[name]["prediction"] for label, kept in firsts if name in kept}
        found.append(_picture(name, files, guesses))
    return found


def analysed_pictures(folder: Path, groups: Sequence[Group]) -> list[Picture]:
    """Return the pictures of worst and best images that an analysis wrote.

    Args:
        folder: ``analyses`` of a study or a cohort, with a folder a pair where there are several.
        groups: of the report.
    """
    found = []
    for pair, members in panels(groups).items():
        place = folder / pair
        if not (place / "images.json").exists():
            continue
        for name, files in read_json(place / "images.json")["pictures"].items():
            files = {kind: inside(place, file) for kind, file in files.items()}
            inputs = {kind: files[kind] for kind in ("input", "truth") if kind in files}
            known = {one.name: one.label for one in members}
            order = [name for name in [TEACHER, *known] if name in files]
            guesses = {known.get(name, name): files[name] for name in order}
            inputs = {kind: file for kind, file in inputs.items() if file.exists()}
            guesses = {label: file for label, file in guesses.items() if file.exists()}
            if guesses and "input" in inputs:
                found.append(_picture(f"{name}, {pair}" if pair else name, inputs, guesses))
    return found


def data_uri(file: Path) -> Markup:
    """Return a picture file as a ``data:`` address, its bytes as they are."""
    coded = base64.b64encode(file.read_bytes()).decode("ascii")
    return Markup(f"data:{_MEDIA[file.suffix.lower()]};base64,{coded}")


def _picture(name: str, files: Mapping[str, Path], guesses: Mapping[str, Path]) -> Picture:
    layers = [Layer(kind, kind, data_uri(file)) for kind, file in files.items()]
    layers += [Layer("prediction", label, data_uri(file)) for label, file in guesses.items()]
    return Picture(name, layers)

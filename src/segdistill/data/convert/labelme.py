"""labelme: a JSON file of shapes next to each image."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from segdistill.data.convert.class_files import find_class_file, read_class_file
from segdistill.data.convert.export import Export, name_below_split, split_of
from segdistill.data.convert.polygons import fill_circle, fill_part, fill_polygon, fill_rectangle
from segdistill.data.convert.records import (
    BACKGROUNDS,
    VOID,
    Canvas,
    Drawn,
    Palette,
    Record,
    Size,
    Source,
    check_stated,
    order_classes,
)
from segdistill.data.files.masks import mask_from_bytes
from segdistill.errors import DataError
from segdistill.types import IGNORE_INDEX

Tree = dict[str, Any]


def detect(export: Export) -> str:
    """Return by what the export is recognised, or ""."""
    files = _documents(export)
    return f"{files[0]}, which lists shapes of an image" if files else ""


def read(export: Export, background: str | None) -> Source:
    """Open a folder; shapes are drawn in the order of the file, as labelme2voc does.

    The order of the classes is that of ``labels.txt`` (or another class file) where there is
    one, otherwise that of the alphabet. ``_background_`` is what unlabelled pixels become, and
    ``__ignore__`` has no class.

    Args:
        export: the folder.
        background: class of the pixels that no shape covers.

    Raises:
        DataError: there is no such JSON, or shapes have labels that the class file lacks.

    Source:
        https://github.com/wkentaro/labelme, ``labelme/utils/shape.py``.
    """
    files = _documents(export)
    if not files:
        raise DataError(f"{export.root}: expected JSON files with shapes, got none")
    used = sorted({str(shape.get("label")) for f in files for shape in export.json(f)["shapes"]})
    palette = order_classes(_names(export, used), background)
    records, broken = list[Record](), list[str]()
    for file in files:
        content = export.json(file)
        try:
            image = _image(export, file, content)
        except DataError as error:
            broken.append(f"{export.root / file}: {error}")
            continue
        draw = _drawing(content, palette, export.root / file)
        name = name_below_split(file)
        records.append(Record(name, split_of(file), image, draw, str(file)))
    known = {record.image for record in records}
    written = {file.with_suffix("") for file in export.of(".json")}
    plain = sum(
        export.root / image not in known and image.with_suffix("") not in written
        for image in export.images
    )
    notes = [palette.note()]
    notes += [f"{plain} images without a JSON file are left out"] if plain else []
    return Source(palette.classes, records, [*broken, *_unreadable(export)], notes)


def _documents(export: Export) -> list[Path]:
    return [file for file in export.of(".json") if _is_labelme(export.json(file))]


def _is_labelme(content: Any) -> bool:
    shapes = content.get("shapes") if isinstance(content, dict) else None
    if not isinstance(shapes, list) or "imagePath" not in content:
        return False
    return all(isinstance(shape, dict) and "label" in shape for shape in shapes)


def _unreadable(export: Export) -> list[str]:
    """Return the JSON files next to images that are not labelme's."""
    stems = {image.with_suffix("") for image in export.images}
    return [
        f"{export.root / file}: expected labelme's JSON, got a file that is cut off or another"
        for file in export.of(".json")
        if file.with_suffix("") in stems and not _is_labelme(export.json(file))
    ]


def _names(export: Export, used: list[str]) -> list[str]:
    file = find_class_file(export)
    if file is None:
        return sorted(used, key=lambda name: (name.lower() not in BACKGROUNDS, name))
    names = [row.name for row in read_class_file(export.root / file)]
    lacking = [name for name in used if name not in names and name.lower() not in VOID]
    if lacking:
        raise DataError(
            f"{export.root / file}: expected every label of the shapes, got none for "
            f"{', '.join(lacking[:6])}; add them, or remove the file"
        )
    return [*names, *(name for name in used if name not in names)]


def _image(export: Export, file: Path, content: Tree) -> Path | Callable[[], bytes]:
    try:
        return export.root / export.find_image(str(content["imagePath"]), file.parent)
    except DataError:
        beside = [image for image in export.images if image.with_suffix("") == file.with_suffix("")]
        if len(beside) == 1:
            return export.root / beside[0]
        if content.get("imageData"):
            return lambda: _from_base64(content["imageData"], "imageData")
        raise


def _drawing(content: Tree, palette: Palette, who: Path) -> Callable[[Size], Drawn]:
    def draw(size: Size) -> Drawn:
        check_stated(size, content.get("imageHeight"), content.get("imageWidth"))
        canvas = Canvas(size, palette.unlabelled)
        for shape in content["shapes"]:
            region = _region(shape, size, who)
            if region is None:
                kind = shape.get("shape_type")
                canvas.counts[f"shapes without an area ({kind}), left out"] += 1
            else:
                canvas.paint(region, palette.ids.get(str(shape["label"]), IGNORE_INDEX))
        return canvas.drawn()

    return draw


def _region(shape: Tree, size: Size, who: Path) -> np.ndarray | None:
    kind = shape.get("shape_type") or "polygon"
    try:
        points = [(float(x), float(y)) for x, y in shape["points"]]
    except (KeyError, TypeError, ValueError) as error:
        raise DataError(f"{who}: expected points x, y of each shape, got others") from error
    if kind == "polygon" and len(points) > 2:
        return fill_polygon(size, points)
    if kind == "rectangle" and len(points) == 2:
        return fill_rectangle(size, *points)
    if kind == "circle" and len(points) == 2:
        return fill_circle(size, *points)
    if kind == "mask" and points:
        data = np.frombuffer(_from_base64(str(shape.get("mask")), "mask"), dtype=np.uint8)
        part = mask_from_bytes(np.array(data), who).astype(bool)
        return fill_part(size, part, round(points[0][0]), round(points[0][1]))
    return None


def _from_base64(text: str, what: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise DataError(f"expected {what} in base64, got other text") from error

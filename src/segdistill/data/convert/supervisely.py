"""Supervisely: a JSON file of polygons and bitmaps for each image, classes in ``meta.json``."""

from __future__ import annotations

import base64
import binascii
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from segdistill.data.convert.export import Export, split_of
from segdistill.data.convert.polygons import fill_part, fill_polygon, fill_rectangle
from segdistill.data.convert.records import (
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
from segdistill.data.files.palettes import Color
from segdistill.errors import DataError
from segdistill.types import IGNORE_INDEX

Tree = dict[str, Any]
_MOST_BYTES = 2**28  # of a bitmap, unpacked


def detect(export: Export) -> str:
    """Return by what the export is recognised, or ""."""
    files = _documents(export)
    return f"{files[0]} of an image below img/" if files else ""


def read(export: Export, background: str | None) -> Source:
    """Open a project; objects are drawn in the order of the file, holes left open.

    Args:
        export: the folder.
        background: class of the pixels that no object covers.

    Raises:
        DataError: there are no such files.

    Source:
        https://docs.supervisely.com/customization-and-integration/00_ann_format_navi
    """
    files = _documents(export)
    if not files:
        raise DataError(f"{export.root}: expected ann/*.json beside img/, got none")
    names, colors = _classes(export, files)
    if not names:
        raise DataError(
            f"{export.root / files[0]}: expected objects with a class, got none in any file; "
            "--from masks reads masks_machine/ if the export has it"
        )
    palette = order_classes(names, background, colors)
    records, broken = list[Record](), list[str]()
    for file in files:
        content = export.json(file)
        image = file.parent.parent / "img" / file.stem  # ann/a.jpg.json of img/a.jpg
        if image not in export.images:
            broken.append(f"{export.root / file}: expected an image {image}, got none")
        elif not isinstance(content, dict) or not isinstance(content.get("objects"), list):
            broken.append(f"{export.root / file}: expected a list of objects, got none")
        else:
            draw = _drawing(content, palette, export.root / file)
            name = image.stem
            records.append(Record(name, split_of(file), export.root / image, draw, str(file)))
    return Source(palette.classes, records, broken, [palette.note()])


def _documents(export: Export) -> list[Path]:
    return [
        file
        for file in export.of(".json")
        if file.parent.name == "ann" and any(p.parent.name == "img" for p in export.images)
    ]


def _classes(export: Export, files: list[Path]) -> tuple[list[str], dict[str, Color]]:
    names, colors = list[str](), dict[str, Color]()
    for file in export.named("meta.json")[:1]:
        content = export.json(file)
        for row in content.get("classes", ()) if isinstance(content, dict) else ():
            names.append(str(row["title"]))
            digits = str(row.get("color", "")).lstrip("#")
            if len(digits) == 6:
                colors[names[-1]] = tuple(bytes.fromhex(digits))  # type: ignore[assignment]
    for file in files:
        content = export.json(file)
        objects = content.get("objects", ()) if isinstance(content, dict) else ()
        names += sorted({str(each.get("classTitle")) for each in objects} - set(names))
    distinct = len(set(colors.values())) == len(set(names))
    return names, colors if distinct else {}


def _drawing(content: Tree, palette: Palette, who: Path) -> Callable[[Size], Drawn]:
    def draw(size: Size) -> Drawn:
        stated = content.get("size") or {}
        check_stated(size, stated.get("height"), stated.get("width"))
        canvas = Canvas(size, palette.unlabelled)
        for figure in content["objects"]:
            region = _region(figure, size, who)
            if region is None:
                kind = figure.get("geometryType")
                canvas.counts[f"objects without an area ({kind}), left out"] += 1
            else:
                canvas.paint(region, palette.ids.get(str(figure["classTitle"]), IGNORE_INDEX))
        return canvas.drawn()

    return draw


def _region(figure: Tree, size: Size, who: Path) -> np.ndarray | None:
    kind = figure.get("geometryType")
    try:
        if kind == "bitmap":
            return _bitmap(figure["bitmap"], size, who)
        outer = [(float(x), float(y)) for x, y in figure["points"]["exterior"]]
        inner = [[(float(x), float(y)) for x, y in ring] for ring in figure["points"]["interior"]]
    except (KeyError, TypeError, ValueError) as error:
        raise DataError(f"{who}: expected the points of a {kind}, got others") from error
    if kind == "rectangle" and len(outer) == 2:
        return fill_rectangle(size, *outer)
    if kind != "polygon" or len(outer) < 3:
        return None
    region = fill_polygon(size, outer)
    for ring in inner:
        if len(ring) > 2:
            region &= ~fill_polygon(size, ring)
    return region


def _bitmap(bitmap: Tree, size: Size, who: Path) -> np.ndarray:
    try:
        unpacked = zlib.decompressobj().decompress(base64.b64decode(bitmap["data"]), _MOST_BYTES)
    except (binascii.Error, zlib.error) as error:
        raise DataError(f"{who}: expected a bitmap of packed PNG, got other data") from error
    stored = mask_from_bytes(np.array(np.frombuffer(unpacked, dtype=np.uint8)), who)
    part = stored.max(axis=2) > 0 if stored.ndim == 3 else stored > 0
    left, top = map(int, bitmap["origin"])
    return fill_part(size, part, left, top)

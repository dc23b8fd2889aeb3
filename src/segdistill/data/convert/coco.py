"""COCO polygons and run lengths, drawn by pycocotools."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from segdistill.data.coco_rle import pycocotools, read_runs
from segdistill.data.convert.export import Export, record_name, split_of
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
from segdistill.data.convert.splits import usual_split
from segdistill.errors import DataError

Tree = dict[str, Any]


def detect(export: Export) -> str:
    """Return by what the export is recognised, or ""."""
    files = _documents(export)
    return f"{files[0]}, which lists images, annotations and categories" if files else ""


def read(export: Export, background: str | None) -> Source:
    """Open an export; each JSON file is a separate split.

    Crowds are drawn first, then the other regions from the largest to the smallest, so that
    what lies on something else is seen. Categories are matched by name between the files.

    Args:
        export: the folder.
        background: class of the pixels that no region covers.

    Raises:
        ConfigError: pycocotools is not installed.
        DataError: there is no such JSON, or it names no categories.

    Source:
        Lin et al., "Microsoft COCO: Common Objects in Context", ECCV 2014; the format at
        https://cocodataset.org/#format-data
    """
    masks = pycocotools("convert")
    files = _documents(export)
    if not files:
        raise DataError(
            f"{export.root}: expected JSON with images, annotations and categories, got none"
        )
    names = [
        str(category["name"])
        for file in files
        for category in sorted(export.json(file)["categories"], key=lambda row: int(row["id"]))
    ]
    palette = order_classes(names, background)
    records, broken, notes = list[Record](), list[str](), [palette.note()]
    for file in files:
        content = export.json(file)
        regions: dict[Any, list[Tree]] = defaultdict(list)
        for annotation in content["annotations"]:
            regions[annotation.get("image_id")].append(annotation)
        ids = {row["id"]: palette.ids[str(row["name"])] for row in content["categories"]}
        for image in content["images"]:
            written = str(image.get("file_name"))
            own = regions.pop(image.get("id"), [])
            try:
                found = export.find_image(written, file.parent)
            except DataError as error:
                broken.append(f"{export.root / file}: {error}")
                continue
            split = split_of(file) or usual_split(file.stem) or split_of(found)
            draw = _drawing(image, own, ids, palette, masks, f"{export.root / file}: {written}")
            name = record_name(written, found)
            records.append(Record(name, split, export.root / found, draw, f"{file}: {written}"))
        lost = sum(map(len, regions.values()))
        notes += [f"{file}: {lost} annotations of images that it does not list"] if lost else []
    return Source(palette.classes, records, broken, notes)


def _documents(export: Export) -> list[Path]:
    """Return the JSON files with regions, one per split if COCO itself has several."""
    files = []
    for file in export.of(".json"):
        content = export.json(file)
        lists = isinstance(content, dict) and all(
            isinstance(content.get(key), list) for key in ("images", "annotations", "categories")
        )
        if lists and content["categories"]:
            regions = content["annotations"]
            if not regions or any("segmentation" in region for region in regions[:100]):
                files.append(file)
    instances = [file for file in files if file.name.startswith("instances_")]
    return instances or files


def _drawing(
    image: Tree,
    regions: list[Tree],
    ids: dict[Any, int],
    palette: Palette,
    masks: ModuleType,
    who: str,
) -> Callable[[Size], Drawn]:
    def draw(size: Size) -> Drawn:
        check_stated(size, image.get("height"), image.get("width"))
        canvas = Canvas(size, palette.unlabelled)
        painted = []
        for region in regions:
            if region.get("category_id") not in ids:
                raise DataError(
                    f"{who}: expected a category that the file lists, got "
                    f"{region.get('category_id')!r}"
                )
            mask = _region(region, size, masks, canvas, who)
            if mask is not None:
                crowd = bool(region.get("iscrowd"))
                canvas.counts["crowds, drawn as their class"] += crowd
                painted.append((not crowd, -int(np.count_nonzero(mask)), region, mask))
        for _, _, region, mask in sorted(painted, key=lambda entry: entry[:2]):
            canvas.paint(mask, ids[region["category_id"]])
        return canvas.drawn()

    return draw


def _region(
    region: Tree, size: Size, masks: ModuleType, canvas: Canvas, who: str
) -> np.ndarray | None:
    """Return the pixels of a region, or None if it has no outline that can be drawn."""
    outline = region.get("segmentation")
    if isinstance(outline, list):
        rings = [ring for ring in outline if _is_ring(ring)]
        canvas.counts["polygons of fewer than three points, left out"] += len(outline) - len(rings)
        if not outline:
            canvas.counts["boxes without an outline, left out"] += 1
        if not rings:
            return None
        # pycocotools keeps every point of an outline, and counts them in 32 bits.
        far = max((value for ring in rings for value in ring), key=abs)
        if abs(far) > 2 * max(size):
            raise DataError(f"{who}: expected corners near the image, got {far:g}")
        encoded = masks.frPyObjects([list(map(float, ring)) for ring in rings], *size)
        merged = masks.merge(encoded)
        # COCO's rings add up: one inside another is no hole.
        overlaps = len(rings) > 1 and masks.area(merged) < masks.area(encoded).sum()
        canvas.counts["regions with overlapping rings, which COCO unites (no holes)"] += overlaps
    elif isinstance(outline, dict):
        merged = _run_lengths(outline, size, masks, who)
    else:
        canvas.counts["boxes without an outline, left out"] += 1
        return None
    pixels: np.ndarray = masks.decode(merged).astype(bool)
    return pixels


def _is_ring(ring: object) -> bool:
    if not isinstance(ring, list) or len(ring) < 6 or len(ring) % 2:
        return False
    return all(isinstance(value, int | float) and math.isfinite(value) for value in ring)


def _run_lengths(outline: Tree, size: Size, masks: ModuleType, who: str) -> Any:
    counts = outline.get("counts")
    if list(outline.get("size") or ()) != list(size):
        raise DataError(
            f"{who}: expected run lengths of the image's size {list(size)}, got "
            f"{outline.get('size')}"
        )
    if isinstance(counts, str):
        try:
            counts = read_runs(counts)
        except ValueError as error:
            raise DataError(
                f"{who}: expected compressed run lengths, got others: {error}"
            ) from None
    whole = isinstance(counts, list) and all(isinstance(run, int) and run >= 0 for run in counts)
    if not whole or sum(counts or ()) != size[0] * size[1]:
        raise DataError(f"{who}: expected run lengths that add up to the image, got others")
    return masks.frPyObjects({"size": list(size), "counts": counts}, *size)

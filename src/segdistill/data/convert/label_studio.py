"""Label Studio: brush strokes, polygons and rectangles of JSON exports, and brush PNG files."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import unquote

import numpy as np

from segdistill.data.convert.brush_rle import decode_brush
from segdistill.data.convert.export import Export, split_of
from segdistill.data.convert.polygons import fill_polygon
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
from segdistill.data.files.masks import read_mask
from segdistill.errors import DataError

Tree = dict[str, Any]

_LABELS = ("brushlabels", "polygonlabels", "rectanglelabels", "labels")
_UPLOAD = re.compile(r"[0-9a-f]{8}-(.+)")  # uploads are renamed
# task-3-annotation-7-by-1-tag-car-0.png, of "Brush labels to PNG"
_PNG = re.compile(r"task-(?P<task>\d+)-annotation-(?P<by>\d+-by-[^-]*)-[^-]+-(?P<label>.+)-\d+")


class _Stroke(NamedTuple):
    """One region: its class, and its pixels when the size is known."""

    label: str
    region: Callable[[Size], np.ndarray | None]
    kind: str


class _Task(NamedTuple):
    """One image with its regions; ``written`` is how the export names it."""

    written: str
    strokes: list[_Stroke]
    source: str
    size: tuple[object, object]


def detect(export: Export) -> str:
    """Return by what the export is recognised, or ""."""
    if files := _documents(export):
        return f"{files[0]}, a list of tasks"
    strokes = _brush_files(export)
    return f"{strokes[0]}" if strokes else ""


def read(export: Export, background: str | None) -> Source:
    """Open an export: JSON, JSON-MIN, or the PNG files of the brush.

    Of several annotations of one task the first that was not cancelled is taken. PNG files
    need images whose name is the number of their task (``task-3.jpg`` or ``3.jpg``), or the
    JSON export next to them, which is then read instead.

    Args:
        export: the folder.
        background: class of the pixels that no region covers.

    Raises:
        DataError: there is no such export, or nothing says which image a PNG belongs to.

    Source:
        https://labelstud.io/guide/export and HumanSignal/label-studio-converter, ``brush.py``.
    """
    notes: Counter[str] = Counter()
    tasks = [task for file in _documents(export) for task in _json_tasks(export, file, notes)]
    tasks = tasks or _png_tasks(export)
    if not tasks:
        raise DataError(
            f"{export.root}: expected a JSON export with a list of tasks, or brush PNG files, got "
            "none"
        )
    names = sorted({stroke.label for task in tasks for stroke in task.strokes})
    palette = order_classes(names, background)
    records, broken = list[Record](), list[str]()
    for task in tasks:
        try:
            image = _find_image(export, task.written)
        except DataError as error:
            broken.append(f"{task.source}: {error}")
            continue
        if not task.strokes:
            notes["images without a region, left out"] += 1
            continue
        draw = _drawing(task, palette)
        records.append(Record(image.stem, split_of(image), export.root / image, draw, task.source))
    said = [f"{count} {what}" for what, count in notes.items() if count]
    return Source(palette.classes, records, broken, [palette.note(), *said])


def _documents(export: Export) -> list[Path]:
    return [file for file in export.of(".json") if _is_tasks(export.json(file))]


def _is_tasks(content: Any) -> bool:
    if not isinstance(content, list) or not content or not isinstance(content[0], dict):
        return False
    first = content[0]
    full = isinstance(first.get("data"), dict) and isinstance(first.get("annotations"), list)
    small = "annotation_id" in first and "annotator" in first
    return full or small


def _json_tasks(export: Export, file: Path, notes: Counter[str]) -> Iterable[_Task]:
    for place, task in enumerate(export.json(file)):
        who = f"{export.root / file}: task {task.get('id', place)}"
        if isinstance(task.get("data"), dict):
            made = [a for a in task["annotations"] if not a.get("was_cancelled")]
            notes["tasks with several annotations, of which the first is used"] += len(made) > 1
            results = made[0].get("result", ()) if made else ()
            texts = [v for v in task["data"].values() if isinstance(v, str)]
            written = str(task["data"].get("image") or next(iter(texts), ""))
        else:
            texts = [v for v in task.values() if isinstance(v, str)]
            written = str(task.get("image") or next(iter(texts), ""))
            results = [r for v in task.values() if isinstance(v, list) for r in v]
        strokes = list[_Stroke]()
        size: tuple[object, object] = (None, None)
        for result in results:
            if isinstance(result, dict):
                stroke = _stroke(result, who)
                strokes += [stroke] if stroke is not None else []
                size = result.get("original_height"), result.get("original_width")
        yield _Task(written, strokes, who, size)


def _stroke(result: Tree, who: str) -> _Stroke | None:
    inner = result.get("value")
    value: Tree = inner if isinstance(inner, dict) else result
    labels = next((value[key] for key in _LABELS if value.get(key)), None)
    if not labels:
        return None  # of a choice, a rating, a relation
    label = str(labels[0])
    if "rle" in value:

        def brush(size: Size) -> np.ndarray:
            try:
                return decode_brush(value["rle"], size)
            except (TypeError, ValueError) as error:
                raise DataError(f"{who}: {error}; export it again") from error

        return _Stroke(label, brush, "brush")
    if "points" in value:
        corners = value["points"]
    elif "width" in value:
        left, top = value["x"], value["y"]
        right, bottom = left + value["width"], top + value["height"]
        corners = [(left, top), (right, top), (right, bottom), (left, bottom)]
    else:
        return _Stroke(label, lambda size: None, str(result.get("type")))
    if value.get("rotation"):
        return _Stroke(label, lambda size: None, "rotated rectangle")

    def polygon(size: Size) -> np.ndarray:
        # Per cent of the image's sides.
        points = [(x * size[1] / 100, y * size[0] / 100) for x, y in corners]
        return fill_polygon(size, points)

    return _Stroke(label, polygon if len(corners) > 2 else lambda size: None, "polygon")


def _brush_files(export: Export) -> list[Path]:
    return [file for file in export.images if _PNG.fullmatch(file.stem)]


def _png_tasks(export: Export) -> list[_Task]:
    tasks: dict[str, dict[str, list[_Stroke]]] = {}
    for file in _brush_files(export):
        match = _PNG.fullmatch(file.stem)
        if match is None:
            continue
        path = export.root / file

        def brush(size: Size, path: Path = path) -> np.ndarray:
            stored = read_mask(path)
            if stored.shape != size:
                raise DataError(f"{path}: expected a stroke of {size}, got {stored.shape}")
            covered: np.ndarray = stored > 0
            return covered

        by = tasks.setdefault(match["task"], {}).setdefault(match["by"], [])
        by.append(_Stroke(match["label"], brush, "brush"))
    return [
        _Task(f"task-{number}", next(iter(made.values())), f"task {number}", (None, None))
        for number, made in tasks.items()
    ]


def _find_image(export: Export, written: str) -> Path:
    if re.fullmatch(r"task-\d+", written):
        stems = (written, written.removeprefix("task-"))
        images = [image for image in export.images if image.stem in stems]
        if len(images) == 1:
            return images[0]
        raise DataError(
            f"expected an image {written}.jpg or {stems[1]}.jpg for the brush's PNG files, got "
            f"{len(images)}; name the images like this, or put the JSON export of the project "
            "beside them"
        )
    local = unquote(written).replace("/data/local-files/?d=", "")
    try:
        return export.find_image(local)
    except DataError:
        upload = _UPLOAD.fullmatch(Path(local).name)
        if upload is None:
            raise
        return export.find_image(upload[1])


def _drawing(task: _Task, palette: Palette) -> Callable[[Size], Drawn]:
    def draw(size: Size) -> Drawn:
        check_stated(size, *task.size)
        canvas = Canvas(size, palette.unlabelled)
        for stroke in task.strokes:
            region = stroke.region(size)
            if region is None:
                canvas.counts[f"regions without an area ({stroke.kind}), left out"] += 1
            else:
                canvas.paint(region, palette.ids[stroke.label])
        return canvas.drawn()

    return draw

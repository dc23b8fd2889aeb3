"""A folder for a model hub: weights, exported files, and a card that describes them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import yaml

from segdistill.api.export import Exported
from segdistill.files import claim, write_whole
from segdistill.runs.layout import STUDENT
from segdistill.runs.result import Result, has_result, read_result
from segdistill.runs.settings import has_settings, read_settings
from segdistill.runs.student import read_student
from segdistill.training.finished_run import find_run

CARD, CONFIG = "README.md", "config.json"
_MAKER = "export --hub"


def write_hub_folder(
    folder: str | Path, run: str | Path, exported: Sequence[Exported] = ()
) -> list[Path]:
    """Write the files for a model hub: ``README.md``, ``config.json`` and ``model.safetensors``.

    ``segdistill.load(folder)`` reads it back. Nothing is uploaded.

    Args:
        folder: folder to write to; made if it does not exist.
        run: a run folder, or a safetensors file written by a run.
        exported: exported files of the run; those in the folder are listed on its card.

    Returns:
        The files written.

    Raises:
        OverwriteError: a file exists that was not written by this function.
        RunFolderError: the folder contains no finished run.
    """
    folder, files = Path(folder), find_run(run)
    student = read_student(files.weights)
    result = read_result(files.folder) if has_result(files.folder) else None
    settings = read_settings(files.folder) if has_settings(files.folder) else {}
    here = [made for made in exported if made.file.parent == folder]
    config = {
        "library_name": "segdistill",
        "segdistill": version("segdistill"),
        "network": dict(student.network),
        "id2label": dict(enumerate(student.classes)),
        "colors": student.colors,
        "evaluation": settings.get("evaluation"),
    }
    targets = [folder / name for name in (CARD, CONFIG, STUDENT)]
    claim(_MAKER, targets, reads=[files.weights])
    folder.mkdir(parents=True, exist_ok=True)
    contents: tuple[str | bytes, ...] = (
        _card(files.name, student.classes, result, settings, here),
        json.dumps(config, indent=2) + "\n",
        files.weights.read_bytes(),
    )
    for target, content in zip(targets, contents, strict=True):
        write_whole(target, content, made_by=_MAKER)
    return targets


def _card(
    name: str,
    classes: Sequence[str],
    result: Result | None,
    settings: dict[str, Any],
    exported: Sequence[Exported],
) -> str:
    """Return the card: metadata as YAML, then a description."""
    dataset = settings.get("data", {}).get("dataset")
    metadata: dict[str, Any] = {
        "library_name": "segdistill",
        "pipeline_tag": "image-segmentation",
        "tags": ["semantic-segmentation", "knowledge-distillation"],
    }
    lines = [f"# {name}", "", f"A semantic-segmentation network for {len(classes)} classes: "]
    lines[-1] += f"{', '.join(classes)}."
    if result is not None:
        teacher = (settings.get("teacher") or {}).get("network")
        method = f"distilled by {result.method}" if result.method != "plain" else "trained"
        of = f" from {teacher}" if teacher and result.method != "plain" else ""
        lines += ["", f"It was {method}{of} on {dataset}, {result.step} steps, seed {result.seed}."]
        lines += ["", "## Scores", "", f"mIoU {100 * result.miou:.2f} %, pixel accuracy "]
        lines[-1] += f"{100 * result.pixel_accuracy:.2f} % on {result.split}"
        lines[-1] += f" ({result.images} images)." if result.images is not None else "."
        lines += ["", "| class | IoU % |", "|---|---|"]
        lines += [
            f"| {label} | {'absent' if value is None else f'{100 * value:.2f}'} |"
            for label, value in result.iou.items()
        ]
        metadata["model-index"] = [_index(name, result, dataset)]
    if exported:
        lines += ["", "## Files", "", "| file | mIoU % | same class % | MiB | ms per image |"]
        lines += ["|---|---|---|---|---|", *map(_row, exported)]
    lines += ["", "## Use", "", "```python", "import segdistill", ""]
    lines += ['segdistill.load("path/to/this/folder").predict("photo.jpg").mask', "```", ""]
    lines += ["Scores hold for images like those it was scored on, at that size. Colours and "]
    lines[-1] += "the network's settings are in `config.json`."
    return f"---\n{yaml.safe_dump(metadata, sort_keys=False)}---\n\n" + "\n".join(lines) + "\n"


def _index(name: str, result: Result, dataset: str | None) -> dict[str, Any]:
    metric = {"type": "mean_iou", "value": round(100 * result.miou, 2), "name": "mIoU %"}
    data = {"name": dataset, "type": dataset, "split": result.split}
    task = {"type": "image-segmentation", "name": "semantic segmentation"}
    return {"name": name, "results": [{"task": task, "dataset": data, "metrics": [metric]}]}


def _row(made: Exported) -> str:
    score = made.score
    miou, same = ("–", "–") if score is None else (f"{100 * score.miou:.2f}", "")
    if score is not None:
        same = f"{100 * score.agreement:.2f}"
    single = made.timings.get(1)
    ms = "–" if single is None else f"{single['file'].median_ms:.1f} (one thread)"
    return f"| `{made.file.name}` | {miou} | {same} | {made.mib:.2f} | {ms} |"

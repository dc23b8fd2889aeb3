"""Init: look at a folder of images and masks, and write a config for it."""

from __future__ import annotations

import json
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from segdistill.data.convert.detection import convert_command, detect
from segdistill.data.convert.export import Export
from segdistill.data.convert.published import refuse_published
from segdistill.data.files.classes import read_classes
from segdistill.data.reading_plan import Plan, plan_folder, plan_list, relative_to_root
from segdistill.data.survey import Survey, survey
from segdistill.errors import DataError
from segdistill.files import claim, write_whole

_LARGEST_CROP = 512
_STRIDE = 32  # of the networks; crops are multiples of it
_BATCH = 8
_EPOCHS = 60


@dataclass(frozen=True)
class Proposal:
    """A config that was written.

    Attributes:
        files: the files written, the config first.
        found: description of the folder's contents, in lines.
    """

    files: tuple[Path, ...]
    found: tuple[str, ...]


def init(folder: str | Path, out: str | Path = "config.yaml") -> Proposal:
    """Write a commented config for a folder of images and masks.

    Masks are recognised by words in their paths and splits by their folders. Without splits,
    blocks of neighbouring images are proposed as val, so that frames of a video do not leak.
    Nothing in the folder is changed; further files that the config needs are written next to it.

    Example::

        print("\\n".join(segdistill.init("photos", "photos.yaml").found))

    Args:
        folder: images and masks in one of the usual layouts.
        out: config to write.

    Returns:
        What was found and written.

    Raises:
        DataError: the folder is an export that has to be converted (the command is named), a
            public dataset that needs no config of its own, or contains no images with masks.
        OverwriteError: the file already exists.
    """
    export, config = Export(Path(folder)), Path(out)
    tables = config.with_suffix(".csv"), config.with_suffix(".classes.txt")
    refuse_published("init", export)
    signs = detect(export)
    if signs:
        raise DataError(
            f"{export.root}: expected images and masks, got an export that has to be converted "
            f"({signs}); {convert_command(export.root)}"
        )
    claim("init", [config], recorded=False)
    seen = survey(export)
    beside: dict[Path, str] = {}
    classes = "classes.txt"
    if not _reads_classes(export, seen):
        beside[tables[1]] = _class_lines(seen)
        classes = relative_to_root(tables[1], export.root)
    plan = plan_folder(export, seen, classes)
    if plan is None:
        plan, beside[tables[0]] = plan_list(export, seen, tables[0], classes)
    claim("init", beside, recorded=False)
    found = tuple(_describe(seen, plan))
    config.parent.mkdir(parents=True, exist_ok=True)
    # They are not marked as ours, because they are to be edited and never overwritten.
    for file, text in {**beside, config: _config(export, seen, plan, found, config)}.items():
        write_whole(file, text)
    return Proposal((config, *beside), found)


def _reads_classes(export: Export, seen: Survey) -> bool:
    """Return whether the config can use the folder's ``classes.txt`` unchanged."""
    if seen.class_file != Path("classes.txt"):
        return False
    try:
        names = read_classes(export.root / "classes.txt")[0].names
    except DataError:
        return False
    return names == tuple(row.name for row in seen.rows)


def _class_lines(seen: Survey) -> str:
    lines = [
        " ".join(map(str, (row.name.replace(",", " "), *(row.color or ())))) for row in seen.rows
    ]
    return (
        "# one class per line, in the order of the ids; replace the values by names\n"
        + "\n".join(lines)
        + "\n"
    )


def _describe(seen: Survey, plan: Plan) -> list[str]:
    counts = ", ".join(f"{count} {split}" for split, count in sorted(plan.counts.items()))
    sizes = ", ".join(f"{count} of {size}" for size, count in list(seen.sizes.items())[:4])
    more = f" and {len(seen.sizes) - 4} more sizes" if len(seen.sizes) > 4 else ""
    lines = [
        f"layout: {plan.layout}",
        f"images with masks: {len(seen.matches)} ({counts})",
        f"splits: {plan.how}",
        f"sizes: {sizes}{more}",
        f"classes: {seen.class_file or 'no file names them, so they are named by their values'}",
    ]
    colored = seen.rows[0].color is not None and any(isinstance(v, tuple) for v in seen.values)
    for index, row in enumerate(seen.rows):
        value = row.color if colored and row.color is not None else row.stored
        shown = " ".join(map(str, value)) if isinstance(value, tuple) else str(value)
        share = seen.share(value)
        if isinstance(value, tuple) and len(set(value)) == 1:
            share += seen.share(value[0])  # greys were counted as numbers
        lines.append(f"  {index} {row.name} (stored as {shown}): {100 * share:.2f} % of pixels")
    if not colored and not seen.is_binary:
        lines.append(f"  255, no class: {100 * seen.share(255):.2f} % of pixels")
    if seen.alike is not None:
        kind = "frames of a video, kept in blocks" if seen.is_video else "not a video"
        lines.append(
            f"neighbouring images differ {seen.alike:.2f} times as much as distant ones: {kind}"
        )
    return [*lines, *seen.notes]


def _config(export: Export, seen: Survey, plan: Plan, found: Sequence[str], config: Path) -> str:
    """Return the config's text, with a reason for every chosen value."""
    height, width = map(int, next(iter(seen.sizes)).split("×"))
    crop = [max(_STRIDE, min(_LARGEST_CROP, side) // _STRIDE * _STRIDE) for side in (height, width)]
    train = plan.counts.get(str(plan.data.get("train_split", "train")), 1)
    batch = min(_BATCH, train)
    steps = min(20_000, max(1_000, round(_EPOCHS * train / batch, -2)))
    data = "".join(
        f"  {key}: {json.dumps(value, ensure_ascii=False)}\n" for key, value in plan.data.items()
    )
    name = shlex.quote(str(config))
    teacher = f"runs/{config.stem}-teacher"
    return f"""\
# What segdistill init found in {export.root}:
{"".join(f"#   {line}{chr(10)}" for line in found)}#
# 1. Look:       segdistill check {name} --data
# 2. A teacher:  segdistill train {name} student.network=deeplabv3 student.backbone=resnet18 \\
#                    student.output_stride=16 --out {teacher}
# 3. A student:  segdistill distill {name} teacher.weights={teacher}/model.safetensors
#
# For all keys: segdistill recipes copy reference
data:
{data}  batch_size: {batch}
  crop: {crop} # height and width; most images are {height}×{width}
  scale: [0.5, 2.0] # drawn at random for each crop
  jitter: 0.3
teacher: # needs weights: train it first, as in step 2
  network: deeplabv3
  backbone: resnet18
  output_stride: 16
  weights: null # {teacher}/model.safetensors
student: # pretrained: true starts from timm's ImageNet weights, which are downloaded
  network: lraspp
  backbone: mobilenetv2_035
  output_stride: 16
  width: 64
distill:
  - {{loss: pixelwise_kl, weight: 1.0}}
training:
  steps: {steps} # each training image about {steps * batch / train:.0f} times
  lr: 0.05
  warmup_steps: 50
evaluation:
  split: {plan.split}
"""

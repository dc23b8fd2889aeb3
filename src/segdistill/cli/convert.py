"""``segdistill convert``: what an annotation tool exported, as a plain folder."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from segdistill.catalogue.conversions import CONVERSIONS
from segdistill.cli.words import Json

if TYPE_CHECKING:
    from segdistill.api.convert import Conversion

    Export = str
else:
    Export = Literal[tuple(CONVERSIONS)]

_NAMED = 10


def convert(
    source: Annotated[Path, typer.Argument(help="Folder of the export.")],
    out: Annotated[Path, typer.Option("--out", help="Folder to make.")],
    kind: Annotated[
        Export | None,
        typer.Option("--from", help="Its format, recognised by its files if left out."),
    ] = None,
    background: Annotated[
        str | None,
        typer.Option("--background", help="Class to make of pixels that nobody labelled."),
    ] = None,
    json: Json = False,
) -> None:
    """Make a plain folder of what an annotation tool exported.

    The folder has images, masks and classes.txt. Read are CVAT, labelme, Label Studio, Roboflow,
    Supervisely, COCO, COCO panoptic, Kaggle's CamVid, trees like Pascal VOC's, Parquet of the
    Hugging Face hub, and any images with masks. What cannot be read is named at the end, and the
    exit code is 1.

    Example: segdistill convert export --out own
    """
    from segdistill.api.convert import convert as verb
    from segdistill.cli.progress import display

    with display() as tell:
        made = verb(source, out, format=kind, background=background, tell=tell)
    if json:
        from json import dumps

        print(dumps({"format": made.format, **made.written.as_json()}))
    else:
        _print(made, out)
    if made.written.broken:
        raise typer.Exit(1)


def _print(made: Conversion, out: Path) -> None:
    written = made.written
    print(f"format {made.signs or made.format}")
    for note in written.notes:
        print(f"  {note}")
    images = ", ".join(f"{count} {split}" for split, count in sorted(written.images.items()))
    print(f"{out}: {images or 'no'} images")
    total = max(1, sum(written.pixels.values()) + written.ignored_pixels)
    width = max(map(len, [*written.pixels, "no class"]))
    for index, (name, pixels) in enumerate(written.pixels.items()):
        color = "#{:02x}{:02x}{:02x}".format(*written.classes.colors[index])
        print(f"  {index:3} {name.ljust(width)} {color} {100 * pixels / total:6.2f} % of pixels")
    print(f"  255 {'no class'.ljust(width)}         {100 * written.ignored_pixels / total:6.2f} %")
    for what, count in written.counts.items():
        print(f"{count} {what}")
    if written.unused:
        print(f"never used: {', '.join(written.unused)}; take them out if they are no classes")
    if written.only_class:
        print(
            f"warning: only {written.only_class} has pixels, and every network predicts it "
            "everywhere; --background NAME makes a class of all other pixels"
        )
    for line in written.broken[:_NAMED]:
        print(f"fault: {line}")
    if len(written.broken) > _NAMED:
        print(f"fault: and {len(written.broken) - _NAMED} more; --json lists all")
    if written.broken:
        rest = "the rest was written" if written.images else "nothing was written"
        print(f"{len(written.broken)} faults; {rest}")
    if written.images:
        print(f"next: {shlex.join(['segdistill', 'init', str(out)])}")

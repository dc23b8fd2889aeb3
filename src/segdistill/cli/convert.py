"""``segdistill convert``: an annotation tool's export as a plain folder."""

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
        typer.Option("--from", help="Its format; by default recognised by its files."),
    ] = None,
    background: Annotated[
        str | None,
        typer.Option("--background", help="Class for unlabelled pixels; by default 255 (ignored)."),
    ] = None,
    json: Json = False,
) -> None:
    """Convert an annotation tool's export to a plain folder.

    The folder contains images, masks and classes.txt. CVAT, labelme, Label Studio, Roboflow,
    Supervisely, COCO, COCO panoptic, Kaggle's CamVid, folders like Pascal VOC's, Parquet files of
    the Hugging Face hub, and any images with masks can be read. Files that cannot be read are
    listed at the end, and the exit code is 1.

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
        print(f"never used: {', '.join(written.unused)}; remove them if they are not classes")
    if written.only_class:
        print(
            f"warning: only {written.only_class} has pixels, so that networks will predict it "
            "everywhere; --background NAME makes a class of all other pixels"
        )
    for line in written.broken[:_NAMED]:
        print(f"fault: {line}")
    if len(written.broken) > _NAMED:
        print(f"fault: and {len(written.broken) - _NAMED} more; --json lists all")
    if written.broken:
        rest = "everything else was written" if written.images else "nothing was written"
        print(f"{len(written.broken)} faults; {rest}")
    if written.images:
        print(f"next: {shlex.join(['segdistill', 'init', str(out)])}")

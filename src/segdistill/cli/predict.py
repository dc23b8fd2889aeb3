"""``segdistill predict``: masks for image files or for a split."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from segdistill.catalogue.predictions import Format
from segdistill.cli.words import Json, Model, Trust


def predict(
    run: Model,
    images: Annotated[
        list[str] | None,
        typer.Argument(
            help="Image files, folders, videos, camera:0, or KEY=VALUE to change the run's config."
        ),
    ] = None,
    out: Annotated[Path, typer.Option("--out", help="Folder to write to.")] = Path("predictions"),
    split: Annotated[
        str | None, typer.Option(help="A split of the run's dataset, instead of images.")
    ] = None,
    kind: Annotated[
        Format, typer.Option("--format", help="Pictures, or the format of a test server.")
    ] = "color",
    confidence: Annotated[
        float,
        typer.Option(
            min=0.0, help="Minimum probability; other pixels become 255 (--format ids or coco)."
        ),
    ] = 0.0,
    frames: Annotated[
        int | None, typer.Option(min=1, help="Maximum frames to read of a video or camera.")
    ] = None,
    recursive: Annotated[bool, typer.Option("--recursive", help="Also search subfolders.")] = False,
    classes: Annotated[
        Path | None,
        typer.Option(help="Class file, for an exported file of another tool without class names."),
    ] = None,
    trust: Trust = None,
    json: Json = False,
) -> None:
    """Write a student's predictions, as pictures or for a test server.

    Neither the images read nor files that predict did not write are overwritten.

    Example: segdistill predict runs/student-1 photos --out predictions --format overlay

    Example: segdistill predict student.int8.onnx "photos/*.jpg"

    Example: segdistill predict student.onnx drive.mp4 --format overlay

    Example: segdistill predict runs/teacher photos --format ids --confidence 0.9

    Example: segdistill predict runs/student-1 --split test --format cityscapes
    """
    from json import dumps

    from segdistill.catalogue.formats import is_exported
    from segdistill.errors import ConfigError
    from segdistill.training.finished_run import CheckedRun, check_run, find_run

    words = [word for word in images or () if "=" in word and not Path(word).exists()]
    sources = [Path(word) for word in images or () if word not in words]
    checked: Path | CheckedRun = run
    if is_exported(run):
        if words or split is not None:
            raise ConfigError(
                f"predict: expected images for {run}, which belongs to no dataset, got "
                f"{words[0] if words else '--split'}; name image files or folders"
            )
    elif find_run(run).has_config or words:
        checked = check_run(run, words, trust or ())
    from segdistill.api.predict import predict as verb
    from segdistill.cli.progress import display
    from segdistill.data.files.classes import read_classes

    with display() as tell:
        written = verb(
            checked,
            sources,
            out,
            split=split,
            kind=kind,
            recursive=recursive,
            confidence=confidence,
            frames=frames,
            classes=None if classes is None else read_classes(classes)[0],
            trust=trust or (),
            tell=tell,
        )
    if json:
        print(dumps([str(file) for file in written]))
    else:
        print(f"{len(written)} predictions written to {out}")

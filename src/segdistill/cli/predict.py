"""``segdistill predict``: masks for image files, or for a split."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

import typer

from segdistill.cli.words import Json, Run, Trust

if TYPE_CHECKING:
    from segdistill.data.submission import Format


def predict(
    run: Run,
    images: Annotated[
        list[str] | None,
        typer.Argument(help="Image files, folders of them, or KEY=VALUE on the run's config."),
    ] = None,
    out: Annotated[Path, typer.Option("--out", help="Folder to write to.")] = Path("predictions"),
    split: Annotated[str | None, typer.Option(help="A split of the run's dataset instead.")] = None,
    kind: Annotated[
        str, typer.Option("--format", help="color, overlay, cityscapes, ade20k or voc.")
    ] = "color",
    recursive: Annotated[
        bool, typer.Option("--recursive", help="Also search the folders inside folders.")
    ] = False,
    trust: Trust = None,
    json: Json = False,
) -> None:
    """Write what a student predicts, as pictures or for a server.

    Nothing is written over an image that is read, or over a file that predict did not write.

    Example: segdistill predict runs/student-1 photos --out predictions --format overlay

    Example: segdistill predict runs/student-1 --split test --format cityscapes
    """
    from json import dumps

    from segdistill.api.places import CheckedRun, check_run, find_run

    words = [word for word in images or () if "=" in word and not Path(word).exists()]
    sources = [Path(word) for word in images or () if word not in words]
    checked: Path | CheckedRun = run
    if find_run(run).has_config or words:
        checked = check_run(run, words, trust or ())
    from segdistill.api import scoring
    from segdistill.cli.progress import display

    with display() as tell:
        written = scoring.predict(
            checked,
            sources,
            out,
            split=split,
            kind=cast("Format", kind),
            recursive=recursive,
            trust=trust or (),
            tell=tell,
        )
    if json:
        print(dumps([str(file) for file in written]))
    else:
        print(f"{len(written)} predictions written to {out}")

"""``segdistill export``: a student as a file that other programs run."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from segdistill.catalogue.formats import FORMATS
from segdistill.cli.words import Json, Overrides, Run, Trust, parse_size

if TYPE_CHECKING:
    Format = str
else:
    Format = Literal[tuple(FORMATS)]


def export(
    run: Run,
    overrides: Overrides = None,
    kind: Annotated[
        Format, typer.Option("--format", help="Of the file: segdistill list formats.")
    ] = "onnx",
    out: Annotated[
        Path | None,
        typer.Option("--out", help="File to write; student.* in the run folder by default."),
    ] = None,
    size: Annotated[
        str | None,
        typer.Option(help="Size to trace with, as in 512x1024; the file runs at others too."),
    ] = None,
    static: Annotated[
        bool, typer.Option("--static", help="One image of that size only, nothing else.")
    ] = False,
    trust: Trust = None,
    json: Json = False,
) -> None:
    """Write a student for other programs, compared with its network.

    Example: segdistill export runs/student-1 --format onnx --out student.onnx
    """
    from dataclasses import asdict
    from json import dumps

    from segdistill.api.folders import check_run, find_run

    traced = None if size is None else parse_size(size)
    words, checked = overrides or (), None
    if find_run(run).has_config or words:
        checked = check_run(run, words, trust or ())
    from segdistill.api.export import export as verb

    made = verb(checked or run, out, format=kind, size=traced, static=static, trust=trust or ())
    if json:
        print(
            dumps({"file": str(made.file), "parity": [asdict(at_size) for at_size in made.parity]})
        )
        return
    print(f"{made.file} written, {made.file.stat().st_size / 2**20:.2f} MiB; against the network:")
    for at_size in made.parity:
        print(
            f"  {at_size.size[0]}x{at_size.size[1]}: logits within "
            f"{at_size.largest_difference:.2g}, "
            f"{100 * at_size.agreement:.3f} % of the pixels in the same class"
        )
    print(f"next: segdistill bench latency {run}")

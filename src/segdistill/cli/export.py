"""``segdistill export``: a student as a file that other programs run."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from segdistill.catalogue.formats import FORMATS
from segdistill.cli.words import Json, Run, Trust, parse_size
from segdistill.errors import ConfigError


def export(
    run: Run,
    kind: Annotated[str, typer.Option("--format", help=f"One of: {', '.join(FORMATS)}.")] = "onnx",
    out: Annotated[
        Path | None, typer.Option("--out", help="File; student.onnx in the run folder.")
    ] = None,
    size: Annotated[
        str | None, typer.Option(help="Image to trace with, as 512x1024; others run too.")
    ] = None,
    static: Annotated[
        bool, typer.Option("--static", help="One image of that size only, nothing else.")
    ] = False,
    trust: Trust = None,
    json: Json = False,
) -> None:
    """Write a student as ONNX, compared with its network.

    Example: segdistill export runs/student-1 --format onnx --out student.onnx
    """
    from dataclasses import asdict
    from json import dumps

    from segdistill.api.places import find_run
    from segdistill.checks import nearest

    if kind not in FORMATS:
        raise ConfigError(f"--format: there is no format '{kind}'; {nearest(kind, FORMATS)}")
    traced = None if size is None else parse_size(size)
    find_run(run)
    from segdistill.api import delivery

    made = delivery.export(run, out, size=traced, static=static, trust=trust or ())
    if json:
        print(dumps({"file": str(made.file), "parity": [asdict(one) for one in made.parity]}))
        return
    print(f"{made.file} written, {made.file.stat().st_size / 2**20:.2f} MiB; against the network:")
    for one in made.parity:
        print(
            f"  {one.size[0]}x{one.size[1]}: logits within {one.largest_difference:.2g}, "
            f"{100 * one.agreement:.3f} % of the classes equal"
        )
    print(f"next: segdistill bench latency {run}")

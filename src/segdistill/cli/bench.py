"""``segdistill bench``: what networks cost."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from segdistill.cli.words import Config, Json, Overrides, parse_size

Size = Annotated[str, typer.Option("--size", help="Height and width of the image.")]


def cost(
    config: Config, overrides: Overrides = None, size: Size = "512x1024", json: Json = False
) -> None:
    """Count parameters, multiply-adds and FLOPs of teacher and student.

    Example: segdistill bench cost camvid/students --size 360x480
    """
    from json import dumps

    from segdistill import verbs

    found = verbs.cost(config, parse_size(size), overrides=overrides or ())
    if json:
        print(dumps({name: asdict(value) for name, value in found.items()}))
        return
    print(f"{'':12}{'params M':>12}{'GMACs':>12}{'GFLOPs':>12}   at {size}")
    for name, value in found.items():
        print(f"{name:12}{value.params_m:12.3f}{value.gmacs:12.2f}{value.gflops:12.2f}")


def latency(
    run: Annotated[Path, typer.Argument(help="A run folder.")],
    size: Size = "512x1024",
    threads: Annotated[int, typer.Option(help="CPU threads.")] = 1,
    device: Annotated[str, typer.Option(help="cpu or cuda.")] = "cpu",
    json: Json = False,
) -> None:
    """Time the student of a run, one image at a time.

    Example: segdistill bench latency runs/student-1 --size 512x1024 --threads 1
    """
    from json import dumps

    from segdistill import verbs

    found = verbs.latency(run, parse_size(size), threads=threads, device=device)
    if json:
        print(dumps([asdict(value) for value in found]))
        return
    print(f"{found[0].device}, {threads} threads, {size}, median of {found[0].passes} passes")
    for value in found:
        spread = f"{value.low_ms:.1f} to {value.high_ms:.1f}"
        print(
            f"{value.precision}: {value.median_ms:.1f} ms ({spread}), {value.images_per_second:.1f} images/s"
        )

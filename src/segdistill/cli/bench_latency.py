"""``segdistill bench latency``: milliseconds per image."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from segdistill.cli.words import Json, Overrides, Size, Trust, check_config, parse_size
from segdistill.errors import ConfigError

if TYPE_CHECKING:
    from segdistill.config.loading import LoadedConfig
    from segdistill.delivery.latency import Latency


def bench_latency(
    source: Annotated[
        str, typer.Argument(help="A run folder or its weights; or a YAML file or recipe.")
    ],
    overrides: Overrides = None,
    size: Size = "512x1024",
    threads: Annotated[int, typer.Option(help="CPU threads.", min=1)] = 1,
    device: Annotated[
        Literal["cpu", "cuda", "auto"], typer.Option(help="Device; auto: a GPU if there is one.")
    ] = "cpu",
    passes: Annotated[int, typer.Option(help="Number of timed forward passes.", min=1)] = 20,
    compiled: Annotated[
        bool, typer.Option("--compile/--no-compile", help="Also try torch.compile.")
    ] = True,
    trust: Trust = None,
    json: Json = False,
) -> None:
    """Time networks, one image at a time.

    Each is timed in float32, channels last, in bfloat16 and with torch.compile. The networks of a
    config take turns, so that whatever slows down the machine slows down all of them.

    Example: segdistill bench latency runs/student-1 --size 512x1024 --threads 1
    """
    from json import dumps

    from segdistill.runs.result import BUSY

    pixels = parse_size(size)
    path = Path(source)
    checked: str | LoadedConfig = source
    if path.is_dir() or path.suffix == ".safetensors":
        from segdistill.training.finished_run import find_run

        find_run(path)
        if overrides:
            raise ConfigError("bench latency: expected no settings with a run; leave them out")
    else:
        checked = check_config(source, overrides, trust)
    from segdistill.api.latency import latency
    from segdistill.cli.progress import display
    from segdistill.cli.tables import print_table

    with display() as tell:
        measured = latency(
            checked,
            pixels,
            threads=threads,
            device=device,
            compiled=compiled,
            passes=passes,
            tell=tell,
        )
    machine = _machine()
    if json:
        networks = {name: [asdict(timed) for timed in ways] for name, ways in measured.items()}
        print(dumps({"machine": machine, "networks": networks}))
        return
    first = next(iter(measured.values()))[0]
    print(f"{first.device}, {threads} threads, {', '.join(machine.values())}")
    print(f"one image of {size}, median and 10th to 90th percentile of {passes} passes")
    header = ["", "median ms", "10 to 90 % ms", "images/s"]
    header += [] if first.peak_mib is None else ["peak MiB"]
    rows = [_cells(name, timed) for name, ways in measured.items() for timed in ways]
    print_table(header, [cells[: len(header)] for cells in rows])
    shares = [timed.others or 0.0 for ways in measured.values() for timed in ways]
    if max(shares) >= BUSY:
        print(
            f"the machine was busy: other programs used up to {100 * max(shares):.0f} % of its "
            "processors, so the times are too long; try again when it is idle"
        )


def _cells(name: str, timed: Latency) -> tuple[str, ...]:
    way: list[str] = [timed.precision]
    way += ["channels last"] if timed.channels_last else []
    way += ["compiled"] if timed.compiled else []
    return (
        f"{name}, {' '.join(way)}",
        f"{timed.median_ms:.1f}",
        f"{timed.low_ms:.1f} to {timed.high_ms:.1f}",
        f"{timed.images_per_second:.1f}",
        "-" if timed.peak_mib is None else f"{timed.peak_mib:.0f}",
    )


def _machine() -> dict[str, str]:
    import platform
    from importlib.metadata import version

    return {
        "torch": f"torch {version('torch')}",
        "python": f"Python {platform.python_version()}",
        "platform": platform.platform(),
    }

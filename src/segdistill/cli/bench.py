"""``segdistill bench``: what networks cost."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, cast

import typer

from segdistill.cli.words import Config, Json, Overrides, Size, Trust, check_config, parse_size
from segdistill.errors import ConfigError

if TYPE_CHECKING:
    from segdistill.config.loading import LoadedConfig
    from segdistill.delivery.latency import Latency

COUNTERS = ("torch", "cirkd")


def cost(
    config: Config,
    overrides: Overrides = None,
    size: Size = "512x1024",
    counter: Annotated[
        str, typer.Option(help="torch, or cirkd for that paper's way of counting.")
    ] = "torch",
    auxiliary: Annotated[
        bool, typer.Option("--auxiliary", help="Count auxiliary heads too, as some papers do.")
    ] = False,
    trust: Trust = None,
    json: Json = False,
) -> None:
    """Count parameters, multiply-adds and FLOPs.

    Example: segdistill bench cost camvid/students --size 360x480
    """
    from json import dumps

    pixels = parse_size(size)
    if counter not in COUNTERS:
        raise ConfigError(f"--counter: expected {' or '.join(COUNTERS)}, got '{counter}'")
    checked = check_config(config, overrides, trust)
    from segdistill.api import delivery

    found = delivery.cost(
        checked,
        pixels,
        auxiliary=auxiliary,
        counter=cast("Literal['torch', 'cirkd']", counter),
    )
    if json:
        print(dumps({name: asdict(value) for name, value in found.items()}))
        return
    width = max(map(len, found))
    print(f"{''.ljust(width)}{'params M':>12}{'GMACs':>12}{'GFLOPs':>12}   at {size}")
    for name, value in found.items():
        print(f"{name.ljust(width)}{value.params_m:12.3f}{value.gmacs:12.3f}{value.gflops:12.3f}")
    print(f"next: segdistill bench latency {config} --size {size}")


def latency(
    source: Annotated[
        str, typer.Argument(help="A run folder or its weights; or a YAML file or recipe.")
    ],
    overrides: Overrides = None,
    size: Size = "512x1024",
    threads: Annotated[int, typer.Option(help="CPU threads.", min=1)] = 1,
    device: Annotated[str, typer.Option(help="cpu or cuda.")] = "cpu",
    passes: Annotated[int, typer.Option(help="Forward passes that count.", min=1)] = 20,
    compiled: Annotated[
        bool, typer.Option("--compile/--no-compile", help="Also try torch.compile.")
    ] = True,
    trust: Trust = None,
    json: Json = False,
) -> None:
    """Time networks, one image at a time.

    Each is timed in float32, channels last, in bfloat16 and with torch.compile.

    Example: segdistill bench latency runs/student-1 --size 512x1024 --threads 1
    """
    from json import dumps

    pixels = parse_size(size)
    path = Path(source)
    checked: str | LoadedConfig = source
    if path.is_dir() or path.suffix == ".safetensors":
        from segdistill.api.places import find_run

        find_run(path)
        if overrides:
            raise ConfigError("bench latency: expected no settings beside a run; leave them out")
    else:
        checked = check_config(source, overrides, trust)
    from segdistill.api import delivery
    from segdistill.cli.progress import display

    with display() as tell:
        found = delivery.latency(
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
        measured = {name: [asdict(one) for one in ways] for name, ways in found.items()}
        print(dumps({"machine": machine, "networks": measured}))
        return
    first = next(iter(found.values()))[0]
    print(f"{first.device}, {threads} threads, {', '.join(machine.values())}")
    print(f"one image of {size}, median of {passes} passes (tenth to ninetieth percentile)")
    width = max(map(len, found))
    for name, ways in found.items():
        for one in ways:
            print(f"{name.ljust(width)}  {_describe(one)}")


def _describe(one: Latency) -> str:
    way = " ".join(
        [
            one.precision,
            *(["channels last"] if one.channels_last else []),
            *(["compiled"] if one.compiled else []),
        ]
    )
    spread = f"({one.low_ms:.1f} to {one.high_ms:.1f})"
    peak = "" if one.peak_mib is None else f", peak {one.peak_mib:.0f} MiB"
    return (
        f"{way.ljust(27)}{one.median_ms:9.1f} ms {spread}, "
        f"{one.images_per_second:.1f} images/s{peak}"
    )


def _machine() -> dict[str, str]:
    import platform
    from importlib.metadata import version

    return {
        "torch": f"torch {version('torch')}",
        "python": f"Python {platform.python_version()}",
        "platform": platform.platform(),
    }

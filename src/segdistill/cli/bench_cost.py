"""``segdistill bench cost``: parameters and arithmetic operations of networks."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated, Literal

import typer

from segdistill.cli.words import Config, Json, Overrides, Size, Trust, check_config, parse_size


def bench_cost(
    config: Config,
    overrides: Overrides = None,
    size: Size = "512x1024",
    counter: Annotated[
        Literal["torch", "cirkd"],
        typer.Option(help="Way of counting: PyTorch's, or that of the CIRKD paper."),
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
    checked = check_config(config, overrides, trust)
    from segdistill.api.cost import cost
    from segdistill.cli.tables import print_table

    costs = cost(checked, pixels, counter=counter, auxiliary=auxiliary)
    if json:
        print(dumps({name: asdict(network) for name, network in costs.items()}))
        return
    rows = [
        (name, f"{network.params_m:.3f}", f"{network.gmacs:.3f}", f"{network.gflops:.3f}")
        for name, network in costs.items()
    ]
    print_table(["", "parameters M", "GMACs", "GFLOPs"], rows)
    print(f"per image of {size}")
    print(f"next: segdistill bench latency {config} --size {size}")

"""``segdistill bench energy``: energy and CO2 of training, and of 10 000 images."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from segdistill.cli.words import Json, Size, Trust, parse_size


def bench_energy(
    runs: Annotated[list[Path], typer.Argument(help="Run folders, the teacher's too.")],
    size: Size = "512x1024",
    device: Annotated[
        Literal["cpu", "cuda", "auto"], typer.Option(help="Device; auto: a GPU if there is one.")
    ] = "auto",
    seconds: Annotated[float, typer.Option(help="Duration per student.", min=0.0)] = 20.0,
    co2: Annotated[
        float,
        typer.Option(
            help="kg of CO2 per kWh. 0.48: world average of 2023 (Ember, Global Electricity "
            "Review 2024); 0.354: Germany in Niemann et al., 2023, Table 8.",
            min=0.0,
        ),
    ] = 0.48,
    trust: Trust = None,
    json: Json = False,
) -> None:
    """Measure energy and CO2 of training and of predicting 10 000 images.

    Energy is read from hardware counters (NVML, RAPL); without one, cells are empty.

    Example: segdistill bench energy runs/teacher runs/student-1 --size 1024x2048 --co2 0.354
    """
    from dataclasses import asdict
    from json import dumps

    pixels = parse_size(size)
    from segdistill.api.energy import IMAGES, energy
    from segdistill.cli.progress import display
    from segdistill.cli.tables import print_table

    with display() as tell:
        energies = energy(
            runs, pixels, device=device, seconds=seconds, trust=trust or (), tell=tell
        )
    if json:
        print(
            dumps(
                {
                    "co2_kg_per_kwh": co2,
                    "images": IMAGES,
                    "runs": {run: asdict(used) for run, used in energies.items()},
                }
            )
        )
        return

    def pair(kwh: float | None) -> list[str]:
        return ["-", "-"] if kwh is None else [f"{kwh:.3g}", f"{co2 * kwh:.3g}"]

    print(f"training, and {IMAGES:,} images of {size}; CO2 at {co2:g} kg per kWh")
    print_table(
        ["", "mIoU", "training kWh", "CO2 kg", "images kWh", "CO2 kg"],
        [
            [run, f"{100 * used.miou:.2f}", *pair(used.training_kwh), *pair(used.inference_kwh)]
            for run, used in energies.items()
        ],
    )
    if any(used.source is None for used in energies.values()):
        print("no energy counter can be read here (NVML or RAPL), so images were not measured")

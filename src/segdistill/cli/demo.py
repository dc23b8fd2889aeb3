"""``segdistill demo``: the whole workflow in a few minutes, on drawn scenes."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from segdistill.cli.words import Overrides, check_config
from segdistill.runs.layout import REPORT


def demo(
    overrides: Overrides = None,
    out: Annotated[Path, typer.Option("--out", help="Folder of the demo's runs.")] = Path("demo"),
) -> None:
    """Show the whole workflow in a few minutes, on drawn scenes.

    A teacher and a cohort of three students are trained and compared.

    Example: segdistill demo --out demo
    """
    check_config("scenes/students", overrides)
    from segdistill.api.demo import demo as verb
    from segdistill.cli.progress import display
    from segdistill.cli.results import print_runs

    with display() as tell:
        try:
            shown = verb(out, overrides=overrides or (), tell=tell)
        except KeyboardInterrupt:
            raise KeyboardInterrupt("stopped; the same command continues from here") from None
    print_runs(shown.runs, as_json=False)
    print()
    for note in shown.notes:
        print(note)
    print(f"\nreport: {out / REPORT}")
    print("next: segdistill recipes list")

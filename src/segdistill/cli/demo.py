"""``segdistill demo``: the whole way in a few minutes, on drawn scenes."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def demo(
    out: Annotated[Path, typer.Option("--out", help="Folder of the demo's runs.")] = Path("demo"),
) -> None:
    """Train a teacher and a cohort of three students on drawn scenes, and compare them.

    Example: segdistill demo --out demo
    """
    from segdistill import verbs
    from segdistill.cli.progress import display
    from segdistill.cli.results import print_runs

    with display() as tell:
        shown = verbs.demo(out, tell=tell)
    print_runs(shown.runs, as_json=False)
    print(f"\n{shown.verdict}")
    print(f"next: open {out / 'report.html'}, then segdistill recipes list")

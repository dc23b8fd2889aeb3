"""``segdistill study``: tune, repeat and compare methods, with statistics."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from segdistill.cli.tables import print_table
from segdistill.cli.words import Json, Overrides, Trust, trust_words
from segdistill.runs.layout import REPORT

_COLUMNS = ("method", "mIoU %", "deviation", "against plain", "95 % interval", "p", "verdict")


def study(
    file: Annotated[str, typer.Argument(help="A YAML study file, or the name of a packaged one.")],
    overrides: Overrides = None,
    out: Annotated[Path, typer.Option("--out", help="Folder of the study.")] = Path("study"),
    engine: Annotated[
        Literal["local", "ray"] | None,
        typer.Option("--engine", help="Where cohorts run: this machine, or a Ray cluster."),
    ] = None,
    address: Annotated[
        str | None, typer.Option("--address", help="Ray cluster; by default one is started here.")
    ] = None,
    processes: Annotated[
        int | None, typer.Option("--processes", help="Cohorts at the same time on this machine.")
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Stop after writing the plan and its cost.")
    ] = False,
    resume: Annotated[
        bool, typer.Option("--resume", help="Continue an interrupted study, or extend it.")
    ] = False,
    trust: Trust = None,
    json: Json = False,
) -> None:
    """Compare methods with a plain student tuned as hard.

    Example: segdistill study studies/scenes --out study
    """
    options = {"name": engine, "address": address, "processes": processes}
    words = [*(overrides or ())]
    words += [f"engine.{key}={value}" for key, value in options.items() if value is not None]
    from segdistill.config.loading import load_study
    from segdistill.studies.search import check_runs

    checked = load_study(file, words, trust=trust or ())
    check_runs(checked)  # mistakes are reported before torch is loaded
    from segdistill.api.study import study as verb
    from segdistill.cli.progress import display

    with display() as tell:
        try:
            results = verb(checked, out, dry_run=dry_run, resume=resume, tell=tell)
        except KeyboardInterrupt as stopped:
            again = ["segdistill", "study", file, *words, "--out", str(out), "--resume"]
            again += trust_words(trust)
            raise KeyboardInterrupt(
                f"{str(stopped) or 'interrupted'}\nnext: {shlex.join(again)}"
            ) from None
    if json:
        from json import dumps

        print(dumps(results))
    elif dry_run:
        from segdistill.runs.plan import plan_file

        print(f"plan: {plan_file(out)}")
        again = ["segdistill", "study", file, *words, "--out", str(out), *trust_words(trust)]
        print(f"next: {shlex.join(again)}")
    else:
        for pair, compared in results["pairs"].items():
            print(pair)
            print_pair(compared)
            print()
        print(cost_line(results["cost"]))
        print(f"report: {out / REPORT}")


def print_pair(pair: dict[str, Any]) -> None:
    """Print one row per method (scores, difference to plain, p, verdict), and failures."""
    methods = pair["methods"]
    print_table(_COLUMNS, [_cells(name, method) for name, method in methods.items()])
    for name, method in methods.items():
        for seed, error in method["failed"].items():
            print(f"failed: {name}, seed {seed}: {error}")
    for name, method in methods.items():
        if method["search_error"]:
            print(f"failed: {name}, every trial: {method['search_error']}")


def _cells(name: str, method: dict[str, Any]) -> list[str]:
    cells = [name, _percent(method["mean"]), _percent(method["deviation"])]
    against = method["against_plain"]
    if against is None:
        return [*cells, "-", "-", "-", "-"]
    ends = against["simultaneous"]
    known = ends["low"] is not None
    return [
        *cells,
        f"{100 * ends['estimate']:+.2f}",
        f"{100 * ends['low']:+.2f} to {100 * ends['high']:+.2f}" if known else "-",
        f"{against['p_joint']:.2g}",
        against["verdict"],
    ]


def cost_line(cost: dict[str, float]) -> str:
    """Describe the cost of the cohorts relative to their parts and to separate runs."""
    together = cost["together_seconds"]
    if not together:
        return "final cohorts: none were trained"
    return (
        f"final cohorts: {together:.0f} s of training, {together / cost['parts_seconds']:.2f} times"
        f" their measured parts, {together / cost['apart_seconds']:.2f} times separate runs"
    )


def _percent(value: float | None) -> str:
    return "-" if value is None else f"{100 * value:.2f}"

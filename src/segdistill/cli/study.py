"""``segdistill study``: tune, repeat and compare, with the statistics that decide."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated, Any

import typer

from segdistill.cli.words import Json, Overrides, Trust, trust_words
from segdistill.runs.layout import REPORT
from segdistill.runs.study import plan_file


def study(
    file: Annotated[str, typer.Argument(help="A YAML study file, or the name of a packaged one.")],
    overrides: Overrides = None,
    out: Annotated[Path, typer.Option("--out", help="Folder of the study.")] = Path("study"),
    engine: Annotated[str | None, typer.Option("--engine", help="local or ray.")] = None,
    address: Annotated[
        str | None, typer.Option("--address", help="Of a Ray cluster; else one is started here.")
    ] = None,
    processes: Annotated[
        int | None, typer.Option("--processes", help="Local cohorts at once.")
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Write the plan and its cost, and stop.")
    ] = False,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on where the study was interrupted.")
    ] = False,
    trust: Trust = None,
    json: Json = False,
) -> None:
    """Compare methods with a plain student that is tuned as they are.

    Example: segdistill study studies/scenes --out study
    """
    given = {"name": engine, "address": address, "processes": processes}
    words = [*(overrides or ())]
    words += [f"engine.{key}={value}" for key, value in given.items() if value is not None]
    from segdistill.config.loading import load_study
    from segdistill.studies.search import check_runs

    checked = load_study(file, words, trust=trust or ())
    check_runs(checked)  # a mistake is answered before torch is loaded
    from segdistill.api import studies
    from segdistill.cli.progress import display

    with display() as tell:
        try:
            found = studies.study(checked, out, dry_run=dry_run, resume=resume, tell=tell)
        except KeyboardInterrupt as stopped:
            again = ["segdistill", "study", file, *words, "--out", str(out), "--resume"]
            again += trust_words(trust)
            raise KeyboardInterrupt(
                f"{str(stopped) or 'interrupted'}\nnext: {shlex.join(again)}"
            ) from None
    if json:
        from json import dumps

        print(dumps(found))
    elif dry_run:
        print(f"plan: {plan_file(out)}")
        again = ["segdistill", "study", file, *words, "--out", str(out), *trust_words(trust)]
        print(f"next: {shlex.join(again)}")
    else:
        for pair, values in found["pairs"].items():
            print(f"{pair}\n{table(values)}\n")
        print(cost_line(found["cost"]))
        print(f"report: {out / REPORT}")


def table(pair: dict[str, Any]) -> str:
    """Return one line a method: scores, difference to plain with its interval, p, verdict."""
    rows = [("method", "mIoU %", "deviation", "against plain", "95 % interval", "p", "verdict")]
    methods = pair["methods"]
    for name, found in methods.items():
        against = found["against_plain"]
        row = [name, _percent(found["mean"]), _percent(found["deviation"])]
        if against is None:
            row += ["-"] * 4
        else:
            ends = against["simultaneous"]
            row.append(f"{100 * ends['estimate']:+.2f}")
            known = ends["low"] is not None
            row.append(f"{100 * ends['low']:+.2f} to {100 * ends['high']:+.2f}" if known else "-")
            row += [f"{against['p_joint']:.2g}", against["verdict"]]
        rows.append(tuple(row))
    widths = [max(len(row[place]) for row in rows) for place in range(len(rows[0]))]
    lines = [
        "  ".join(cell.ljust(w) if not i else cell.rjust(w) for i, (cell, w) in enumerate(pairs))
        for pairs in ([*zip(row, widths, strict=True)] for row in rows)
    ]
    failed = [f"{m}, seed {s}: {e}" for m, v in methods.items() for s, e in v["failed"].items()]
    failed += [
        f"{m}, every trial: {v['search_error']}" for m, v in methods.items() if v["search_error"]
    ]
    return "\n".join([*lines, *(f"failed: {line}" for line in failed)])


def cost_line(cost: dict[str, float]) -> str:
    """Return what the cohorts cost against their parts and against separate runs."""
    together = cost["together_seconds"]
    if not together:
        return "final cohorts: none was trained"
    return (
        f"final cohorts: {together:.0f} s of training, {together / cost['parts_seconds']:.2f} of "
        f"what their parts were measured to take, {together / cost['apart_seconds']:.2f} of "
        "separate runs"
    )


def _percent(value: float | None) -> str:
    return "-" if value is None else f"{100 * value:.2f}"

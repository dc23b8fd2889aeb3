"""``segdistill search``: which student is worth its time."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from segdistill.cli.tables import print_table
from segdistill.cli.words import (
    Json,
    Overrides,
    Trust,
    parse_latency,
    parse_size,
    trust_words,
)
from segdistill.runs.layout import REPORT

if TYPE_CHECKING:
    from segdistill.api.search import Rehearsal
    from segdistill.runs.students import Found, Student


def search(
    file: Annotated[str, typer.Argument(help="A YAML search file, or the name of a packaged one.")],
    overrides: Overrides = None,
    limit: Annotated[
        str | None,
        typer.Option("--latency", help="Time of an image that nine of ten passes keep: 15ms."),
    ] = None,
    device: Annotated[
        Literal["cpu", "cuda", "auto"] | None,
        typer.Option("--device", help="Device that is timed; auto: a GPU if there is one."),
    ] = None,
    size: Annotated[
        str | None,
        typer.Option("--size", help="Size of the timed image, as in 360x480; the crop by default."),
    ] = None,
    threads: Annotated[
        int | None, typer.Option("--threads", min=1, help="CPU threads while timing.")
    ] = None,
    out: Annotated[Path, typer.Option("--out", help="Folder of the search.")] = Path("search"),
    engine: Annotated[
        Literal["local", "ray"] | None,
        typer.Option("--engine", help="Where cohorts run: this machine, or a Ray cluster."),
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Continue an interrupted search, or extend it.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Time the first students, and train nothing.")
    ] = False,
    trust: Trust = None,
    json: Json = False,
) -> None:
    """Find the student that is worth its time on a device.

    Networks, widths, strides and heads are timed before any training; those that keep the limit
    are trained under one teacher, and the cheapest is chosen that cannot be told from the best.

    Example: segdistill search searches/scenes --latency 15ms --out search
    """
    words = [*(overrides or ())]
    if limit is not None:
        words.append(f"latency.limit_ms={parse_latency(limit):g}")
    if size is not None:
        words.append(f"latency.size={list(parse_size(size))}")
    options = {"latency.device": device, "latency.threads": threads, "engine.name": engine}
    words += [f"{key}={value}" for key, value in options.items() if value is not None]
    from segdistill.config.loading import load_search
    from segdistill.studies.students.configs import check_students

    checked = load_search(file, words, trust=trust or ())
    check_students(checked)  # mistakes are reported before torch is loaded
    from segdistill.api.search import rehearse_search
    from segdistill.api.search import search as verb
    from segdistill.cli.progress import display

    again = ["segdistill", "search", file, *words, "--out", str(out), *trust_words(trust)]
    with display() as tell:
        if dry_run:
            rehearsal = rehearse_search(checked, out, resume=resume, tell=tell)
        else:
            try:
                found = verb(checked, out, resume=resume, tell=tell)
            except KeyboardInterrupt as stopped:
                raise KeyboardInterrupt(
                    f"{str(stopped) or 'interrupted'}\nnext: {shlex.join([*again, '--resume'])}"
                ) from None
    if json:
        from dataclasses import asdict
        from json import dumps

        print(dumps(asdict(rehearsal if dry_run else found)))
    elif dry_run:
        _print_rehearsal(rehearsal, shlex.join([*again, "--resume"] if resume else again))
    else:
        _print(found, out)


def _print(found: Found, out: Path) -> None:
    from segdistill.runs.result import BUSY

    height, width = found.size
    ends = [one.status for one in found.students]
    counted = ", ".join(f"{ends.count(end)} {end}" for end in dict.fromkeys(ends))
    print(f"{len(ends)} of {found.space} students tried: {counted}")
    print(
        f"mIoU on {found.images} held-out training images with its 95 % interval; ms for one of "
        f"{height}x{width}, {found.threads} thread{'s' if found.threads > 1 else ''}, tenth to "
        "ninetieth percentile"
    )
    finished = sorted(
        (one for one in found.students if one.status == "done"),
        key=lambda one: one.time.median_ms if one.time else 0.0,
    )
    print_table(
        ["", "mIoU", "interval", "ms", "10 to 90 %", "M parameters", ""],
        [_cells(one, found) for one in finished],
    )
    if (found.others or 0.0) >= BUSY:
        print(
            f"the machine was busy: other programs took {100 * (found.others or 0.0):.0f} % of "
            "its processors, so that times are too long; try again when it is idle"
        )
    for line in found.reasons:
        print(line)
    final = found.final
    spread = "" if final.deviation is None else f" ± {100 * final.deviation:.2f} over seeds"
    between = (
        ""
        if final.low is None or final.high is None
        else f", {100 * final.low:.1f} to {100 * final.high:.1f} over images"
    )
    print(f"{found.chosen} on {final.split}: {100 * final.mean:.2f}{spread}{between}")
    for seed, error in final.failed.items():
        print(f"failed: seed {seed}: {error}")
    print(f"report: {out / REPORT}")
    print(f"next: {found.command}")


def _cells(one: Student, found: Found) -> tuple[str, ...]:
    assert one.time is not None
    assert one.miou is not None
    words = ["chosen"] * (one.name == found.chosen) + ["front"] * one.on_front
    words += ["over the limit"] * (not one.fits)
    interval = "" if one.low is None else f"{100 * one.low:.1f} to {100 * (one.high or 0.0):.1f}"
    return (
        one.name,
        f"{100 * one.miou:.2f}",
        interval,
        f"{one.time.median_ms:.2f}",
        f"{one.time.low_ms:.2f} to {one.time.high_ms:.2f}",
        f"{one.time.params_m:.2f}",
        ", ".join(words),
    )


def _print_rehearsal(rehearsal: Rehearsal, again: str) -> None:
    print(f"{rehearsal.space} students to choose from; those of the first round:")
    rows = []
    for one in rehearsal.students:
        ms = "-" if one.time is None else f"{one.time.median_ms:.2f}"
        parameters = "-" if one.time is None else f"{one.time.params_m:.2f}"
        verdict = one.error or ("" if one.trained else "too slow")
        rows.append((one.name, ms, parameters, verdict))
    print_table(["", "ms", "M parameters", ""], rows)
    searching, final = rehearsal.search_seconds / 60, rehearsal.final_seconds / 60
    print(
        f"about {searching:.1f} min for the trials and {final:.1f} min for the final runs, "
        "without scoring"
    )
    print(f"next: {again}")

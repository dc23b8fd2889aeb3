"""The results of a report as CSV and as a LaTeX table."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence

from segdistill.reporting.groups import Group, panels
from segdistill.reporting.timings import Timings, timings
from segdistill.studies.verdict import MARGIN, word

_LATEX = {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
} | {character: f"\\{character}" for character in "&%$#_{}"}

_STUDENT_COSTS = ("params_m", "gflops", "latency_ms")
_TRAINING_COSTS = ("seconds", "own_seconds", "peak_memory_mib", "energy_kwh")

_COLUMNS = (
    "pair",
    "method",
    "seeds",
    "failed",
    "miou_mean",
    "miou_sd",
    "best_on_the_way_mean",
    "paired_seeds",
    "difference",
    "difference_low",
    "difference_high",
    "confidence",
    "p",
    "simultaneous_low",
    "simultaneous_high",
    "p_joint",
    "smallest_p",
    "p_holm",
    "verdict",
    "group",
    "probability_of_improvement",
    *_STUDENT_COSTS,
    *_TRAINING_COSTS,
)


def results_csv(
    groups: Sequence[Group],
    failed: dict[tuple[str, str], int] | None = None,
    *,
    margin: float = MARGIN,
) -> str:
    """Return a CSV row per group, with fractions and SI units; unknown numbers are empty.

    Args:
        groups: groups with their comparisons.
        failed: number of failed runs, by pair and method.
        margin: margin within which methods are called equal, as a fraction.
    """
    out = io.StringIO()
    writer = csv.DictWriter(out, _COLUMNS, lineterminator="\n", restval="")
    writer.writeheader()
    times = timings(groups)
    for group in groups:
        row: dict[str, object] = {
            "pair": group.panel,
            "method": group.name,
            "seeds": group.seeds,
            "failed": (failed or {}).get((group.panel, group.name), 0),
            "miou_mean": group.miou,
            "miou_sd": group.deviation,
            "best_on_the_way_mean": group.summary.best_mean,
            "group": group.summary.letters,
        }
        comparison = group.comparison
        if comparison is not None:
            several = comparison.seeds > 1
            row |= {
                "paired_seeds": comparison.seeds,
                "difference": comparison.difference.estimate,
                "difference_low": comparison.difference.low if several else "",
                "difference_high": comparison.difference.high if several else "",
                "confidence": comparison.difference.confidence if several else "",
                "p": comparison.p,
                "simultaneous_low": comparison.simultaneous.low if several else "",
                "simultaneous_high": comparison.simultaneous.high if several else "",
                "p_joint": comparison.p_joint,
                "smallest_p": comparison.smallest_p,
                "p_holm": comparison.p_holm,
                "verdict": word(comparison, margin=margin),
                "probability_of_improvement": comparison.improvement,
            }
        row |= _student_costs(group, times)
        if not group.teacher:  # the cost of its training is not part of the comparison
            row |= {key: group.summary.mean_of(key) for key in _TRAINING_COSTS}
        writer.writerow({key: "" if value is None else value for key, value in row.items()})
    return out.getvalue()


def results_tex(groups: Sequence[Group]) -> str:
    """Return a ``tabular`` that needs no LaTeX package; with booktabs its rules look better.

    mIoU in percent, differences in points with simultaneous 95 % intervals, family-wise p of the
    joint test.
    """
    lines = [
        "% Made by segdistill from the files of the run folders; needs no package.",
        r"\providecommand{\toprule}{\hline}",
        r"\providecommand{\midrule}{\hline}",
        r"\providecommand{\bottomrule}{\hline}",
        r"\begin{tabular}{lrrrrrr}",
        r"\toprule",
        r"method & mIoU, \% & difference [95\,\% interval] & $p$ (joint) & params, M & GFLOPs "
        r"& latency, ms \\",
    ]
    times = timings(groups)
    for pair, members in panels(groups).items():
        lines.append(r"\midrule")
        if pair:
            lines.append(rf"\multicolumn{{7}}{{l}}{{{escape_latex(pair)}}} \\")
        lines += [rf"{' & '.join(_cells(one, times))} \\" for one in members]
    return "\n".join([*lines, r"\bottomrule", r"\end{tabular}", ""])


def escape_latex(text: str) -> str:
    """Return text with LaTeX's special characters escaped."""
    return "".join(_LATEX.get(character, character) for character in text)


def _student_costs(group: Group, times: Timings) -> dict[str, float | None]:
    timing = times.of.get(group.label)
    counted = {key: group.summary.mean_of(key) for key in _STUDENT_COSTS}
    return counted | {"latency_ms": None if timing is None else timing.ms}


def _cells(group: Group, times: Timings) -> list[str]:
    score = f"{100 * group.miou:.2f}"
    if group.deviation is not None:
        score += rf" $\pm$ {100 * group.deviation:.2f}"
    comparison, difference, p = group.comparison, "--", "--"
    if comparison is not None:
        difference, p = (
            f"${100 * comparison.difference.estimate:+.2f}$",
            f"{comparison.p_joint:.3g}",
        )
        if comparison.seeds > 1:
            low, high = 100 * comparison.simultaneous.low, 100 * comparison.simultaneous.high
            difference += f" [${low:+.2f}$, ${high:+.2f}$]"
    costs = _student_costs(group, times).values()
    known = ["--" if value is None else f"{value:.2f}" for value in costs]
    return [escape_latex(group.name), score, difference, p, *known]

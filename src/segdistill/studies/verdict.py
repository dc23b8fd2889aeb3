"""One plain sentence per comparison, which claims no more than the numbers support."""

from __future__ import annotations

from typing import Literal

from segdistill.studies.comparison import Comparison

Word = Literal["better", "worse", "equal", "no difference shown"]

MARGIN = 0.005
"""Default of the largest mIoU difference that does not matter, as a fraction."""


def word(comparison: Comparison, *, margin: float = MARGIN) -> Word:
    """Return the verdict, which is "better" or "worse" only if :meth:`Comparison.claims` holds.

    Args:
        comparison: comparison of the method with its baseline.
        margin: margin for :meth:`Comparison.equals`.
    """
    if comparison.claims():
        return "better" if comparison.difference.estimate > 0 else "worse"
    return "equal" if comparison.equals(margin) else "no difference shown"


def verdict(name: str, baseline: str, comparison: Comparison, *, margin: float = MARGIN) -> str:
    """Summarise the finding of a study about a method in a sentence or two.

    Args:
        name: name of the method.
        baseline: name of the baseline.
        comparison: comparison of mIoU in fractions; printed in points with one decimal.
        margin: margin for :meth:`Comparison.equals`.
    """
    interval = comparison.simultaneous
    change = f"{points(interval.estimate)} mIoU points"
    if comparison.seeds == 1:
        return (
            f"{name} scored {change} against {baseline} on one seed, which cannot distinguish a "
            "difference between methods from one between seeds."
        )
    evidence = (
        f"{100 * interval.confidence:g} % interval {points(interval.low)} to "
        f"{points(interval.high)}, {sample_of(comparison)}, p = {_p(comparison.p_joint)}"
    )
    finding = word(comparison, margin=margin)
    within = f"±{100 * margin:g} points"
    if finding == "equal":
        sentence = f"{name} and {baseline} are equal within {within}: {change} ({evidence})."
    elif finding == "no difference shown":
        sentence = f"No difference between {name} and {baseline} was shown: {change} ({evidence})."
        if comparison.smallest_p > 1 - interval.confidence:
            sentence = (
                f"{sentence[:-1]}; so few {unit_of(comparison)} cannot give a p "
                f"below {_p(comparison.smallest_p)}."
            )
    else:
        sentence = f"{name} is {finding} than {baseline}: {change} ({evidence})."
        if comparison.equals(margin):
            sentence = f"{sentence[:-1]}, and the difference is within {within}."
    return " ".join([sentence, *_contradiction(name, baseline, comparison)])


def unit_of(comparison: Comparison) -> str:
    """Return what the sample is made of: seeds, or searches where settings come from several."""
    return "seeds" if comparison.searches is None else "searches"


def sample_of(comparison: Comparison) -> str:
    """Return how large the sample is, in words."""
    several = "" if comparison.searches is None else f" of {comparison.searches} searches"
    return f"{comparison.seeds} seeds{several}"


def points(value: float) -> str:
    """Return a difference of fractions in signed points, with a typographic minus sign."""
    text = f"{100 * value:+.1f}"
    return ("0.0" if float(text) == 0 else text).replace("-", "−")


def _contradiction(name: str, baseline: str, comparison: Comparison) -> list[str]:
    """Explain a mean whose sign contradicts that of most pairs of runs."""
    gain, chance = comparison.difference.estimate, comparison.improvement
    if gain == 0 or (chance - 0.5) * gain >= 0:
        return []
    higher, lower = (name, baseline) if gain > 0 else (baseline, name)
    share = chance if gain > 0 else 1 - chance
    return [
        f"A run of {higher} beats a run of {lower} in only {100 * share:.0f} % of all pairs of "
        "runs, although its mean is higher: a few large differences dominate the mean."
    ]


def _p(value: float) -> str:
    return f"{value:.2g}" if value >= 0.001 else f"{value:.0e}"

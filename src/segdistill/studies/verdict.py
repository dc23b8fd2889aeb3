"""One plain sentence a comparison, which claims no more than the numbers carry."""

from __future__ import annotations

from typing import Literal

from segdistill.studies.comparison import Comparison

Word = Literal["better", "worse", "equal", "no difference shown"]

MARGIN = 0.005
"""Largest difference of mIoU that does not matter, as a fraction, where a study says none."""


def word(comparison: Comparison, *, margin: float = MARGIN) -> Word:
    """Return the verdict: "better" and "worse" only where :meth:`Comparison.claims` holds.

    Args:
        comparison: of the method with its baseline.
        margin: of :meth:`Comparison.equals`.
    """
    if comparison.claims():
        return "better" if comparison.difference.estimate > 0 else "worse"
    return "equal" if comparison.equals(margin) else "no difference shown"


def verdict(name: str, baseline: str, comparison: Comparison, *, margin: float = MARGIN) -> str:
    """Return what a study found about a method, in a sentence or two.

    Args:
        name: what the method is called.
        baseline: what the baseline is called.
        comparison: of mIoU as fractions; printed in points, tenths.
        margin: of :meth:`Comparison.equals`.
    """
    interval = comparison.simultaneous
    change = f"{points(interval.estimate)} mIoU points"
    if comparison.seeds == 1:
        return (
            f"{name} scored {change} against {baseline} on one seed, which cannot tell a "
            "difference between methods from one between seeds."
        )
    evidence = (
        f"{100 * interval.confidence:g} % interval {points(interval.low)} to "
        f"{points(interval.high)}, {sample_of(comparison)}, p = {_p(comparison.p_joint)}"
    )
    said = word(comparison, margin=margin)
    within = f"±{100 * margin:g} points"
    if said == "equal":
        sentence = f"{name} and {baseline} are equal within {within}: {change} ({evidence})."
    elif said == "no difference shown":
        sentence = f"No difference between {name} and {baseline} was shown: {change} ({evidence})."
        if comparison.smallest_p > 1 - interval.confidence:
            sentence = (
                f"{sentence[:-1]}; so few {unit_of(comparison)} cannot give a p "
                f"below {_p(comparison.smallest_p)}."
            )
    else:
        sentence = f"{name} is {said} than {baseline}: {change} ({evidence})."
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
    """Return a difference of fractions as signed points, with a real minus sign."""
    text = f"{100 * value:+.1f}"
    return ("0.0" if float(text) == 0 else text).replace("-", "−")


def _contradiction(name: str, baseline: str, comparison: Comparison) -> list[str]:
    """Explain a mean that points one way where most pairs of runs point the other."""
    gain, chance = comparison.difference.estimate, comparison.improvement
    if gain == 0 or (chance - 0.5) * gain >= 0:
        return []
    higher, lower = (name, baseline) if gain > 0 else (baseline, name)
    share = chance if gain > 0 else 1 - chance
    return [
        f"A run of {higher} beats a run of {lower} in only {100 * share:.0f} % of all pairs of "
        "runs, although its mean is higher: a few large differences carry the mean."
    ]


def _p(value: float) -> str:
    return f"{value:.2g}" if value >= 0.001 else f"{value:.0e}"

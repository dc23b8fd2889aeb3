"""One plain sentence a comparison, which claims no more than the numbers carry."""

from __future__ import annotations

from segdistill.studies.comparison import Comparison


def verdict(name: str, baseline: str, comparison: Comparison, *, level: float = 0.05) -> str:
    """Return what a study found about a method, in one sentence.

    "better" and "worse" are said only where :meth:`Comparison.claims` holds, never where the
    interval contains 0.

    Args:
        name: what the method is called.
        baseline: what the baseline is called.
        comparison: of mIoU as fractions; printed in points, hundredths.
        level: share of wrong claims that is accepted where nothing differs.
    """
    difference = comparison.difference
    change = f"{points(difference.estimate)} mIoU points"
    if comparison.seeds == 1:
        return (
            f"{name} scored {change} against {baseline} on one seed, which cannot tell a "
            "difference between methods from one between seeds."
        )
    evidence = (
        f"{100 * difference.confidence:g} % interval {points(difference.low)} to "
        f"{points(difference.high)}, {comparison.seeds} seeds, p = {_p(comparison.p_holm)}"
    )
    if comparison.claims(level=level):
        word = "better" if difference.estimate > 0 else "worse"
        return f"{name} is {word} than {baseline}: {change} ({evidence})."
    if not difference.excludes_zero():
        return f"No difference between {name} and {baseline} was shown: {change} ({evidence})."
    why = f"p does not reach {level:g}"
    if comparison.smallest_p > level:
        why = f"so few seeds cannot give a p below {_p(comparison.smallest_p)}"
    return f"{name} scored {change} against {baseline} ({evidence}), no proof yet: {why}."


def points(value: float) -> str:
    """Return a difference of fractions as signed points, with a real minus sign."""
    text = f"{100 * value:+.1f}"
    return ("0.0" if float(text) == 0 else text).replace("-", "−")


def _p(value: float) -> str:
    return f"{value:.2g}" if value >= 0.001 else f"{value:.0e}"

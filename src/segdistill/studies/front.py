"""The Pareto front of cost and score."""

from __future__ import annotations

from collections.abc import Sequence


def front(points: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """Return the points that no other point dominates, from the cheapest.

    A point is dominated by one that costs no more and scores higher, or costs less and scores no
    lower.

    Args:
        points: cost and score of each point.
    """
    best: list[tuple[float, float]] = []
    for cost, score in sorted(set(points), key=lambda point: (point[0], -point[1])):
        if not best or score > best[-1][1]:
            best.append((cost, score))
    return best

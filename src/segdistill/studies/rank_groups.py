"""Groups of methods that a study cannot tell apart: a compact letter display."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence, Set
from itertools import combinations
from statistics import fmean
from string import ascii_lowercase
from typing import Any, TypeVar

from segdistill.studies.comparison import by_search
from segdistill.studies.joint import joint_test

S = TypeVar("S", bound=Hashable)

Pair = frozenset[str]


def rank_groups(
    scores: Mapping[str, Mapping[S, float]],
    baseline: str,
    claimed: Set[str],
    searches: Mapping[S, int] | None = None,
) -> dict[str, str]:
    """Return letters by method; two methods that share a letter were not told apart.

    For the baseline this is what the study claims. The other pairs are a separate family, tested
    jointly, so that the chance of any wrong letter in the table is limited.

    Args:
        scores: scores by method and seed; a method without a score gets no letter.
        baseline: the method that the others are compared with.
        claimed: the methods that are claimed to differ from it.
        searches: see ``comparison.compare_by_seed``.
    """
    ranked = {name: own for name, own in scores.items() if own}
    order = sorted(ranked, key=lambda name: -fmean(ranked[name].values()))
    apart = {frozenset((name, baseline)) for name in claimed}
    differences: dict[str, Mapping[Any, float]] = {}
    for first, second in combinations([name for name in order if name != baseline], 2):
        shared = [seed for seed in ranked[first] if seed in ranked[second]]
        if shared:
            changes = {seed: ranked[first][seed] - ranked[second][seed] for seed in shared}
            # No name contains a line break.
            differences[f"{first}\n{second}"] = by_search(changes, searches)
    for pair, test in joint_test(differences).items():
        if test.interval.excludes_zero():
            apart.add(frozenset(pair.split("\n")))
    return letters(order, apart)


def letters(names: Sequence[str], apart: Set[Pair]) -> dict[str, str]:
    """Return the compact letter display, in which names share a letter unless told apart.

    Args:
        names: names from the best to the worst.
        apart: the pairs that were told apart.

    Source:
        Piepho, "An Algorithm for a Letter-Based Representation of All-Pairwise Comparisons",
        Journal of Computational and Graphical Statistics 2004 (insert and absorb).
    """
    columns = [frozenset(names)]
    for pair in sorted(apart, key=lambda pair: sorted(map(names.index, pair))):
        one, other = pair
        split = []
        for column in columns:
            split += [column - {one}, column - {other}] if pair <= column else [column]
        unique = list(dict.fromkeys(split))
        columns = [own for own in unique if not any(own < larger for larger in unique)]
    columns.sort(key=lambda column: sorted(map(names.index, column)))
    return {
        name: "".join(_letter(index) for index, own in enumerate(columns) if name in own)
        for name in names
    }


def _letter(index: int) -> str:
    """Return a, b, ... z, a′, b′, ..."""
    rounds, letter = divmod(index, len(ascii_lowercase))
    return ascii_lowercase[letter] + "′" * rounds

"""Groups of methods that a study cannot tell apart, as letters: a compact letter display."""

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
    """Return letters by method: two methods that share one were not told apart.

    Against the baseline that is what the study claims. The other pairs are a family of their own,
    in one joint test over all of them, so that one wrong letter in the table stays rare.

    Args:
        scores: by method and seed; a method without a score gets no letter.
        baseline: the method that the others are compared with.
        claimed: the methods that are claimed to differ from it.
        searches: see ``comparison.compare_by_seed``.
    """
    ranked = {name: own for name, own in scores.items() if own}
    order = sorted(ranked, key=lambda name: -fmean(ranked[name].values()))
    apart = {frozenset((name, baseline)) for name in claimed}
    differences: dict[str, Mapping[Any, float]] = {}
    for one, other in combinations([name for name in order if name != baseline], 2):
        shared = [seed for seed in ranked[one] if seed in ranked[other]]
        if shared:
            changes = {seed: ranked[one][seed] - ranked[other][seed] for seed in shared}
            # No name has a line break.
            differences[f"{one}\n{other}"] = by_search(changes, searches)
    for pair, test in joint_test(differences).items():
        if test.interval.excludes_zero():
            apart.add(frozenset(pair.split("\n")))
    return letters(order, apart)


def letters(names: Sequence[str], apart: Set[Pair]) -> dict[str, str]:
    """Return the compact letter display: names share a letter unless they were told apart.

    Args:
        names: from the best to the worst.
        apart: pairs that were told apart.

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
        name: "".join(_letter(place) for place, own in enumerate(columns) if name in own)
        for name in names
    }


def _letter(place: int) -> str:
    """Return a, b, ... z, a′, b′, ..."""
    rounds, letter = divmod(place, len(ascii_lowercase))
    return ascii_lowercase[letter] + "′" * rounds

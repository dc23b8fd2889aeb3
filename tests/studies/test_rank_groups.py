"""Letters: shared exactly by methods that were not told apart."""

import itertools

from hypothesis import given
from hypothesis import strategies as st

from segdistill.studies.rank_groups import letters, rank_groups

NAMES = "abcdefg"


def pairs(*words: str) -> set[frozenset[str]]:
    return {frozenset(word) for word in words}


def test_methods_that_were_not_told_apart_share_a_letter() -> None:
    assert letters("xyz", set()) == {"x": "a", "y": "a", "z": "a"}
    assert letters("xyz", pairs("xz")) == {"x": "a", "y": "ab", "z": "b"}
    assert letters("xyz", pairs("xy", "xz")) == {"x": "a", "y": "b", "z": "b"}
    assert letters("xyz", pairs("xy", "xz", "yz")) == {"x": "a", "y": "b", "z": "c"}


@given(st.sets(st.sampled_from(list(itertools.combinations(NAMES, 2)))))
def test_letters_say_exactly_what_was_told_apart(apart: set[tuple[str, str]]) -> None:
    found = letters(NAMES, {frozenset(pair) for pair in apart})
    assert all(found.values())
    for pair in itertools.combinations(NAMES, 2):
        assert bool(set(found[pair[0]]) & set(found[pair[1]])) == (pair not in apart)


def test_the_letters_never_contradict_what_is_claimed_against_the_baseline() -> None:
    plain = {seed: 0.3 + 0.01 * seed for seed in range(8)}
    scores = {
        "plain": plain,
        "best": {seed: score + 0.05 + 0.0001 * seed for seed, score in plain.items()},
        "good": {seed: score + 0.02 - 0.0003 * seed for seed, score in plain.items()},
        "none": {},
    }
    assert rank_groups(scores, "plain", {"best", "good"}) == {
        "best": "a",
        "good": "b",
        "plain": "c",
    }
    assert rank_groups(scores, "plain", {"best"}) == {"best": "a", "good": "b", "plain": "b"}

"""The Pareto front: what nothing cheaper or better beats."""

from segdistill.studies.front import front


def test_the_front_is_what_nothing_cheaper_or_better_beats() -> None:
    points = [(3.0, 70.0), (1.0, 50.0), (2.0, 45.0), (1.0, 40.0), (4.0, 70.0), (2.0, 60.0)]
    assert front(points) == [(1.0, 50.0), (2.0, 60.0), (3.0, 70.0)]
    assert front([]) == []
    beaten = [
        one
        for one in set(points) - set(front(points))
        if any(cost <= one[0] and score >= one[1] for cost, score in front(points))
    ]
    assert len(beaten) == 3

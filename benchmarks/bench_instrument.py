"""The study as an instrument: what it claims where nothing differs, and what it finds.

python benchmarks/bench_instrument.py

Scores are simulated: a seed's own luck, shared by the methods of that seed, plus each run's
noise, as large as small students showed on CamVid.
"""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np
from results_file import write_result

from segdistill.studies.comparison import Comparison, compare, compare_all
from segdistill.studies.joint import joint_test
from segdistill.studies.statistics import holm, power, sign_flip_p, smallest_p

SHARED, NOISE = 0.010, 0.007  # standard deviations of mIoU: a difference has 0.0099
NOISY = 0.016  # of a difference, in studies of many methods, which are often noisier
SHAPES = ("normal", "skewed", "heavy")


def draw(random: np.random.Generator, shape: str, count: int) -> np.ndarray:
    """Return noise of standard deviation 1 (infinite tails for heavy: Student's t of 3)."""
    if shape == "skewed":
        return random.exponential(size=count) - 1
    if shape == "heavy":
        return random.standard_t(3, size=count) / np.sqrt(3)
    return random.standard_normal(count)


def joint(
    methods: int, *, seeds: int, shape: str, gain: float, better: float, studies: int
) -> dict[str, float]:
    """Return how often the joint test errs and finds, against Holm over separate sign flips.

    Args:
        methods: compared with one plain student, so that their differences are correlated.
        seeds: of each.
        shape: of the noise.
        gain: of the methods that are truly better.
        better: share of the methods that are.
        studies: how many are simulated.
    """
    random = np.random.default_rng([methods, seeds, SHAPES.index(shape)])
    truth = np.where(np.arange(methods) < better * methods, gain, 0.0)
    counted = dict.fromkeys(("wrong", "wrong, Holm", "all held", "found", "found, Holm"), 0.0)
    for _ in range(studies):
        noise = draw(random, shape, (methods + 1) * seeds).reshape(methods + 1, seeds)
        changes = NOISY * (noise[1:] - noise[0]) / np.sqrt(2) + truth[:, None]
        table = {str(m): dict(enumerate(own)) for m, own in enumerate(changes.tolist())}
        tests = list(joint_test(table).values())
        claimed = np.array([one.interval.excludes_zero() for one in tests])
        corrected = np.array(holm([sign_flip_p(own) for own in changes.tolist()])) <= 0.05
        counted["wrong"] += claimed[truth == 0].any()
        counted["wrong, Holm"] += corrected[truth == 0].any()
        held = [
            one.interval.low <= t <= one.interval.high for one, t in zip(tests, truth, strict=True)
        ]
        counted["all held"] += all(held)
        if gain:
            counted["found"] += claimed[truth > 0].mean()
            counted["found, Holm"] += corrected[truth > 0].mean()
    return {name: float(count / studies) for name, count in counted.items()}


def joint_table(studies: int) -> dict[str, dict[str, float]]:
    """Return the rates of :func:`joint` for 4, 12 and 25 methods, and print them as a table."""
    rows = {}
    print(f"{'methods, seeds, noise, truly better':45} wrong (Holm)   held   found (Holm)")
    for seeds, methods, shape, better in [
        *product((8,), (4, 12, 25), SHAPES, (0.0, 0.5, 1.0)),
        *product((10,), (12,), SHAPES, (0.5,)),
    ]:
        gain = 0.02 if better else 0.0
        rates = joint(methods, seeds=seeds, shape=shape, gain=gain, better=better, studies=studies)
        name = f"{methods} methods, {seeds} seeds, {shape}, {better:.0%} better"
        rows[name] = rates
        wrong, other, held, found, less = (f"{100 * rate:5.1f}" for rate in rates.values())
        print(f"{name:45} {wrong} ({other})  {held}  {found} ({less})", flush=True)
    return rows


def study(
    random: np.random.Generator, *, seeds: int, gain: float = 0.0, shape: str = "normal"
) -> Comparison:
    """Simulate a method that is ``gain`` better than its baseline, and compare them."""
    luck = 0.38 + SHARED * random.standard_normal(seeds)
    method, baseline = (luck + NOISE * draw(random, shape, seeds) for _ in range(2))
    return compare(list(method + gain), list(baseline))


def against_itself(seeds: int, shape: str, studies: int) -> dict[str, float]:
    """Return the share of studies that claim a difference where there is none."""
    random = np.random.default_rng(1)
    claims = [study(random, seeds=seeds, shape=shape).claims() for _ in range(studies)]
    return {"first_400": float(np.mean(claims[:400])), f"all_{studies}": float(np.mean(claims))}


def four_against_themselves(seeds: int, studies: int) -> float:
    """Return the share of studies of four methods that claim any difference."""
    random = np.random.default_rng(2)
    wrong = 0
    for _ in range(studies):
        luck = SHARED * random.standard_normal(seeds)
        runs = [list(luck + NOISE * random.standard_normal(seeds)) for _ in range(5)]
        found = compare_all(dict(zip("abcd", runs[1:], strict=True)), runs[0])
        wrong += any(one.claims() for one in found.values())
    return wrong / studies


def coverage(seeds: int, studies: int) -> dict[str, float]:
    """Return how often intervals hold a gain of one point: ours, and a bootstrap of the seeds."""
    random, gain = np.random.default_rng(3), 0.01
    held = {"t interval": 0, "bootstrap of seeds": 0}
    for _ in range(studies):
        differences = gain + NOISE * (random.standard_normal(seeds) - random.standard_normal(seeds))
        ours = compare(list(differences), [0.0] * seeds).difference
        held["t interval"] += ours.low <= gain <= ours.high
        means = random.choice(differences, size=(1000, seeds)).mean(axis=1)
        low, high = np.quantile(means, [0.025, 0.975])
        held["bootstrap of seeds"] += low <= gain <= high
    return {name: count / studies for name, count in held.items()}


def found_gain(seeds: int, gain: float, studies: int) -> dict[str, float]:
    """Return the share of studies that claim a true gain, and what theory says of the interval."""
    random = np.random.default_rng(4)
    runs = [study(random, seeds=seeds, gain=gain) for _ in range(studies)]
    return {
        "claimed": float(np.mean([one.claims() for one in runs])),
        "interval excludes 0": float(np.mean([one.difference.excludes_zero() for one in runs])),
        "power of the interval, computed": power(gain, NOISE * np.sqrt(2), seeds),
    }


def main() -> None:
    values: dict[str, Any] = {
        "joint test, a gain of 2 points where methods are better": joint_table(1000),
        "shared_deviation": SHARED,
        "noise_deviation": NOISE,
        "claims where nothing differs, 8 seeds": {
            shape: against_itself(8, shape, 2000) for shape in SHAPES
        },
        "any claim among four methods that are the baseline, 8 seeds": four_against_themselves(
            8, 1000
        ),
        "intervals that hold the truth": {seeds: coverage(seeds, 1000) for seeds in (5, 6, 8)},
        "a true gain of one point": {seeds: found_gain(seeds, 0.01, 1000) for seeds in (6, 8, 12)},
        "least p": {seeds: smallest_p(seeds) for seeds in (3, 5, 6, 8)},
    }
    for name, value in values.items():
        print(f"{name}: {value}")
    print(write_result("instrument", values))


if __name__ == "__main__":
    main()

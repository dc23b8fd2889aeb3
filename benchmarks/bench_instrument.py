"""The study as an instrument: what it claims where nothing differs, and what it finds.

python benchmarks/bench_instrument.py

Scores are simulated: a seed's own luck, shared by the methods of that seed, plus each run's
noise, as large as small students showed on CamVid. Thousands of studies are tested at once, by
the same arithmetic as ``segdistill.studies.joint``; the first of every row are tested by that
function too, and have to agree. Every rate has its 95 % Monte Carlo interval (Wilson).
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from itertools import product
from typing import Any

import numpy as np
from results_file import FOLDER, write_result
from scipy import special, stats

from segdistill.studies.comparison import compare_by_seed
from segdistill.studies.joint import joint_test
from segdistill.studies.statistics import holm, power, sign_flip_p, smallest_p

NOISE = 0.007  # standard deviation of a run beside its seed: a difference has 0.0099
NOISY = 0.016  # of a difference, in studies of many methods, which are often noisier
SHAPES = ("normal", "skewed", "heavy")
LEVEL = 0.05
STUDIES = 20_000
TABLE = "joint test, a gain of 2 points where methods are better"
_CHUNK = 500  # studies at once
_CHECKED = 3  # of each row, against the library
_ROUNDING = 1e-12


def draw(random: np.random.Generator, shape: str, *size: int) -> np.ndarray:
    """Return noise of standard deviation 1 (infinite tails for heavy: Student's t of 3)."""
    if shape == "skewed":
        return random.exponential(size=size) - 1
    if shape == "heavy":
        return random.standard_t(3, size=size) / np.sqrt(3)
    return random.standard_normal(size)


def rate(count: float, studies: int) -> dict[str, float]:
    """Return a share of studies with its 95 % Monte Carlo interval."""
    found = stats.binomtest(round(count), studies).proportion_ci(0.95, method="wilson")
    return {"rate": count / studies, "low": float(found.low), "high": float(found.high)}


def flips(seeds: int) -> np.ndarray:
    """Return every pattern of signs, of a pattern and its mirror image one."""
    bits = (np.arange(2 ** (seeds - 1))[:, None] >> np.arange(seeds)) & 1
    return 1.0 - 2.0 * bits


def ratios(changes: np.ndarray, signs: np.ndarray) -> np.ndarray:
    """Return |t| on a scale from 0 to 1, ``(S, M, F)`` of ``(S, M, n)``; see ``studies.joint``."""
    seeds = changes.shape[-1]
    squares = np.sqrt(seeds * (changes**2).sum(axis=-1, keepdims=True))
    return np.minimum(np.abs(changes @ signs.T) / squares, 1.0)


def joint_p(changes: np.ndarray, signs: np.ndarray) -> np.ndarray:
    """Return the family-wise p of every method of many studies, ``(S, M)`` of ``(S, M, n)``."""
    found = ratios(changes, signs)
    observed = found[..., 0] - _ROUNDING
    order = np.argsort(-observed, axis=1, kind="stable")
    ranked = np.take_along_axis(found, order[..., None], axis=1)
    largest = np.maximum.accumulate(ranked[:, ::-1], axis=1)[:, ::-1]  # of it and those below
    least = np.take_along_axis(observed, order, axis=1)[..., None]
    raw = np.maximum.accumulate((largest >= least).mean(axis=2), axis=1)
    p = np.empty_like(raw)
    np.put_along_axis(p, order, raw, axis=1)
    return p


def holm_p(changes: np.ndarray, signs: np.ndarray) -> np.ndarray:
    """Return the p of separate sign flips after Holm's correction, ``(S, M)``."""
    found = ratios(changes, signs)
    single = (found >= found[..., :1] - _ROUNDING).mean(axis=2)
    order = np.argsort(single, axis=1, kind="stable")
    weights = single.shape[1] - np.arange(single.shape[1])
    ranked = np.minimum(1.0, np.take_along_axis(single, order, axis=1) * weights)
    p = np.empty_like(ranked)
    np.put_along_axis(p, order, np.maximum.accumulate(ranked, axis=1), axis=1)
    return p


def intervals(changes: np.ndarray, signs: np.ndarray, claimed: np.ndarray) -> np.ndarray:
    """Return both ends of the simultaneous intervals, ``(2, S, M)``."""
    _, methods, seeds = changes.shape
    means = changes.mean(axis=2)
    sidak = -math.expm1(math.log1p(-LEVEL) / methods)
    tail = np.full(len(changes), sidak)
    if 2.0 ** (1 - seeds) <= LEVEL:
        top = ratios(changes - means[..., None], signs).max(axis=1)
        place = int(LEVEL * len(signs))
        top = -np.partition(-top, place, axis=1)[:, place]
        tails = special.betainc((seeds - 1) / 2, 0.5, np.clip((1 - top) * (1 + top), 0, 1))
        tail = np.minimum(LEVEL, np.maximum(sidak, tails))
    half = stats.t.isf(tail / 2, seeds - 1)[:, None] * changes.std(axis=2, ddof=1)
    half = half / math.sqrt(seeds)
    low, high = means - half, means + half
    tiny = math.ulp(0.0)
    low = np.where(claimed, np.where(means > 0, np.maximum(low, tiny), low), np.minimum(low, 0))
    high = np.where(
        claimed, np.where(means > 0, high, np.minimum(high, -tiny)), np.maximum(high, 0)
    )
    return np.stack([low, high])


def check_against_library(changes: np.ndarray, p: np.ndarray, ends: np.ndarray) -> None:
    """Stop where the fast arithmetic and the library's differ.

    Raises:
        ValueError: they do.
    """
    for study in range(min(_CHECKED, len(changes))):
        table = {str(m): dict(enumerate(own)) for m, own in enumerate(changes[study].tolist())}
        for method, test in enumerate(joint_test(table).values()):
            # Near 1 the library's tails round a pattern or two to the other side.
            theirs = min(0.5, test.p), test.interval.low, test.interval.high
            ours = min(0.5, p[study, method]), *ends[:, study, method]
            if not np.allclose(theirs, ours, rtol=1e-9, atol=1e-12):
                raise ValueError(f"bench_instrument: expected {theirs} of the library, got {ours}")
        single = holm([sign_flip_p(own) for own in changes[study].tolist()])
        if not np.allclose(single, holm_p(changes[study : study + 1], flips(changes.shape[2]))[0]):
            raise ValueError("bench_instrument: expected Holm's p of the library, got others")


def chunks(studies: int) -> Iterator[int]:
    """Yield sizes that add up to the number of studies."""
    yield from [_CHUNK] * (studies // _CHUNK)
    if studies % _CHUNK:
        yield studies % _CHUNK


def joint(
    methods: int,
    *,
    seeds: int,
    shape: str,
    gain: float,
    better: float,
    uneven: bool = False,
    plain: int = 1,
) -> dict[str, Any]:
    """Return how often the joint test errs and finds, against Holm over separate sign flips.

    Args:
        methods: compared with one plain student, so that their differences are correlated.
        seeds: of each.
        shape: of the noise.
        gain: of the methods that are truly better.
        better: share of the methods that are.
        uneven: let methods scatter by a half to twice as much as plain, so that differences of
            skewed noise are skewed themselves.
        plain: plain runs of each seed, whose mean is the baseline.
    """
    random = np.random.default_rng([methods, seeds, SHAPES.index(shape)])
    truth = np.where(np.arange(methods) < better * methods, gain, 0.0)
    null, signs = truth == 0, flips(seeds)
    # Of null methods and of better ones alike.
    scales = np.resize([0.5, 1.0, 1.5, 2.0], methods) if uneven else np.ones(methods)
    counted = dict.fromkeys(("wrong", "wrong, Holm", "all held", "found", "found, Holm"), 0.0)
    for size in chunks(STUDIES):
        noise = draw(random, shape, size, methods + plain, seeds)
        baseline = noise[:, :plain].mean(axis=1, keepdims=True)
        changes = NOISY * (scales[:, None] * noise[:, plain:] - baseline) / np.sqrt(2)
        changes += truth[:, None]
        p = joint_p(changes, signs)
        claimed = p <= LEVEL + _ROUNDING
        ends = intervals(changes, signs, claimed)
        check_against_library(changes, p, ends)
        corrected = holm_p(changes, signs) <= LEVEL
        counted["wrong"] += claimed[:, null].any(axis=1).sum()
        counted["wrong, Holm"] += corrected[:, null].any(axis=1).sum()
        counted["all held"] += ((ends[0] <= truth) & (truth <= ends[1])).all(axis=1).sum()
        if gain:
            counted["found"] += claimed[:, ~null].mean(axis=1).sum()
            counted["found, Holm"] += corrected[:, ~null].mean(axis=1).sum()
    return {name: rate(count, STUDIES) for name, count in counted.items()}


def known_rows() -> dict[str, dict[str, Any]]:
    """Return the rows of the result file, of as many studies; delete it to simulate all again."""
    file = FOLDER / "instrument.json"
    found = json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}
    rows: dict[str, dict[str, Any]] = found.get(TABLE, {})
    return rows if found.get("studies") == STUDIES else {}


def joint_table() -> dict[str, dict[str, Any]]:
    """Return the rates of :func:`joint` for 4, 12 and 25 methods, and print them as a table."""
    rows, known = {}, known_rows()
    print(f"{'methods, seeds, noise, truly better':49} wrong (95 %)      Holm   held   found  Holm")
    for seeds, methods, shape, better, uneven, plain in [
        *product((8,), (4, 12, 25), SHAPES, (0.0, 0.5, 1.0), (False,), (1,)),
        *product((10,), (12,), SHAPES, (0.5,), (False,), (1,)),
        *product((8,), (4, 25), SHAPES, (0.0,), (True,), (1,)),
        *product((8,), (4, 12, 25), SHAPES, (0.0, 0.5), (False,), (2,)),
    ]:
        gain = 0.02 if better else 0.0
        name = f"{methods} methods, {seeds} seeds, {shape}, {better:.0%} better"
        name += ", uneven" * uneven + ", two plain" * (plain == 2)
        rates = known.get(name) or joint(
            methods, seeds=seeds, shape=shape, gain=gain, better=better, uneven=uneven, plain=plain
        )
        wrong = rates["wrong"]
        verdict = "above 5 %" if wrong["low"] > LEVEL else "within 5 %"
        rows[name] = rates | {"family-wise error": verdict}
        others = (f"{100 * rates[key]['rate']:5.1f}" for key in list(rates)[1:5])
        print(
            f"{name:49} {100 * wrong['rate']:4.2f} "
            f"({100 * wrong['low']:.2f}-{100 * wrong['high']:.2f}) {'  '.join(others)}"
            f"{'  above 5 %' if verdict == 'above 5 %' else ''}",
            flush=True,
        )
    return rows


def one_method(
    random: np.random.Generator,
    *,
    seeds: int,
    gain: float = 0.0,
    shape: str = "normal",
    plain: int = 1,
) -> np.ndarray:
    """Return the differences of one method in many studies, ``(STUDIES, 1, seeds)``."""
    noise = draw(random, shape, 1 + plain, STUDIES, 1, seeds)
    return gain + NOISE * (noise[0] - noise[1:].mean(axis=0))


def claims(changes: np.ndarray) -> np.ndarray:
    """Return which studies of one method claim a difference."""
    signs = flips(changes.shape[2])
    parts = [joint_p(part, signs) for part in np.array_split(changes, max(1, len(changes) // 100))]
    claimed: np.ndarray = np.concatenate(parts)[:, 0] <= LEVEL + _ROUNDING
    return claimed


def against_itself(shape: str) -> dict[str, float]:
    """Return the share of studies that claim a difference where there is none."""
    changes = one_method(np.random.default_rng(1), seeds=8, shape=shape)
    return rate(claims(changes).sum(), STUDIES)


def extended(looks: tuple[int, ...]) -> dict[str, Any]:
    """Return how often a study that is given seeds until it claims something errs."""
    changes = one_method(np.random.default_rng(6), seeds=looks[-1])
    found = np.zeros(STUDIES, dtype=bool)
    rows = {}
    for seeds in looks:
        found |= claims(changes[..., :seeds])
        rows[f"by {seeds} seeds"] = rate(found.sum(), STUDIES)
    return rows


def coverage(seeds: int) -> dict[str, Any]:
    """Return how often intervals hold a gain of one point: ours, and a bootstrap of the seeds."""
    random, gain = np.random.default_rng(3), 0.01
    changes = one_method(random, seeds=seeds, gain=gain)[:, 0]
    half = stats.t.isf(0.025, seeds - 1) * changes.std(axis=1, ddof=1) / math.sqrt(seeds)
    ours = (np.abs(changes.mean(axis=1) - gain) <= half).sum()
    held = 0
    for own in np.array_split(changes[:1000], 10):
        drawn = random.integers(seeds, size=(len(own), 1000, seeds))
        means = np.take_along_axis(own[:, None], drawn, axis=2).mean(axis=2)
        low, high = np.quantile(means, [0.025, 0.975], axis=1)
        held += ((low <= gain) & (gain <= high)).sum()
    return {"t interval": rate(ours, STUDIES), "bootstrap of seeds": rate(held, 1000)}


def searched(repeats: int, studies: int = 1000) -> dict[str, Any]:
    """Return how often intervals of 16 seeds hold the truth where searches have luck of their own.

    The seeds of a search share what it chose, which adds half as much again as a seed to a
    difference.
    """
    random, gain, seeds = np.random.default_rng(5), 0.01, 16
    of = {seed: seed % repeats for seed in range(seeds)}
    held = {"the search as the sample": 0, "seeds as the sample": 0}
    for _ in range(studies):
        luck = 0.015 * random.standard_normal(repeats)
        noise = 0.010 * random.standard_normal(seeds)
        scores = {seed: float(gain + luck[of[seed]] + noise[seed]) for seed in of}
        for name, known in zip(held, (of, None), strict=True):
            found = compare_by_seed({"method": scores}, dict.fromkeys(of, 0.0), known)["method"]
            held[name] += found.simultaneous.low <= gain <= found.simultaneous.high
    return {name: rate(count, studies) for name, count in held.items()}


def found_gain(seeds: int, gain: float, plain: int = 1) -> dict[str, Any]:
    """Return the share of studies that claim a true gain, and what theory says of the interval."""
    changes = one_method(np.random.default_rng(4), seeds=seeds, gain=gain, plain=plain)
    error = changes[:, 0].std(axis=1, ddof=1) / math.sqrt(seeds)
    half = stats.t.isf(0.025, seeds - 1) * error
    excluded = (np.abs(changes[:, 0].mean(axis=1)) > half).sum()
    return {
        "claimed": rate(claims(changes).sum(), STUDIES),
        "interval excludes 0": rate(excluded, STUDIES),
        "power of the interval, computed": power(gain, NOISE * np.sqrt(1 + 1 / plain), seeds),
    }


def main() -> None:
    table: Mapping[str, Mapping[str, Any]] = joint_table()
    values: dict[str, Any] = {
        "studies": STUDIES,
        TABLE: table,
        "noise_deviation": NOISE,
        "claims where nothing differs, 8 seeds": {shape: against_itself(shape) for shape in SHAPES},
        "any claim where nothing differs and seeds are added until there is one": extended(
            (6, 8, 10, 12)
        ),
        "intervals that hold the truth": {seeds: coverage(seeds) for seeds in (5, 6, 8)},
        "intervals that hold the truth where searches have luck, 16 seeds": {
            f"{repeats} searches": searched(repeats) for repeats in (4, 8)
        },
        "a true gain of one point": {seeds: found_gain(seeds, 0.01) for seeds in (6, 8, 12)},
        "a true gain of one point, two plain runs of each seed": {
            seeds: found_gain(seeds, 0.01, plain=2) for seeds in (6, 8, 12)
        },
        "least p": {seeds: smallest_p(seeds) for seeds in (3, 5, 6, 8)},
    }
    for name, value in values.items():
        if value is not table:
            print(f"{name}: {value}")
    print(write_result("instrument", values))


if __name__ == "__main__":
    main()

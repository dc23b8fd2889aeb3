"""A training step beside busy programs: threads that wait as in libgomp, asleep, and as set here.

    python benchmarks/bench_neighbour.py

Forward and backward of a small network on every core, in a fresh process for each policy and
number of busy programs, which the script starts and ends itself. Policies take turns, round by
round; medians of all rounds' steps are compared. What else the machine did is the load average
in the result: where that is not near 0, "idle" is not idle. Targets: at most 2 % slower than
libgomp's own way without neighbours, at least 10 times faster beside them.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

from segdistill.threads import count_free_cores

BUSY = (0, 1, 2, 4)
POLICIES = {
    "libgomp": {"GOMP_SPINCOUNT": "300000"},  # what it does where no variable is set
    "asleep": {"OMP_WAIT_POLICY": "passive"},
    "segdistill": {},
}
STEPS, WARM_UP = 20, 2


def time_steps(threads: int, seconds: float) -> list[float]:
    """Return the seconds of each step, of as many as fit into the time."""
    import torch
    from torch import nn

    torch.set_num_threads(threads)
    torch.manual_seed(0)
    layers: list[nn.Module] = [nn.Conv2d(3, 32, 3, stride=4, padding=1)]
    for _ in range(16):
        layers += [nn.Conv2d(32, 32, 3, padding=1), nn.BatchNorm2d(32), nn.ReLU()]
    network, images = nn.Sequential(*layers), torch.rand(4, 3, 128, 192)
    times: list[float] = []
    began = time.perf_counter()
    while len(times) < STEPS + WARM_UP:
        start = time.perf_counter()
        network(images).square().mean().backward()
        times.append(time.perf_counter() - start)
        if time.perf_counter() - began > seconds:
            break
    return times[WARM_UP:] or times[-1:]


@contextmanager
def busy_programs(count: int) -> Iterator[None]:
    """Run so many programs that compute without end."""
    programs = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(count)]
    try:
        yield
    finally:
        for program in programs:
            program.kill()
            program.wait()


def in_fresh_process(policy: str, threads: int, seconds: float) -> list[float]:
    chosen = ("OMP_NUM_THREADS", "OMP_WAIT_POLICY", "GOMP_SPINCOUNT")
    environment = {name: value for name, value in os.environ.items() if name not in chosen}
    command = [sys.executable, __file__, "--job", str(threads), "--seconds", str(seconds)]
    done = subprocess.run(
        command,
        env=environment | POLICIES[policy],
        stdout=subprocess.PIPE,
        check=True,
        text=True,
    )
    return list(json.loads(done.stdout))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=20.0, help="at most, of a process")
    parser.add_argument("--job", type=int, help=argparse.SUPPRESS)
    words = parser.parse_args()
    if words.job:
        print(json.dumps(time_steps(words.job, words.seconds)))
        return
    threads = count_free_cores()
    load_before = os.getloadavg()
    times: dict[int, dict[str, list[float]]] = {
        busy: {policy: [] for policy in POLICIES} for busy in BUSY
    }
    for _ in range(words.rounds):
        for busy in BUSY:
            with busy_programs(busy):
                for policy in POLICIES:
                    times[busy][policy] += in_fresh_process(policy, threads, words.seconds)
    rows = []
    for busy, by_policy in times.items():
        median = {policy: statistics.median(values) for policy, values in by_policy.items()}
        faster = median["libgomp"] / median["segdistill"]
        rows.append(
            {
                "busy_programs": busy,
                "median_seconds": median,
                "steps": {policy: len(values) for policy, values in by_policy.items()},
                "faster": faster,
                "target": "at least 10 times faster" if busy else "at most 2 % slower",
                "met": faster >= (10 if busy else 1 / 1.02),
            }
        )
        print(f"{busy} busy: {median} -> {faster:.2f} times faster", flush=True)
    from results_file import write_result  # loads torch, which the processes are to do

    load = {"load_average_before": load_before, "load_average_after": os.getloadavg()}
    print(write_result("neighbour", {"threads": threads, "rows": rows} | load))


if __name__ == "__main__":
    main()

"""Threads beside other programs: what is set where the user has not, and what is free."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from segdistill import threads

POLICY = "import os; print(os.environ['OMP_WAIT_POLICY'], os.environ.get('GOMP_SPINCOUNT'))"
CHOSEN = ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT")


def run(code: str, **environment: str) -> subprocess.CompletedProcess[str]:
    inherited = {name: value for name, value in os.environ.items() if name not in CHOSEN}
    return subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        env=inherited | environment,
    )


@pytest.mark.parametrize("first", ["segdistill", "segdistill.cli", "torch, segdistill"])
def test_threads_soon_sleep_while_they_wait_and_nothing_is_said(first: str) -> None:
    done = run(f"import {first}; {POLICY}")
    assert done.stderr == ""
    assert done.stdout in ("passive 6000\n", "passive None\n")


@pytest.mark.parametrize(
    ("load", "cores", "spins"),
    [
        ("0.00 1.00 3.00 1/245 77", 2, "6000"),
        ("2.00 1.00 0.50 2/245 77", 2, None),
        ("9.00 9.00 9.00 7/245 77", 8, "6000"),
        ("9.00 9.00 9.00 8/245 77", 8, None),
        ("", 2, None),
    ],
)
def test_they_spin_first_where_a_core_is_free_for_each(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, load: str, cores: int, spins: str | None
) -> None:
    (tmp_path / "load").write_text(load)
    monkeypatch.setattr(threads, "_LOAD", tmp_path / "load")
    monkeypatch.setattr(threads, "count_free_cores", lambda: 2)
    monkeypatch.setattr(os, "cpu_count", lambda: cores)
    monkeypatch.setattr(os, "environ", {})
    threads.wait_passively()
    chosen = {"OMP_WAIT_POLICY": "passive"} | ({"GOMP_SPINCOUNT": spins} if spins else {})
    assert os.environ == chosen


@pytest.mark.parametrize(
    ("chosen", "expected"),
    [
        ({"OMP_WAIT_POLICY": "active"}, "active None\n"),
        ({"OMP_WAIT_POLICY": "passive"}, "passive None\n"),
        ({"GOMP_SPINCOUNT": "7"}, "passive 7\n"),
    ],
)
def test_what_the_user_has_set_stays(chosen: dict[str, str], expected: str) -> None:
    assert run(f"import segdistill; {POLICY}", **chosen).stdout == expected


@pytest.mark.long
def test_a_worker_that_begins_anew_has_it_before_torch() -> None:
    # As a spawned process or a task on another node, which unpickle a function of the package.
    code = (
        "import pickle, sys; "
        "pickle.loads(b'csegdistill.studies.cluster\\ntrain_away\\n.'); "
        "names = list(sys.modules); "
        "print(names.index('segdistill.threads') < names.index('torch')); "
    )
    assert run(code + POLICY).stdout.startswith("True\npassive ")


def test_free_cores_are_those_of_the_affinity(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threads, "_quotas", list)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {1, 4, 5}, raising=False)
    assert threads.count_free_cores() == 3


@pytest.mark.parametrize(
    ("inner", "outer", "expected"),
    [
        ("max 100000", "max 100000", 8),
        ("250000 100000", "max 100000", 3),
        ("400000 100000", "150000 100000", 2),
        ("50000 100000", "max 100000", 1),
        ("", "max 100000", 8),
    ],
)
def test_the_tightest_quota_of_a_container_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, inner: str, outer: str, expected: int
) -> None:
    group = tmp_path / "groups" / "pod" / "container"
    group.mkdir(parents=True)
    (group / "cpu.max").write_text(inner + "\n")
    (group.parent / "cpu.max").write_text(outer + "\n")
    (tmp_path / "cgroup").write_text("1:cpu:/elsewhere\n0::/pod/container\n")
    monkeypatch.setattr(threads, "_CGROUPS", tmp_path / "groups")
    monkeypatch.setattr(threads, "_OWN_GROUP", tmp_path / "cgroup")
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)), raising=False)
    assert threads.count_free_cores() == expected


def test_without_groups_there_is_no_quota(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threads, "_OWN_GROUP", tmp_path / "none")
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1}, raising=False)
    assert threads.count_free_cores() == 2


def test_threads_are_lowered_to_the_free_cores_and_never_raised(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(threads, "count_free_cores", lambda: 4)
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    assert [threads.choose_threads(count) for count in (1, 4, 64)] == [1, 4, 4]
    monkeypatch.setenv("OMP_NUM_THREADS", "64")
    assert threads.choose_threads(64) == 64

"""A search of students, whole: what is trained, what is not, and what a restart repeats."""

import multiprocessing
import os
import signal
from pathlib import Path

import pytest

from segdistill.errors import RunFolderError, SegdistillError
from segdistill.runs.layout import RESULT
from segdistill.runs.result import read_result
from segdistill.runs.settings import read_settings
from segdistill.runs.students import read_timed, read_together
from segdistill.runs.study import final_folder, find_final_runs
from segdistill.runs.trials import read_trials
from segdistill.studies.students.results import summarize_search
from segdistill.studies.students.run import run_search
from segdistill.training.events import Event, Progress, silent

from .conftest import FakeClock, Make

pytest.importorskip("optuna")


def begin(search: object, out: Path, clock: FakeClock, *, resume: bool = False) -> None:
    run_search(search, out, clock, dry_run=False, resume=resume, tell=silent)  # type: ignore[arg-type]


@pytest.mark.long
def test_fast_ones_are_trained_and_the_choice_again_on_all_images(
    tiny: Make, tmp_path: Path
) -> None:
    search, clock = tiny("latency.limit_ms=20", "seeds=2"), FakeClock(refuse=8)
    begin(search, tmp_path, clock)
    found = summarize_search(search, tmp_path)
    ends = {one.student["width"]: one.status for one in found.students}
    assert (ends.get(8, "refused"), ends.get(24, "too slow")) == ("refused", "too slow")
    assert ends[16] in ("done", "pruned")
    trials = read_trials(tmp_path)
    assert {t.data_seed for t in trials} == {trials[0].data_seed}, "the same batches for all"
    assert trials[0].data_seed not in search.seeds
    chosen = found.of(found.chosen)
    assert chosen.fits
    assert chosen.on_front
    assert chosen.low is not None
    assert chosen.low <= (chosen.miou or 0.0) <= (chosen.high or 0.0)
    scores = {
        seed: read_result(final_folder(tmp_path, "students", seed, found.chosen)) for seed in (0, 1)
    }
    assert found.final.seeds == {seed: result.miou for seed, result in scores.items()}
    assert found.final.split == "val"
    settings = read_settings(final_folder(tmp_path, "students", 1, found.chosen))
    assert (settings["data"]["seed"], settings["data"]["holdout"]) == (1, 0.0)
    assert found.command.startswith("segdistill export ")
    assert "seed-0" in found.command
    assert len(found.reasons) >= 1
    before = {file: file.stat().st_mtime_ns for file in tmp_path.rglob(RESULT)}
    again = FakeClock()
    with pytest.raises(RunFolderError, match="a search that has started; continue with --resume"):
        begin(search, tmp_path, again)
    with pytest.raises(RunFolderError, match=r"limit_ms 20\.0 \(now 9\.0\); restore them"):
        begin(tiny("latency.limit_ms=9"), tmp_path, again, resume=True)
    begin(search, tmp_path, again, resume=True)
    assert again.timed == []
    assert {file: file.stat().st_mtime_ns for file in tmp_path.rglob(RESULT)} == before


@pytest.mark.long
def test_a_search_killed_anywhere_goes_on_without_repeating(tiny: Make, tmp_path: Path) -> None:
    search = tiny("latency.limit_ms=30")
    begin(search, tmp_path / "whole", FakeClock())

    def kill_after(cohorts: int, stage: str) -> object:
        def tell(event: Event) -> None:
            if isinstance(event, Progress) and (event.stage, event.done) == (stage, cohorts):
                os.kill(os.getpid(), signal.SIGKILL)

        return tell

    killed = tmp_path / "killed"
    for moment in (kill_after(1, "search, students"), kill_after(1, "search, final runs")):
        before = {file: file.stat().st_mtime_ns for file in killed.rglob(RESULT)}
        child = multiprocessing.get_context("fork").Process(
            target=run_search,
            args=(search, killed, FakeClock()),
            kwargs={"resume": True, "dry_run": False, "tell": moment},
        )
        child.start()
        child.join()
        assert child.exitcode == -signal.SIGKILL
        assert before.items() <= {f: f.stat().st_mtime_ns for f in killed.rglob(RESULT)}.items()
    begin(search, killed, FakeClock(), resume=True)

    def findings(out: Path) -> object:
        trials = {(t.method, t.status, t.miou, t.config_hash) for t in read_trials(out)}
        finals = {(r.method, r.seed, read_result(r.folder).miou) for r in find_final_runs(out)}
        return trials, finals, [one.name for one in read_timed(out)]

    assert findings(killed) == findings(tmp_path / "whole")
    # More trials and seeds extend it.
    more = tiny("latency.limit_ms=30", "search.trials=4", "seeds=2")
    begin(more, killed, FakeClock(), resume=True)
    assert len(read_trials(killed)) == 4
    assert {run.seed for run in find_final_runs(killed)} == {0, 1}


def test_a_limit_that_none_keeps_names_the_fastest_and_trains_none(
    tiny: Make, tmp_path: Path
) -> None:
    clock = FakeClock()
    with pytest.raises(
        SegdistillError,
        match=r"expected a student that keeps 3 ms, got 8\.0 ms at the least, of lraspp-\d+ "
        r"\(network lraspp, .*width 8\); allow more with --latency",
    ):
        begin(tiny("latency.limit_ms=3"), tmp_path, clock)
    assert len(clock.timed) == 6, "the whole space"
    assert read_trials(tmp_path) == []
    assert read_together(tmp_path) is None


def test_a_dry_run_times_the_first_round_which_is_kept_until_a_setting_changes(
    tiny: Make, tmp_path: Path
) -> None:
    for words, count in (((), 2), ((), 2), (("latency.limit_ms=100",), 2)):
        clock = FakeClock()
        run_search(tiny(*words), tmp_path, clock, dry_run=True, resume=False, tell=silent)
        assert len(read_timed(tmp_path)) == count
        first = read_timed(tmp_path)[0]
    assert len(clock.timed) == 2, "another limit times again"
    assert first.name == "lraspp-0"
    assert read_trials(tmp_path) == []


def test_no_folder_is_made_without_the_teachers_weights(tiny: Make, tmp_path: Path) -> None:
    words = ("teacher.untrained=false", "teacher.weights=lost.safetensors")
    with pytest.raises(FileNotFoundError, match="expected a file at"):
        begin(tiny(*words), tmp_path / "search", FakeClock())
    assert not (tmp_path / "search").exists()


def test_a_folder_of_something_else_is_refused(tiny: Make, tmp_path: Path) -> None:
    (tmp_path / "a.jpg").touch()
    with pytest.raises(RunFolderError, match="expected a new or empty folder"):
        begin(tiny(), tmp_path, FakeClock())

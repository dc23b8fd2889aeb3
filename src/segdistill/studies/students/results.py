"""What a search of students found: every student, the front, the choice and its score."""

from __future__ import annotations

import shlex
from collections.abc import Collection, Mapping
from pathlib import Path
from statistics import fmean, stdev

from segdistill.config import StudentSearchConfig
from segdistill.config.students import count_students
from segdistill.errors import SegdistillError
from segdistill.runs.confusion import read_image_counts
from segdistill.runs.result import Result, find_end, has_result, read_failure, read_result
from segdistill.runs.students import (
    FinalScore,
    Found,
    Student,
    Time,
    Timed,
    Together,
    read_timed,
    read_together,
)
from segdistill.runs.study import final_folder
from segdistill.runs.trials import Trial, read_trials
from segdistill.studies.bootstrap import bootstrap_mean, bootstrap_miou
from segdistill.studies.budget import Verdict, told_apart, why_chosen
from segdistill.studies.front import front
from segdistill.studies.students.choice import Finished, choose_student, finished_students
from segdistill.studies.students.configs import PAIR


def summarize_search(
    search: StudentSearchConfig, out: Path, *, trust: Collection[str] = ()
) -> Found:
    """Return everything that a finished search found.

    Args:
        search: the search.
        out: its folder.
        trust: targets that the command of the export has to trust.

    Raises:
        SegdistillError: no final run was trained to the end, or as for
            :func:`segdistill.studies.students.choice.choose_student`.
    """
    finished, verdict = finished_students(search, out), choose_student(search, out)
    trials = {trial.method: trial for trial in read_trials(out)}
    edge = front([(one.time.median_ms, trials[name].miou or 0.0) for name, one in finished.items()])
    students = tuple(
        _student(one, trials.get(one.name), finished, edge)
        for one in read_timed(out)
        if one.name in trials or not one.trained  # with fewer trials some remain untrained
    )
    together = read_together(out) or Together()
    final = _final(search, out, verdict.chosen)
    return Found(
        hash=search.hash(),
        limit_ms=search.latency.limit_ms,
        size=together.size,
        device=together.device,
        threads=together.threads,
        others=together.others,
        space=count_students(search.families),
        images=len(finished[verdict.chosen].counts),
        students=students,
        best=verdict.best,
        chosen=verdict.chosen,
        equals=verdict.equals,
        reasons=_reasons(search, verdict, finished),
        final=final,
        command=_command(search, out, verdict.chosen, trust),
    )


def _student(
    one: Timed,
    trial: Trial | None,
    finished: Mapping[str, Finished],
    edge: list[tuple[float, float]],
) -> Student:
    done = finished.get(one.name)
    time: Time | None = one.time if done is None else done.time
    interval = None if done is None else bootstrap_miou(done.counts)
    miou = None if trial is None else trial.miou
    return Student(
        name=one.name,
        number=one.number,
        family=one.family,
        student=one.student,
        status=trial.status if trial is not None else "too slow" if one.time else "refused",
        time=time,
        fits=one.trained if done is None else done.fits,
        on_front=done is not None and (done.time.median_ms, miou or 0.0) in edge,
        miou=miou,
        low=None if interval is None else interval.low,
        high=None if interval is None else interval.high,
        step=0 if trial is None else trial.step,
        seconds=0.0 if trial is None else trial.seconds,
        error=one.error if trial is None else trial.error,
    )


def _reasons(
    search: StudentSearchConfig, verdict: Verdict, finished: Mapping[str, Finished]
) -> tuple[str, ...]:
    """Return why a student was chosen, a sentence each."""
    under = [name for name, one in finished.items() if one.fits]
    limit = search.latency.limit_ms
    kept = "" if limit is None else f" under {limit:g} ms in nine of ten passes"
    first = f"of the {len(under)} students{kept}, {verdict.best} has the highest mIoU"
    if len(under) == 1:
        first = f"{verdict.best} is the only student{kept}"
    worse = len(verdict.behind) - len(verdict.equals)
    others = [f"it is better than {worse} of the others"] if worse else []
    return (first, *others, *told_apart(verdict, verdict.equals), *why_chosen(verdict))


def _final(search: StudentSearchConfig, out: Path, name: str) -> FinalScore:
    folders = {seed: final_folder(out, PAIR, seed, name) for seed in search.seeds}
    results = {seed: read_result(run) for seed, run in folders.items() if has_result(run)}
    failed = {
        seed: read_failure(run).error for seed, run in folders.items() if find_end(run) == "failed"
    }
    if not results:
        said = next(iter(failed.values()), "none was trained")
        raise SegdistillError(
            f"search: expected a run of {name} with a score, got none: {said}; see its folders in "
            f"{folders[search.seeds[0]].parents[1]}"
        )
    scores = {seed: result.miou for seed, result in results.items()}
    images = [read_image_counts(folders[seed]) for seed in results]
    counts = [kept.counts for kept in images if kept is not None]
    labelled = [own[own.sum(axis=(1, 2)) > 0] for own in counts]
    interval = bootstrap_mean(labelled) if len(labelled) == len(results) else None
    first: Result = next(iter(results.values()))
    return FinalScore(
        split=first.split,
        images=first.images,
        seeds=scores,
        mean=fmean(scores.values()),
        deviation=stdev(scores.values()) if len(scores) > 1 else None,
        low=None if interval is None else interval.low,
        high=None if interval is None else interval.high,
        failed=failed,
    )


def _command(search: StudentSearchConfig, out: Path, name: str, trust: Collection[str]) -> str:
    """Return the export of the first seed's run: the best on the reported split would flatter."""
    ended = (final_folder(out, PAIR, seed, name) for seed in search.seeds)
    run = next(run for run in ended if has_result(run))
    words = ["segdistill", "export", str(run), "--format", "onnx"]
    return shlex.join([*words, *(word for target in trust for word in ("--trust", target))])

"""A search of students from its file to the last run of the one that was chosen."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from math import ceil
from pathlib import Path

from segdistill.config import StudentSearchConfig, Tree, check_search
from segdistill.config.identity import differing, identity_of_search, in_words
from segdistill.errors import ConfigError, RunFolderError, SegdistillError
from segdistill.runs.identity import Identity, read_identity, write_identity
from segdistill.runs.layout import LOCK
from segdistill.runs.lock import hold_folder
from segdistill.runs.result import find_end
from segdistill.runs.search import trial_folder
from segdistill.runs.students import (
    Time,
    Timed,
    Together,
    append_timed,
    forget_timed,
    is_search,
    read_search,
    read_timed,
    read_together,
    write_search,
    write_together,
)
from segdistill.runs.study import has_begun
from segdistill.runs.trials import Trial, append_trial, read_trial, read_trials
from segdistill.studies.cohorts import Job
from segdistill.studies.execute import execute
from segdistill.studies.halving import rungs
from segdistill.studies.students.choice import choose_student, too_slow
from segdistill.studies.students.configs import PAIR, final_config, trial_config
from segdistill.studies.students.space import Suggestion, suggest_student
from segdistill.training.contents import contents_of
from segdistill.training.events import Note, Tell
from segdistill.training.resume import check_contents

_MOST_TIMED = 20  # students per trial, so that a limit that none keeps ends the search

Clock = Callable[[Mapping[str, Tree]], tuple[Together, Mapping[str, str]]]
"""Times students in turns, by name; and says why others could not be built or run."""


def run_search(
    search: StudentSearchConfig,
    out: Path,
    clock: Clock,
    *,
    dry_run: bool,
    resume: bool,
    tell: Tell,
) -> None:
    """Time, train and compare students, and train the one that is chosen over all seeds.

    Args:
        search: the checked search file.
        out: folder of the search.
        clock: times students.
        dry_run: stop when the students of the first round have been timed.
        resume: continue an interrupted search; what was timed or trained is kept.
        tell: called with every event.

    Raises:
        ConfigError, DataError, CheckpointError: no student can be trained as configured.
        RunFolderError: the folder holds something else, or a search without ``resume``, or another
            process writes to it.
        SegdistillError: no student keeps the limit, or none was trained to the end.
        KeyboardInterrupt: interrupted; it can be resumed.
    """
    contents = _contents(search)  # a missing teacher is reported before a folder is made
    with hold_folder(out):
        _claim(search, out, contents, resume=resume)
        if dry_run:
            _time_round(search, out, clock, 0, tell)
            return
        for round_number in range(search.search.trials):
            students = _time_round(search, out, clock, round_number, tell)
            if not students:
                break
            _train(search, out, students, tell)
        _time_together(search, out, clock, tell)
        chosen = choose_student(search, out).chosen
        tell(Note(f"chosen: {chosen}; it is trained over {len(search.seeds)} seeds"))
        student = next(dict(one.student) for one in read_timed(out) if one.name == chosen)
        jobs = [
            Job("final", PAIR, seed, {chosen: final_config(search, student, seed)})
            for seed in search.seeds
        ]
        for _ in execute(jobs, search.engine, out, "search, final runs", tell):
            pass


def _contents(search: StudentSearchConfig) -> dict[str, str]:
    """Return the SHA-256 of the files that the search names, by key."""
    family = next(iter(search.families.values()))
    return contents_of(trial_config(search, {key: values[0] for key, values in family.items()}))


def _claim(
    search: StudentSearchConfig, out: Path, contents: Mapping[str, str], *, resume: bool
) -> None:
    """Refuse a folder of something else, and write what is searched."""
    if not is_search(out) and any(entry.name != LOCK for entry in out.iterdir()):
        raise RunFolderError(f"{out}: expected a new or empty folder; choose another with --out")
    before = identity_of_search(_stored(out)) if is_search(out) else None
    changed = differing(before or {}, identity_of_search(search))
    if before is not None and has_begun(out):
        if changed:
            raise RunFolderError(
                f"{out}: expected a search with the same settings, got different ones: "
                f"{in_words(changed)}; restore them, or choose another folder (only seeds and "
                "trials can be added)"
            )
        known = read_identity(out)
        if known is not None:
            check_contents(out, known.contents, contents)
        if not resume:
            raise RunFolderError(
                f"{out}: expected a new folder, got a search that has started; continue with "
                "--resume"
            )
    elif changed:
        forget_timed(out)  # of a dry run with other settings
    write_search(out, search.tree())
    write_identity(out, Identity(contents=contents))


def _stored(out: Path) -> StudentSearchConfig:
    try:
        return check_search(read_search(out))
    except ConfigError as error:
        raise RunFolderError(
            f"{out}: expected a search that this release can read, got another: {error}; choose "
            "another folder with --out"
        ) from None


def _time_round(
    search: StudentSearchConfig, out: Path, clock: Clock, number: int, tell: Tell
) -> list[Timed]:
    """Suggest and time students until a round is full, and return those to train.

    A student whose median pass takes longer than the limit is not trained, and another one is
    suggested in its place.
    """
    settings = search.search
    while True:
        timed = read_timed(out)
        own = [one for one in timed if one.trained and one.round == number]
        earlier = sum(one.trained and one.round < number for one in timed)
        missing = min(settings.parallel, settings.trials - earlier) - len(own)
        begun = any(one.round > number for one in timed)
        if missing <= 0 or begun or len(timed) >= _MOST_TIMED * settings.trials:
            return own
        rounds = {one.name: one.round for one in timed}
        trials = {t.method: t for t in read_trials(out) if rounds[t.method] < number}
        suggested = list[Suggestion]()
        for _ in range(missing):
            one = suggest_student(search, timed, trials, suggested)
            suggested += [] if one is None else [one]
        if not suggested:
            return own
        first = len(timed)
        named = {f"{one.family}-{first + place}": one for place, one in enumerate(suggested)}
        together, refused = clock({name: one.student for name, one in named.items()})
        lines = [
            _line(search, name, first + place, number, one, together.times.get(name), refused)
            for place, (name, one) in enumerate(named.items())
        ]
        append_timed(out, lines)
        tell(Note("; ".join(map(_told, lines))))


def _line(
    search: StudentSearchConfig,
    name: str,
    number: int,
    round_number: int,
    one: Suggestion,
    time: Time | None,
    refused: Mapping[str, str],
) -> Timed:
    limit = search.latency.limit_ms
    return Timed(
        name=name,
        number=number,
        round=round_number,
        family=one.family,
        student=one.student,
        time=time,
        trained=time is not None and (limit is None or time.median_ms <= limit),
        error=refused.get(name),
    )


def _told(one: Timed) -> str:
    if one.time is None:
        return f"{one.name} cannot be built: {one.error}"
    return f"{one.name} {one.time.median_ms:.1f} ms" + ", too slow" * (not one.trained)


def _train(search: StudentSearchConfig, out: Path, students: Sequence[Timed], tell: Tell) -> None:
    """Train the students of a round that have not ended, in cohorts."""
    settings, number = search.search, students[0].round
    size, total = settings.cohort, len(students)
    jobs = [_job(search, out, students[start : start + size]) for start in range(0, total, size)]
    _record(out, students)
    per_round = ceil(settings.parallel / size)
    counted = (number * per_round, ceil(settings.trials / settings.parallel) * per_round)
    for job in execute(jobs, search.engine, out, "search, students", tell, counted=counted):
        _record(out, [one for one in students if one.name in job.configs])
    trials = {trial.method: trial for trial in read_trials(out)}
    tell(Note(f"round {number}: " + ", ".join(_scored(trials[one.name]) for one in students)))


def _job(search: StudentSearchConfig, out: Path, students: Sequence[Timed]) -> Job:
    """Return a cohort; its students are stopped early by those before them that are no slower.

    Among all, the small ones of the front would be stopped by large ones.
    """
    pruning, number = search.search.pruning, students[0].round
    configs = {one.name: trial_config(search, dict(one.student)) for one in students}
    seen: dict[str, dict[int, list[float]]] = {one.name: {} for one in students}
    if pruning is not None:
        timed = {one.name: one for one in read_timed(out)}
        earlier = [t for t in read_trials(out) if timed[t.method].round < number]
        for one in students:
            rivals = [t.scores for t in earlier if _ms(timed[t.method]) <= _ms(one)]
            for step in rungs(configs[one.name].training.steps, pruning):
                seen[one.name][step] = [own[str(step)] for own in rivals if str(step) in own]
    return Job("search", PAIR, number, configs, seen, 0 if pruning is None else pruning.factor)


def _ms(one: Timed) -> float:
    assert one.time is not None, "only students with a time are trained"
    return one.time.median_ms


def _record(out: Path, students: Sequence[Timed]) -> None:
    """Append the trials that have ended to ``trials.jsonl``, unless they are in it."""
    known = {trial.method for trial in read_trials(out)}
    for one in students:
        run = out / trial_folder(PAIR, one.round) / one.name
        if one.name not in known and find_end(run):
            append_trial(out, read_trial(run, PAIR, one.name, one.number, one.student))


def _scored(trial: Trial) -> str:
    score = "failed" if trial.miou is None else f"{100 * trial.miou:.1f}"
    return f"{trial.method} {score}" + " (stopped)" * (trial.status == "pruned")


def _time_together(search: StudentSearchConfig, out: Path, clock: Clock, tell: Tell) -> None:
    """Time all students that were trained to the end in turns, since rounds had other hours."""
    done = {trial.method for trial in read_trials(out) if trial.status == "done"}
    timed = read_timed(out)
    if not done:
        raise SegdistillError(_why_none(search, timed, read_trials(out)))
    known = read_together(out)
    if known is None or known.times.keys() != done:
        tell(Note(f"timing {len(done)} students in turns"))
        together, _ = clock({one.name: dict(one.student) for one in timed if one.name in done})
        write_together(out, together)


def _why_none(search: StudentSearchConfig, timed: Sequence[Timed], trials: Sequence[Trial]) -> str:
    """Return why no student was trained to the end."""
    errors = [trial.error for trial in trials if trial.error]
    errors += [one.error for one in timed if one.error]
    if trials or all(one.time is None for one in timed):
        said = f", the first error: {errors[0]}" if errors else ""
        return f"search: expected a student that is trained to the end, got none{said}"
    fastest = min((one for one in timed if one.time is not None), key=_ms)
    return too_slow(search, fastest.name, _ms(fastest), fastest.student)

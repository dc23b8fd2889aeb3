"""Choose: which student to ship, as which file, under a limit of time."""

from __future__ import annotations

import os
import shlex
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from segdistill.api.export import cost_size, export, open_validation, views_of
from segdistill.catalogue.formats import FORMATS, format_of, is_exported
from segdistill.config import RunConfig
from segdistill.delivery.gate import Timing, time_beside
from segdistill.delivery.load import watch_others
from segdistill.delivery.opened import OpenedFile, RuntimeRefusalError
from segdistill.delivery.opening import find_format, open_file
from segdistill.errors import ConfigError, DataError, FileRefusedError, SegdistillError
from segdistill.runs.confusion import read_image_counts
from segdistill.runs.layout import EXPORT
from segdistill.runs.result import has_result, read_result
from segdistill.runs.settings import has_settings
from segdistill.runs.student import student_file
from segdistill.scoring.evaluator import evaluate
from segdistill.studies.budget import Verdict, decide
from segdistill.studies.statistics import Interval
from segdistill.training.events import Progress, Tell, silent
from segdistill.training.finished_run import CheckedRun, check_run, find_run, find_runs
from segdistill.trust import program_name
from segdistill.types import Sample, SegDataset


@dataclass(frozen=True)
class Candidate:
    """A file that may be shipped.

    Attributes:
        name: the run and the format, or the file.
        format: a name of ``segdistill.catalogue.formats.FORMATS``.
        run: folder or weights of its run; None for a file by itself.
        file: where it lies; None where it was written for the measurement alone.
        mib: size of all that belongs to it.
        timing: of one image, in turn with the others.
        fits: whether nine of ten passes keep the limit.
    """

    name: str
    format: str
    run: Path | None
    file: Path | None
    mib: float
    timing: Timing
    fits: bool


@dataclass(frozen=True)
class Choice:
    """What to ship, with the evidence.

    Attributes:
        candidates: the files measured, fastest first.
        verdict: over those that keep the limit; its names are theirs.
        left_out: why others were not measured, by name.
        images: how many images were scored.
        size: height and width of the image that was timed.
        limit_ms: of the time, None for none.
        others: share of the machine's processors that other programs took meanwhile.
        command: what exports the chosen file, or uses it where it lies.
    """

    candidates: tuple[Candidate, ...]
    verdict: Verdict
    left_out: Mapping[str, str]
    images: int
    size: tuple[int, int]
    limit_ms: float | None
    others: float | None
    command: str

    @property
    def chosen(self) -> Candidate:
        """What to ship."""
        return next(one for one in self.candidates if one.name == self.verdict.chosen)


@dataclass(frozen=True)
class _Source:
    """What is to be measured.

    Attributes:
        name: see :class:`Candidate`.
        format: see :class:`Candidate`.
        file: where it lies, if it does.
        word: names its run, None for a file by itself.
        run: as checked.
        folder: of the run, None where other weights than the folder's own are meant.
    """

    name: str
    format: str
    file: Path
    word: Path | None = None
    run: CheckedRun | Path | None = None
    folder: Path | None = None


def choose(
    sources: str | Path | Sequence[str | Path],
    *,
    limit_ms: float | None = None,
    formats: Sequence[str] = (),
    size: tuple[int, int] | None = None,
    threads: int = 1,
    passes: int = 21,
    scored: int | None = None,
    overrides: Sequence[str] = (),
    trust: Collection[str] = (),
    tell: Tell = silent,
) -> Choice:
    """Say which student to ship, as which file: the cheapest that cannot be told from the best.

    The files are timed in turn and scored on the same images. A run's file that is missing, or
    was made of other weights, is written to a temporary folder, where it passes the gate of
    export or is left out. Where the data are not at hand, files that compute what their network
    does count with the scores of their run.

    Example::

        segdistill.choose("runs/students", limit_ms=20, formats=["onnx-int8"]).chosen

    Args:
        sources: run folders, folders of runs, safetensors files that runs wrote, and exported
            files.
        limit_ms: milliseconds that nine of ten passes over one image must keep; None for none.
        formats: names of ``segdistill.catalogue.formats.FORMATS`` to consider; by default those
            that a run has files of, or ``onnx``.
        size: height and width of the timed image; that of the first run's cost by default.
        threads: of the processor.
        passes: over the image, of each file.
        scored: how many validation images they are scored on; all by default.
        overrides: ``a.b=value`` words on the runs' configs, such as ``data.root=…``.
        trust: ``import:`` and ``file:`` targets that files may name.
        tell: called with what is written and scored.

    Raises:
        ConfigError: an unknown format, a missing package, or students of different classes.
        RunFolderError: a folder holds no finished run.
        DataError: there is no score to compare by.
        SegdistillError: no file keeps the limit.
    """
    words = (tuple(overrides), tuple(trust))
    paths = [Path(each) for each in ([sources] if isinstance(sources, str | Path) else sources)]
    for name in formats:
        find_format("choose", name)
    found = list({os.path.abspath(one.name): one for one in _find(paths, formats, words)}.values())
    config = next((one.run.config for one in found if isinstance(one.run, CheckedRun)), None)
    data = open_validation(config, scored, tell)
    folder = next((one.folder for one in found if one.folder is not None), None)
    at = size or ((256, 256) if folder is None else cost_size(folder))
    opened: dict[str, OpenedFile] = {}
    counts: dict[str, np.ndarray] = {}
    kept: set[str] = set()
    left_out: dict[str, str] = {}
    with TemporaryDirectory(prefix="segdistill-choose-") as temporary:
        for number, source in enumerate(found):
            try:
                place = Path(temporary) / str(number)
                file, lies = _open(source, place, at, threads, scored, trust, tell)
                counts[source.name] = _count(source, file, data, config, tell)
            except (FileRefusedError, RuntimeRefusalError, DataError) as error:
                left_out[source.name] = str(error)
                continue
            opened[source.name] = file
            kept |= {source.name} if lies else set()
        if not opened:
            raise DataError(
                "choose: expected files that run and can be scored, got none:"
                + "".join(f"\n  {name}: {reason}" for name, reason in left_out.items())
            )
        with watch_others() as others:
            timings = time_beside(opened, at, threads=threads, passes=passes)
        candidates = tuple(
            Candidate(
                name=source.name,
                format=source.format,
                run=source.word,
                file=source.file if source.name in kept else None,
                mib=_mib(opened[source.name].file, source.format),
                timing=timings[source.name],
                fits=limit_ms is None or timings[source.name].high_ms <= limit_ms,
            )
            for source in sorted(
                (one for one in found if one.name in opened),
                key=lambda one: timings[one.name].median_ms,
            )
        )
    fitting = {one.name: one.timing for one in candidates if one.fits}
    if not fitting:
        first = min(candidates, key=lambda one: one.timing.high_ms)
        raise SegdistillError(
            f"choose: expected a file that keeps {limit_ms:g} ms in nine of ten passes, got "
            f"{first.timing.high_ms:.1f} ms at the least, of {first.name}; allow more, take a "
            "smaller student or --size, or another --runtime"
        )
    verdict = decide(
        {name: counts[name] for name in fitting},
        {name: Interval(at.low_ms, at.median_ms, at.high_ms) for name, at in fitting.items()},
    )
    chosen = next(one for one in candidates if one.name == verdict.chosen)
    return Choice(
        candidates=candidates,
        verdict=verdict,
        left_out=left_out,
        images=len(counts[verdict.chosen]),
        size=at,
        limit_ms=limit_ms,
        others=others.share,
        command=_command(chosen, overrides, trust),
    )


def _find(
    paths: Sequence[Path], formats: Sequence[str], words: tuple[Sequence[str], Sequence[str]]
) -> Iterator[_Source]:
    """Yield each run in each format, and each file."""
    for path in paths:
        if is_exported(path):
            format = format_of(path) or ""
            if formats and format not in formats:
                raise ConfigError(
                    f"choose: expected a file of {', '.join(formats)}, got {path} of {format}; "
                    "leave it out, or name its --runtime too"
                )
            beside = path.parent if has_settings(path.parent) else None
            run = None if beside is None else check_run(beside, *words)
            yield _Source(str(path), format, path, beside, run, beside)
            continue
        for folder in find_runs(path):
            files = find_run(folder)
            checked = check_run(folder, *words) if files.has_config or words[0] else files.weights
            own = files.folder if files.weights == student_file(files.folder) else None
            there = {name: files.folder / f"{EXPORT}{row.suffix}" for name, row in FORMATS.items()}
            exported = [name for name, file in there.items() if own is not None and file.is_file()]
            for format in list(formats) or exported or ["onnx"]:
                name = f"{folder} {format}"
                yield _Source(name, format, there[format], folder, checked, own)


def _open(
    source: _Source,
    place: Path,
    size: tuple[int, int],
    threads: int,
    scored: int | None,
    trust: Collection[str],
    tell: Tell,
) -> tuple[OpenedFile, bool]:
    """Open the source's file, or one written to a place; and whether it was the file itself."""
    given = source.name == str(source.file)
    if given or (source.folder is not None and source.file.is_file()):
        file = open_file(source.file, source.format, threads=threads, trust=trust)
        if given or (source.folder is not None and _is_of(file, source.folder)):
            return file, True
    assert source.run is not None
    made = place / source.file.name
    try:
        export(source.run, made, format=source.format, size=size, scored=scored, tell=tell)
    except ValueError as error:  # torch cannot export it
        raise FileRefusedError(str(error)) from error
    trusted = [program_name(made)]  # it was written here
    return open_file(made, source.format, threads=threads, trust=trusted), False


def _is_of(file: OpenedFile, folder: Path) -> bool:
    """Return whether a file was made of the run as it is now."""
    if not has_result(folder):
        return False
    made, result = file.contract.provenance, read_result(folder)
    return (made.get("config_hash"), made.get("miou")) == (result.config_hash, result.miou)


def _count(
    source: _Source,
    file: OpenedFile,
    data: SegDataset | None,
    config: RunConfig | None,
    tell: Tell,
) -> np.ndarray:
    """Return the confusion matrix of each image."""
    if data is None:
        quantised = FORMATS[source.format].loss_points is not None
        kept = None if quantised or source.folder is None else read_image_counts(source.folder)
        if kept is None:
            raise DataError(
                f"{source.file}: expected images to score it on, got none; name a run whose data "
                "are at hand, as with data.root=..."
            )
        return kept.counts
    if file.contract.classes != data.classes.names:
        raise ConfigError(
            f"choose: expected students of the {len(data.classes)} classes of the data, got "
            f"{source.name} of {len(file.contract.classes)}, "
            f"{', '.join(file.contract.classes[:3])} first; compare students of one set of classes"
        )

    def count(index: int, _sample: Sample, _ids: np.ndarray) -> None:
        tell(Progress(f"scoring {source.name}", index + 1, len(data), {}))

    result = evaluate(
        file, data, batch_size=1, keep_images=True, on_image=count, **views_of(config)
    )
    assert result.image_counts is not None
    counts: np.ndarray = result.image_counts.numpy()
    return counts


def _mib(file: Path, format: str) -> float:
    companion = FORMATS[format].companion
    parts = [file, *([file.with_suffix(companion)] if companion else [])]
    return sum(part.stat().st_size for part in parts) / 2**20


def _command(chosen: Candidate, overrides: Sequence[str], trust: Collection[str]) -> str:
    if chosen.file is not None:
        words = ["segdistill", "predict", str(chosen.file), "PHOTOS"]
        trust = [program_name(chosen.file)] if FORMATS[chosen.format].code else []
    else:
        words = ["segdistill", "export", str(chosen.run), *overrides, "--format", chosen.format]
    return shlex.join([*words, *(word for target in trust for word in ("--trust", target))])

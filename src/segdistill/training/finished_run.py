"""A finished run: its files, and its config with overrides; free of torch."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

from segdistill import config as configs
from segdistill.classes import NamedClassMap
from segdistill.config import RunConfig
from segdistill.errors import ConfigError, RunFolderError
from segdistill.runs.layout import SETTINGS, STUDENT
from segdistill.runs.settings import has_settings, read_settings
from segdistill.runs.student import run_of, student_file
from segdistill.trust import check_from_file, named

_CLASS_MAP = "student.class_map="


@dataclass(frozen=True)
class RunFiles:
    """A run folder and one of its weights files.

    Attributes:
        folder: the run folder, or the folder of a separate weights file.
        weights: safetensors file of the student.
    """

    folder: Path
    weights: Path

    @property
    def name(self) -> str:
        """Its name in tables."""
        return self.folder.name

    @property
    def has_config(self) -> bool:
        """Whether it is a run rather than a separate weights file."""
        return has_settings(self.folder)

    def config(self, overrides: Sequence[str] = ()) -> RunConfig:
        """Return the run's config with ``a.b=value`` overrides applied.

        Raises:
            RunFolderError: it is a separate weights file.
            ConfigError: an override cannot be applied, or changes the student.
        """
        if not self.has_config:
            raise RunFolderError(
                f"{self.folder}: expected the folder of a finished run, got one without {SETTINGS}"
            )
        tree = read_settings(self.folder)
        tree.pop("trust", None)  # a file cannot vouch for itself
        changed = configs.override(tree, overrides)
        if changed["student"] != tree["student"]:
            raise ConfigError(
                f"{self.folder}: expected overrides of data, evaluation or training, got one of "
                "the student, which is already trained; leave it out"
            )
        return configs.check(changed)


@dataclass(frozen=True)
class CheckedRun:
    """The files of a run, its config with overrides applied, and the trusted targets.

    Attributes:
        files: the run's files.
        config: the config with overrides applied.
        trust: ``import:`` and ``file:`` targets that the files may name.
        class_map: the student's class for each class of the dataset, if an override gives it.
    """

    files: RunFiles
    config: RunConfig
    trust: tuple[str, ...] = ()
    class_map: NamedClassMap | None = None


def check_run(
    run: str | Path | CheckedRun, overrides: Sequence[str] = (), trust: Collection[str] = ()
) -> CheckedRun:
    """Find a run and check its config, unless that has been done.

    Args:
        run: a run folder, a weights file in it, or the result of an earlier call.
        overrides: ``a.b=value`` overrides of the run's config; of the student only ``class_map``.
        trust: ``import:`` and ``file:`` targets that the files may name.

    Raises:
        RunFolderError: there is no finished run.
        ConfigError: an override cannot be applied, or changes the student.
    """
    if isinstance(run, CheckedRun):
        return run
    files = find_run(run)
    words = [word for word in overrides if not word.startswith(_CLASS_MAP)]
    class_map = _class_map([word for word in overrides if word.startswith(_CLASS_MAP)])
    config = files.config(words)
    own = named(word.partition("=")[2] for word in words)
    check_from_file(config.data.dataset, {*trust, *own}, files.weights, "dataset")
    return CheckedRun(files, config, tuple(trust), class_map)


_MAY_NAME_CODE = {"student": "network", "teacher": "network", "distill": "loss", "data": "dataset"}


def code_of(config: RunConfig) -> dict[str, str]:
    """Return the ``import:`` and ``file:`` targets that a run's steps run, each with its kind."""
    tree = config.tree()
    return {
        target: kind for section, kind in _MAY_NAME_CODE.items() for target in named(tree[section])
    }


def check_code(config: RunConfig, trust: Collection[str], source: str | Path) -> None:
    """Refuse code that a run folder names but the user has not trusted.

    Raises:
        ConfigError: a network, loss or dataset of the config is such code.
    """
    for target, kind in code_of(config).items():
        check_from_file(target, trust, source, kind)


def _class_map(words: Sequence[str]) -> NamedClassMap | None:
    """Return the class map of the student that the overrides give, or None."""
    if not words:
        return None
    entries = configs.override({"student": {}}, words)["student"]["class_map"]
    parts = [
        part
        for entry in (entries if isinstance(entries, list) else [{}])
        for part in (entry if isinstance(entry, list) else [entry])
    ]
    if not all(part is None or isinstance(part, int | str) for part in parts):
        raise ConfigError(
            f"{words[-1]}: expected the student's class for each class of the dataset: a name or "
            "number, several whose probabilities are added, or null, got "
            f"{entries}; write {_CLASS_MAP}[car, null, sky]"
        )
    return list(entries)


def find_run(run: str | Path) -> RunFiles:
    """Find the weights of a run.

    Args:
        run: a run folder, or a safetensors file that a run wrote.

    Raises:
        RunFolderError: there is no finished run.
    """
    path = Path(run)
    if path.suffix == ".safetensors" and path.is_file():
        return RunFiles(run_of(path), path)
    weights = student_file(path)
    if weights.is_file():
        return RunFiles(path, weights)
    inside = sorted(student.parent.name for student in path.glob(f"*/{STUDENT}"))
    if inside:
        hint = f"; did you mean {path / inside[0]}?"
    elif has_settings(path):
        hint = ", got one that is not finished; continue with --resume"
    else:
        hint = ", got none"
    raise RunFolderError(f"{path}: expected the folder of a finished run{hint}")


def find_runs(folder: str | Path) -> list[Path]:
    """Return a run itself, or of a folder of runs each that is finished.

    Raises:
        RunFolderError: there is none.
    """
    path = Path(folder)
    inside = sorted(student.parent for student in path.glob(f"*/{STUDENT}"))
    if inside and not student_file(path).is_file():
        return inside
    find_run(path)
    return [path]

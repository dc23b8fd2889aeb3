"""The search of a study: suggested values (``suggested.json``) and choices (``chosen.json``)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from segdistill.files import inside
from segdistill.runs.documents import check_format, check_record, read_pairs, read_tree, write_tree
from segdistill.runs.layout import CHOSEN, REPEAT, SEARCH, SUGGESTED, TRIAL


@dataclass(frozen=True)
class Choice:
    """The best trial of a method: its number, values and score; or why there is none.

    Attributes:
        repeats: choices of the further searches, if there are several.
    """

    trial: int | None = None
    params: Mapping[str, Any] = field(default_factory=dict)
    miou: float | None = None
    error: str | None = None
    repeats: tuple[Choice, ...] = ()

    def of(self, repeat: int) -> Choice:
        """Return the choice of one of the searches, counted from 0."""
        return self if repeat == 0 else self.repeats[repeat - 1]

    @property
    def searches(self) -> tuple[Choice, ...]:
        """The choices of all searches."""
        return (self, *self.repeats)


def write_chosen(study: Path, chosen: Mapping[str, Mapping[str, Choice]]) -> None:
    """Write ``chosen.json``: each method's best trial, by pair."""
    pairs = {
        pair: {method: asdict(choice) for method, choice in own.items()}
        for pair, own in chosen.items()
    }
    write_tree(study / CHOSEN, {"pairs": pairs})


def read_chosen(study: Path) -> dict[str, dict[str, Choice]]:
    """Read ``chosen.json``, empty if there is none;
    raises :class:`RunFolderError` if it is broken.
    """
    file = study / CHOSEN
    return read_pairs(file, dict[str, dict[str, Choice]]) if file.exists() else {}


def trial_folder(pair: str, number: int, repeat: int = 0) -> str:
    """Return the folder of the trials with one number, relative to the study's."""
    search = f"{SEARCH}/{pair}" + (f"/{REPEAT}{repeat}" if repeat else "")
    return f"{search}/{TRIAL}{number}"


def write_suggested(
    study: Path, pair: str, number: int, params: Mapping[str, Any], *, repeat: int = 0
) -> None:
    """Write ``suggested.json``: the values that the trials of one number try, by method."""
    folder = inside(study, trial_folder(pair, number, repeat))
    folder.mkdir(parents=True, exist_ok=True)
    write_tree(folder / SUGGESTED, {"methods": dict(params)})


def read_suggested(
    study: Path, pair: str, number: int, *, repeat: int = 0
) -> dict[str, dict[str, Any]]:
    """Read ``suggested.json``; raises :class:`RunFolderError` if it is missing or broken."""
    file = study / trial_folder(pair, number, repeat) / SUGGESTED
    tree = read_tree(file)
    methods: dict[str, dict[str, Any]] = check_record(
        file,
        dict[str, dict[str, Any]],
        tree.get("methods", {}) if check_format(file, tree) else tree,
    )
    return methods

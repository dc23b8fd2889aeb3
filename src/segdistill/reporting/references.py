"""BibTeX for the losses, datasets and networks of a report, by their names."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from importlib.resources import files

from segdistill.catalogue.datasets import DATASETS
from segdistill.catalogue.losses import LOSSES, Loss
from segdistill.catalogue.networks import NETWORKS
from segdistill.catalogue.tables import Entry
from segdistill.reporting.runs import Run

_ENTRY = re.compile(r"^@\w+\{(?P<key>[^,]+),\n.*?^\}", flags=re.DOTALL | re.MULTILINE)
_KEYWORDS = re.compile(r"^  keywords = \{(?P<words>[^}]*)\},\n", flags=re.MULTILINE)


def used(runs: Sequence[Run]) -> list[str]:
    """Return the parts of runs as ``loss:NAME``, ``dataset:NAME`` and ``network:NAME``."""
    names: list[str] = []
    for run in runs:
        names += [f"loss:{term['loss']}" for term in run.settings.get("distill") or ()]
        names.append(f"dataset:{(run.settings.get('data') or {}).get('dataset')}")
        for part in ("teacher", "student"):
            network = run.settings.get(part) or {}
            names += [f"network:{network.get(key)}" for key in ("network", "backbone")]
    return list(dict.fromkeys(names))


def bibtex(names: Iterable[str]) -> str:
    """Return the entries for names: those of the packaged file in its order, then of their rows.

    Args:
        names: names from :func:`used`, and ``study`` and ``search`` for studies. A network's
            entry applies to every name that starts with it, so that ``resnet`` is cited for
            ``resnet101``.
    """
    wanted = dict.fromkeys(names)
    entries = []
    for entry in _ENTRY.finditer(_text()):
        keywords = _KEYWORDS.search(entry[0])
        words = re.split(r",\s*", keywords["words"]) if keywords else []
        if any(_is_for(word, name) for word in words for name in wanted):
            entries.append(_KEYWORDS.sub("", entry[0]))
    entries += [own for word in wanted if (own := _entry_of_row(word))]
    return "\n\n".join(dict.fromkeys(entries))


def _entry_of_row(word: str) -> str:
    """Return the entry in a row of the tables, empty if it has none."""
    kind, _, name = word.partition(":")
    rows: dict[str, Loss | Entry] = {}
    if kind == "loss":
        rows |= LOSSES
    elif kind == "dataset":
        rows |= DATASETS
    elif kind == "network":
        rows |= NETWORKS
    return rows[name].bibtex.strip() if name in rows else ""


def _is_for(word: str, name: str) -> bool:
    return name == word or (word.startswith("network:") and name.startswith(word))


def _text() -> str:
    return files("segdistill.reporting").joinpath("references.bib").read_text(encoding="utf-8")

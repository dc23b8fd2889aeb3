"""Checks of a finished study: its runs had the same files, data and classes (``identity.json``)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from segdistill.runs.confusion import read_confusion
from segdistill.runs.identity import read_identity
from segdistill.runs.layout import FINAL, IDENTITY
from segdistill.runs.result import has_result
from segdistill.studies.evidence import Evidence
from segdistill.studies.measuring import teacher_of


def check_inputs(evidence: Evidence) -> Iterator[str]:
    """The runs of a pair had the same teacher, initial weights, code, data and classes."""
    identities = {
        run: read_identity(run)
        for run in [*evidence.results, *(run for run in evidence.searched if has_result(run))]
    }
    if not any(identities.values()):
        return  # trained by an older release
    known = {} if evidence.identity is None else evidence.identity.contents
    recorded = [key for key in known if key.startswith("data.")]
    keys: dict[tuple[str, str], set[str]] = {}
    for run, identity in identities.items():
        name = evidence.name(run)
        if identity is None:
            yield f"{name}: expected {IDENTITY} as in other runs, got none"
            continue
        if identity.extended:
            yield f"{name}: expected a run that was never extended, got {list(identity.extended)}"
        confusion = read_confusion(run)
        if confusion is not None and identity.classes not in (None, confusion.classes):
            yield f"{name}: expected the classes of {IDENTITY} in the confusion matrix, got others"
        own = keys.setdefault((_pair(evidence, run), run.name), set())
        own.update(identity.contents, recorded if run in evidence.results else ())
    shared: dict[tuple[str, str, str], dict[Path, str]] = {}
    for run, identity in identities.items():
        if identity is None:
            continue
        pair = _pair(evidence, run)
        for key in sorted(keys[pair, run.name]):
            group = (pair, _sharing(evidence, run, key), key)
            shared.setdefault(group, {})[run] = identity.contents.get(key, "")
    for group, digests in shared.items():
        expected = _recorded(evidence, *group)
        if expected is None:
            expected = Counter(digests.values()).most_common(1)[0][0]
        for run, digest in digests.items():
            if digest != expected:
                yield (
                    f"{evidence.name(run)}: expected {group[2]} {expected[:12]} as in the rest of "
                    f"the study, got {digest[:12] or 'none'}"
                )


def _pair(evidence: Evidence, run: Path) -> str:
    return evidence.name(run).split("/")[1]


def _sharing(evidence: Evidence, run: Path, key: str) -> str:
    """Return which runs of a pair have the same file as this one."""
    section = key.partition(".")[0]
    if section == "teacher" and run.name in evidence.study.methods:
        return f"{teacher_of(evidence.study, run.name)} teacher"
    if section == "data":  # trials are trained on a part of the images
        return evidence.name(run).partition("/")[0]
    return run.name if section == "distill" else "all"


def _recorded(evidence: Evidence, pair: str, sharing: str, key: str) -> str | None:
    """Return what the study itself recorded, None if it recorded nothing."""
    contents = {} if evidence.identity is None else evidence.identity.contents
    if sharing == FINAL and key in contents:
        return contents[key]
    if sharing in ("all", "given teacher"):
        return contents.get(f"pairs.{pair}.{key}")
    return None

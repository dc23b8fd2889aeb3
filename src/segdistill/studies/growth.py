"""Extending a study that has started: what may be added, and what that means for its tests.

A run is trained again only if its own identity changes, so that existing runs are kept.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from segdistill.config import StudyConfig
from segdistill.config.identity import differing, identity_of_study
from segdistill.runs.extensions import Extension


def find_extension(before: StudyConfig, now: StudyConfig, *, seen: bool) -> Extension | None:
    """Return what a study adds to its earlier form, or None if it changes or removes anything.

    Seeds, methods, pairs and trials of every search may be added.

    Args:
        before: the study as stored in its folder.
        now: the study as requested.
        seen: whether a final run had ended by then.
    """
    changed = differing(identity_of_study(before), identity_of_study(now))
    added = Extension(
        seeds_before=len(before.seeds),
        seeds=tuple(seed for seed in now.seeds if seed not in before.seeds),
        methods=tuple(name for name in now.methods if name not in before.methods),
        pairs=tuple(name for name in now.pairs if name not in before.pairs),
        trials=now.search.trials - before.search.trials,
        seen=seen,
        time=datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
    )
    new = (
        *(f"methods.{name}." for name in added.methods),
        *(f"pairs.{name}." for name in added.pairs),
    )
    left = {path for path in changed if not path.startswith(new)}
    if set(before.seeds) <= set(now.seeds):
        left.discard("seeds")
    if added.trials > 0 and before.search.trials:
        left.discard("search.trials")
    return None if left else added


def in_order_of(before: StudyConfig, now: StudyConfig) -> StudyConfig:
    """Return a study with its old entries in their old order and new ones at the end.

    The order matters: the values of a trial depend on the position of its method, and the search
    of a seed on the position of the seed.
    """
    seeds = dict.fromkeys([*(seed for seed in before.seeds if seed in now.seeds), *now.seeds])
    methods = dict.fromkeys([*(m for m in before.methods if m in now.methods), *now.methods])
    pairs = dict.fromkeys([*(p for p in before.pairs if p in now.pairs), *now.pairs])
    return now.model_copy(
        update={
            "seeds": tuple(seeds),
            "methods": {name: now.methods[name] for name in methods},
            "pairs": {name: now.pairs[name] for name in pairs},
        }
    )


def in_words(extension: Extension) -> str:
    """Describe an extension, such as ``seeds 8, 9 and method cwd``."""
    parts = [
        f"{kind}{'s' * (len(names) > 1)} {', '.join(map(str, names))}"
        for kind, names in (
            ("seed", extension.seeds),
            ("method", extension.methods),
            ("pair", extension.pairs),
        )
        if names
    ]
    if extension.trials:
        parts.append(f"{extension.trials} trial{'s' * (extension.trials > 1)} of each search")
    return ", ".join(parts[:-1]) + " and " * (len(parts) > 1) + parts[-1]


def tell_extensions(extensions: Sequence[Extension], *, replaced: int = 0) -> list[str]:
    """Return sentences about a study's extensions for its readers.

    Args:
        extensions: the study's extensions, in order.
        replaced: number of final runs trained again because a longer search chose other values.
    """
    sentences = []
    for extension in extensions:
        when = "after results could be seen" if extension.seen else "before any result"
        sentences.append(f"The study was extended by {in_words(extension)}, {when}.")
    if replaced:
        sentences.append(
            f"The longer search chose other values, so {replaced} final "
            f"run{'s were' if replaced > 1 else ' was'} trained again; the old runs are in "
            "superseded/."
        )
    return sentences


def tell_looks(extensions: Sequence[Extension]) -> list[str]:
    """Return a warning about p values if a study was extended after its results could be seen."""
    looks = 1 + sum(added.seen and bool(added.seeds or added.trials) for added in extensions)
    if looks == 1:
        return []
    return [
        f"The study was extended after its results could be seen, and neither p nor intervals "
        f"account for that: each of {looks} looks had a 5 % chance of a wrong claim, so a study "
        "that is extended until it claims something is wrong more often than that."
    ]

"""A study that grows: what may be added to one that has begun, and what that means for its test.

What is trained depends on each run's own identity, so that everything that is there stays.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from segdistill.config import StudyConfig
from segdistill.config.identity import differing, identity_of_study
from segdistill.runs.extensions import Extension


def find_extension(before: StudyConfig, now: StudyConfig, *, seen: bool) -> Extension | None:
    """Return what a study adds to what it was, None where it changes or takes away anything.

    Seeds, methods, pairs and trials of every search may be added.

    Args:
        before: the study as its folder holds it.
        now: as it is asked for.
        seen: whether a final run had ended.
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
    """Return a study with what it had before in its old order, and what is new at the end.

    What a trial tries depends on a method's place, and which search a seed belongs to on the
    seed's.
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
    """Return what was added, as ``seeds 8, 9 and method cwd``."""
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
    """Return what the reader of a study has to know of its growth, in sentences.

    Args:
        extensions: of the study, in their order.
        replaced: final runs that were trained again since a longer search chose other values.
    """
    said = []
    for extension in extensions:
        when = "after results could be seen" if extension.seen else "before any result"
        said.append(f"The study was extended by {in_words(extension)}, {when}.")
    if replaced:
        said.append(
            f"The longer search chose other values, so {replaced} final "
            f"run{'s were' if replaced > 1 else ' was'} trained again; what they replaced is in "
            "superseded/."
        )
    return said


def tell_looks(extensions: Sequence[Extension]) -> list[str]:
    """Return what looking at results before a study was extended does to its p values, if any."""
    looks = 1 + sum(one.seen and bool(one.seeds or one.trials) for one in extensions)
    if looks == 1:
        return []
    return [
        f"The study was extended after its results could be seen, and neither p nor intervals "
        f"account for that: each of {looks} looks had its own chance of 5 % of a wrong claim, so a "
        "study that is extended until it claims something errs more often than that."
    ]

"""The protocol of a study: the paragraph that a reviewer reads first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from segdistill.reporting.groups import Group
from segdistill.reporting.material import Material
from segdistill.reporting.studies import Study
from segdistill.runs.extensions import find_superseded, read_extensions
from segdistill.studies.growth import tell_extensions
from segdistill.studies.joint import EXACT_SEEDS
from segdistill.studies.statistics import smallest_p


def show(material: Material) -> Mapping[str, Any] | None:
    """Return the protocol and the study file, None for runs outside of a study."""
    study = material.study
    if study is None:
        return None
    return {
        "sentences": protocol(study, material.groups),
        "text": study.text,
        "hash": None if study.plan is None else study.plan.hash,
    }


def protocol(study: Study, groups: Sequence[Group]) -> list[str]:
    """Return the protocol of a study in sentences, from its file and its results."""
    settings = study.settings
    students = [group for group in groups if not group.teacher]
    splits = {run.result.split for group in students for run in group.runs}
    return [
        *_search(settings),
        _seeds(settings),
        *tell_extensions(
            read_extensions(study.folder), replaced=len(find_superseded(study.folder))
        ),
        _budget(settings, students),
        f"Scores are on the split {', '.join(sorted(splits))}, which no setting was chosen on. "
        "The weights after the last step are the result; the best checkpoint on the way stands "
        "beside it, since choosing it would be optimistic.",
        _statistics(students),
    ]


def _search(settings: Mapping[str, Any]) -> list[str]:
    search = settings.get("search") or {}
    trials = search.get("trials", 0)
    if not trials:
        return ["Nothing was searched: all settings are as the study file has them."]
    share = f"{100 * float(search['holdout']):g} %" if search.get("holdout") else "a part"
    space = search.get("space")
    shared = "learning rate and weight decay" if space is None else ", ".join(space) or "nothing"
    sentences = [
        f"Every method and the plain student got {trials} trials, suggested by "
        f"{search.get('sampler', 'the sampler')} (seed {search.get('seed', 0)}), over {shared} "
        f"and, for a method, its own space. They were scored on {share} of the training images, "
        "held out from their training."
    ]
    repeats = search.get("repeats", 1)
    if repeats > 1:
        sentences.append(
            f"That was done {repeats} times, each search with seeds of its own, and the final "
            "seeds were divided among the searches. The searches are the sample of every test and "
            "interval, so that these hold the chance of the search."
        )
    else:
        sentences.append(
            "There was one search: what another one would have chosen is in no interval "
            "(search.repeats puts it there)."
        )
    if search.get("steps"):
        sentences.append(f"A trial had {search['steps']:,} steps.")
    if search.get("pruning"):
        pruning = search["pruning"]
        sentences.append(
            "Trials that fell behind ended early (successive halving with "
            f"{pruning.get('rungs')} rung{'s' * (pruning.get('rungs') != 1)} and factor "
            f"{pruning.get('factor')}): they are listed as pruned."
        )
    return sentences


def _seeds(settings: Mapping[str, Any]) -> str:
    seeds = list(settings.get("seeds") or [])
    return (
        f"The chosen settings were then trained on all training images with {len(seeds)} seeds "
        f"({', '.join(map(str, seeds))}). A seed fixes the batches, their augmentation and the "
        "initial weights for all methods alike, so that differences are taken within a seed."
    )


def _budget(settings: Mapping[str, Any], students: Sequence[Group]) -> str:
    steps = {group.label: {run.result.steps for run in group.runs} for group in students}
    if settings.get("match") == "seconds":
        budgets = ", ".join(
            f"{label} {'/'.join(f'{n:,}' for n in sorted(filter(None, counts)))}"
            for label, counts in steps.items()
        )
        return (
            "Budgets match by measured seconds: each method had as many steps as the plain "
            f"student's time allows: {budgets}."
        )
    methods = settings.get("methods") or {}
    longer = {g.label for g in students if (methods.get(g.name) or {}).get("control") == "longer"}
    alike, more = (
        " or ".join(f"{n:,}" for n in sorted({n for label in labels for n in steps[label] if n}))
        for labels in (steps.keys() - longer, longer)
    )
    sentence = f"Budgets match by steps: {alike} for every method"
    if longer:
        sentence += f" but the control longer, which got the time of the slowest method: {more}"
    return f"{sentence}."


def _statistics(students: Sequence[Group]) -> str:
    comparisons = [group.comparison for group in students if group.comparison is not None]
    if not comparisons:
        return "Nothing was compared."
    seeds = min(comparison.searches or comparison.seeds for comparison in comparisons)
    unit = "searches" if comparisons[0].searches else "seeds"
    flips = "all sign flips" if seeds <= EXACT_SEEDS else "sampled sign flips"
    return (
        f"The methods of a pair are tested together (step-down max-T over {flips} of whole {unit}, "
        "which turn the differences of all methods at once), and their intervals hold together, "
        f"from the same flips. With {seeds} {unit} p cannot be below {smallest_p(seeds):.2g}, "
        "however many methods there are. Intervals of each method by itself are in results.csv."
    )

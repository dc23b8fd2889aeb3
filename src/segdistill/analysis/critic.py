"""Scores that the critics of adversarial runs give to students and teacher."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from segdistill.analysis.captions import Place, provenance, titled
from segdistill.analysis.compared import TEACHER
from segdistill.analysis.header import header
from segdistill.catalogue.losses import row_of
from segdistill.config import PLAIN
from segdistill.drawing.figure import Figure
from segdistill.drawing.svg import blank, ink, tidy, to_svg, zero_line
from segdistill.training.events import Note

if TYPE_CHECKING:
    from segdistill.analysis.looking import Looked
    from segdistill.analysis.opened import Opened
    from segdistill.config import RunConfig
    from segdistill.training.term import Term


def measure(looked: Looked) -> dict[str, Any] | None:
    """Return how much higher each critic scores the teacher than its student and the plain one.

    None if no run has a critic of the logits whose checkpoint still exists.

    Raises:
        CheckpointError: a checkpoint is broken.
    """
    from segdistill.runs.checkpoint import find_checkpoints, load_checkpoint

    opened, critics = looked.opened, {}
    for name, config in opened.compared.configs.items():
        if not any(_scores_logits(term) for term in config.distill):
            continue
        files = find_checkpoints(opened.compared.runs[name])
        if not files:
            looked.tell(Note(f"{name}: no checkpoint with its critic, so there are no scores"))
            continue
        state = load_checkpoint(next(iter(files.values())))
        term = _restore(opened, name, config, state["learner"]["objective"])
        judged = [name] if name == PLAIN else [PLAIN, name]
        critics[name] = {
            "step": state["step"],
            "gaps": {
                network: _gaps(looked, term, network)
                for network in judged
                if network in looked.seen
            },
        }
    if not critics:
        return None
    own = {"images": opened.names(), "critics": critics}
    return header("critic", opened, "images", "megapixels") | own


def draw(values: Mapping[str, Any], place: Place) -> list[Figure]:
    """Plot the differences of every critic's scores on every image, with their means."""
    figures = []
    for number, (method, critic) in enumerate(values["critics"].items()):
        means = {name: sum(gaps) / len(gaps) for name, gaps in critic["gaps"].items()}
        summary = ", ".join(f"{mean:+.2f} for {name}" for name, mean in means.items())
        figure, axes = blank(3.3)
        first = next(iter(critic["gaps"].values()))
        order = sorted(range(len(first)), key=first.__getitem__)
        for name, gaps in critic["gaps"].items():
            color = ink(place.colors[name])
            axes.plot(
                range(1, len(order) + 1),
                [gaps[image] for image in order],
                color=color,
                linestyle="none",
                marker="o",
                markersize=3.6,
                label=f"{name}, mean {means[name]:+.2f}",
            )
            axes.axhline(means[name], color=color, linewidth=1.2, linestyle=(0, (5, 2)))
        zero_line(axes)
        tidy(axes, "Score of teacher − score of student", "image")
        axes.legend(frameon=False)
        figures.append(
            Figure(
                titled(f"What the critic of {method} sees", values),
                "Score of the teacher's map minus that of the student's, for "
                f"{len(values['images'])} {values['split']} images, by the critic that was trained "
                f"against {method} (step {critic['step']:,}); 0: it cannot tell them apart. Images "
                "in the order of the first student's difference; dashed: means. "
                f"{provenance(values)}",
                to_svg(figure, f"{place.name}-{number}"),
                f"Points, one per image and student. Mean difference: {summary}.",
            )
        )
    return figures


def _scores_logits(term: Any) -> bool:
    return row_of(term.loss).adversarial and term.tap == "logits"


def _restore(opened: Opened, name: str, config: RunConfig, state: Mapping[str, Any]) -> Term:
    """Return the adversarial term of a run with its critic's final weights."""
    from segdistill.models.taps import describe
    from segdistill.training.build import classifier_of
    from segdistill.training.objective import build_objective

    student, teacher = opened.students[name], opened.networks[TEACHER]
    taps = [tap for term in config.distill for tap in term.taps]
    crop = config.data.crop
    objective = build_objective(
        config.distill,
        student_channels={t: s.channels for t, s in describe(student, taps, crop).items()},
        teacher_channels={t: s.channels for t, s in describe(teacher, taps, crop).items()},
        classes=len(opened.classes),
        auxiliary_weight=config.training.auxiliary_weight,
        label_smoothing=config.training.label_smoothing,
        seed=config.training.seed,
        classifier=classifier_of(student, config),
    )
    objective.load_state_dict(dict(state))
    return next(term for term in objective.eval().terms.values() if term.adversarial)


def _gaps(looked: Looked, term: Term, name: str) -> list[float]:
    from segdistill.losses import resize_like
    from segdistill.scoring.critic_scores import score_gaps

    critic, seen = term.loss.adversary.score, looked.seen
    gaps = []
    images = looked.opened.inputs
    for ours, theirs, image in zip(seen[name].logits, seen[TEACHER].logits, images, strict=True):
        student, teacher = ours[None], theirs[None]
        if term.align == "student":
            student = resize_like(student, teacher)
        else:
            teacher = resize_like(teacher, student)
        gaps += score_gaps(critic, student, teacher, image).tolist()
    return gaps

"""What the critics of adversarial runs make of the students: scores against the teacher's."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from segdistill.analysis.compared import PLAIN
from segdistill.analysis.insides import Seen
from segdistill.analysis.opened import TEACHER, Opened, header
from segdistill.catalogue.losses import LOSSES
from segdistill.config import RunConfig
from segdistill.losses import resize_like
from segdistill.models.taps import describe
from segdistill.scoring.critic_scores import score_gaps
from segdistill.training.checkpoint import checkpoints, load_checkpoint
from segdistill.training.events import Note, Tell
from segdistill.training.objective import Term, build_objective


def critic_scores(opened: Opened, seen: Mapping[str, Seen], tell: Tell) -> dict[str, Any] | None:
    """Return by how much each critic scores the teacher above its student and the plain one.

    None where no run has a critic on the logits whose checkpoint is still there.

    Raises:
        CheckpointError: a checkpoint is broken.
    """
    critics = {}
    for name, config in opened.compared.configs.items():
        if TEACHER not in seen or not any(_scores_logits(term) for term in config.distill):
            continue
        files = checkpoints(opened.compared.runs[name] / "checkpoints")
        if not files:
            tell(Note(f"{name}: no checkpoint, so its critic is gone: no scores"))
            continue
        state = load_checkpoint(files[0])
        term = _restore(opened, name, config, state["learner"]["objective"])
        judged = [name] if name == PLAIN else [PLAIN, name]
        critics[name] = {
            "step": state["step"],
            "gaps": {one: _gaps(opened, term, seen, one) for one in judged if one in seen},
        }
    if not critics:
        return None
    return header(opened, "Liu et al., CVPR 2019 (SKD), Fig. 3a", "images", "megapixels") | {
        "images": opened.names(),
        "critics": critics,
    }


def _scores_logits(term: Any) -> bool:
    return LOSSES[term.loss].adversarial and term.tap == "logits"


def _restore(opened: Opened, name: str, config: RunConfig, state: Mapping[str, Any]) -> Term:
    """Return the adversarial term of a run with the weights that its critic ended with."""
    student, teacher = opened.students[name], opened.networks[TEACHER]
    taps = [term.tap for term in config.distill]
    crop = config.data.crop
    objective = build_objective(
        config.distill,
        student_channels={t: s.channels for t, s in describe(student, taps, crop).items()},
        teacher_channels={t: s.channels for t, s in describe(teacher, taps, crop).items()},
        classes=len(opened.classes),
        auxiliary_weight=config.training.auxiliary_weight,
        label_smoothing=config.training.label_smoothing,
        seed=config.training.seed,
    )
    objective.load_state_dict(dict(state))
    return next(term for term in objective.eval().terms.values() if term.adversarial)


def _gaps(opened: Opened, term: Term, seen: Mapping[str, Seen], name: str) -> list[float]:
    critic = term.loss.adversary.score
    gaps = []
    together = zip(seen[name].logits, seen[TEACHER].logits, opened.inputs, strict=True)
    for ours, theirs, image in together:
        student, teacher = ours[None], theirs[None]
        if term.align == "student":
            student = resize_like(student, teacher)
        else:
            teacher = resize_like(teacher, student)
        gaps += score_gaps(critic, student, teacher, image).tolist()
    return gaps

"""The task losses, which compare a student's logits with the labels."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class TaskLoss:
    """One row of ``TASK_LOSSES``.

    Attributes:
        target: ``"module:function"`` in :mod:`segdistill.training.task_losses`.
        about: one sentence.
        source: paper.
        settings: the keys of ``training.task`` that belong to it.
        resizes: it takes logits at their own stride and resizes them itself.
        smooths: it supports ``training.label_smoothing``.
        whole_batch: it depends on all positions of the batch at once, so that the batch cannot be
            computed in parts.
    """

    target: str
    about: str
    source: str
    settings: tuple[str, ...] = ()
    resizes: bool = False
    smooths: bool = False
    whole_batch: bool = False


TASK_LOSSES: dict[str, TaskLoss] = {
    "cross_entropy": TaskLoss(
        target="cross_entropy:cross_entropy",
        about="Mean cross-entropy over labelled positions.",
        source="",
        resizes=True,
        smooths=True,
    ),
    "focal": TaskLoss(
        target="focal:focal",
        about="Cross-entropy with less weight for positions that are already well classified.",
        source="Lin et al., ICCV 2017, arXiv:1708.02002",
        settings=("gamma",),
    ),
    "ohem": TaskLoss(
        target="ohem:ohem",
        about="Cross-entropy of the hardest positions of the batch.",
        source="Shrivastava et al., CVPR 2016, arXiv:1604.03540",
        settings=("threshold", "min_kept"),
        whole_batch=True,
    ),
    "dice": TaskLoss(
        target="dice:dice",
        about="One minus the overlap of each class's probabilities with its positions.",
        source="Milletari et al., 3DV 2016, arXiv:1606.04797",
        settings=("cross_entropy_weight",),
        whole_batch=True,
    ),
    "lovasz": TaskLoss(
        target="lovasz:lovasz",
        about="A convex extension of one minus each class's IoU.",
        source="Berman et al., CVPR 2018, arXiv:1705.08790",
        settings=("cross_entropy_weight",),
        whole_batch=True,
    ),
}

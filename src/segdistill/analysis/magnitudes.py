"""Lengths of the feature maps during training, from the log of feature matching in parts."""

from __future__ import annotations

from typing import Any

from segdistill.analysis.opened import Opened, header
from segdistill.config import LossConfig
from segdistill.files import read_metrics
from segdistill.models.taps import describe

LOSS = "feature_mse_terms"
"""The loss whose parts tell the lengths."""


def magnitudes(opened: Opened) -> dict[str, Any] | None:
    r"""Return the lengths m and n, and mn/N, over the steps of every run that logged them.

    With the logged parts :math:`w m^2/N` and :math:`w n^2/N`, means over the images and steps
    since the line before, the lengths are root mean squares. None where no run logged them.
    """
    found = {}
    for name, config in opened.compared.configs.items():
        term = next((one for one in config.distill if one.loss == LOSS), None)
        if term is None or term.weight == 0 or opened.teacher is None:
            continue
        lines = [
            (line["step"], line["parts"][f"{LOSS}.teacher"], line["parts"][f"{LOSS}.student"])
            for line in read_metrics(opened.compared.runs[name])
            if f"{LOSS}.teacher" in line.get("parts", {})
        ]
        values = _values(opened, name, term, config.data.crop)
        m = [(values * teacher / term.weight) ** 0.5 for _, teacher, _ in lines]
        n = [(values * student / term.weight) ** 0.5 for _, _, student in lines]
        found[name] = {
            "tap": term.tap,
            "weight": term.weight,
            "values": values,
            "steps": [step for step, _, _ in lines],
            "m": m,
            "n": n,
            "mn_over_values": [a * b / values for a, b in zip(m, n, strict=True)],
        }
    if not found:
        return None
    return header(opened, "Liu et al., WACV 2024 (angular), Fig. 2") | {"networks": found}


def _values(opened: Opened, name: str, term: LossConfig, crop: tuple[int, int]) -> int:
    """Return N: the values of the map that is compared, of the teacher's width."""
    student = describe(opened.students[name], [term.tap], crop)[term.tap]
    teacher = describe(opened.networks["teacher"], [term.tap], crop)[term.tap]
    height, width = teacher.size if term.align == "student" else student.size
    return teacher.channels * height * width

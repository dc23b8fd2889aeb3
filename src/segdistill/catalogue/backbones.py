"""The names of backbones, known without loading timm, which loads torch.

``backbones.txt`` lists ours and those of one version of timm; ``make docs`` writes it. With
another version of timm, or after somebody registered models of their own, timm itself answers.
"""

from __future__ import annotations

import sys
from functools import cache
from importlib.metadata import version
from importlib.resources import files


@cache
def listed_backbones() -> tuple[str, ...] | None:
    """Return every backbone's name, or None where the installed timm is not the listed one."""
    text = (files("segdistill.catalogue") / "backbones.txt").read_text(encoding="utf-8")
    first, *names = text.splitlines()
    return tuple(names) if first == first_line(version("timm")) else None


def unknown_backbone(name: str) -> bool:
    """Whether it is certain, without loading timm, that there is no such backbone.

    Args:
        name: ours or timm's, perhaps with the tag of its weights behind a dot.
    """
    # Loaded already, timm answers at once and knows what was registered since.
    names = None if "timm" in sys.modules else listed_backbones()
    return names is not None and name.partition(".")[0] not in names


def first_line(timm_version: str) -> str:
    """Return the first line of the list for a version of timm."""
    return f"# ours and those of timm {timm_version}, by make docs"

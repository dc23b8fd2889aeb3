"""The names of backbones, read without importing timm, which imports torch.

``backbones.txt`` lists ours and those of one version of timm; ``make docs`` writes it. With
another version of timm, or after a user has registered models, timm itself is asked.
"""

from __future__ import annotations

import sys
from functools import cache
from importlib.metadata import version
from importlib.resources import files


@cache
def listed_backbones() -> tuple[str, ...] | None:
    """Return every backbone's name, or None if another version of timm is installed."""
    text = (files("segdistill.catalogue") / "backbones.txt").read_text(encoding="utf-8")
    first, *names = text.splitlines()
    return tuple(names) if first == first_line(version("timm")) else None


def unknown_backbone(name: str) -> bool:
    """Return whether there is certainly no such backbone, without importing timm.

    Args:
        name: our name or timm's, optionally with the tag of its weights after a dot.
    """
    # Once imported, timm answers at once and knows what has been registered since.
    names = None if "timm" in sys.modules else listed_backbones()
    return names is not None and name.partition(".")[0] not in names


def first_line(timm_version: str) -> str:
    """Return the list's first line for a version of timm."""
    return f"# ours and those of timm {timm_version}, by make docs"

"""For tests of losses: check your own against the contract that segdistill's losses keep.

.. code-block:: python

    from segdistill.testing import check_loss


    def test_my_loss_keeps_the_contract() -> None:
        check_loss(my_loss, settings={"temperature": 2.0})
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from segdistill.testing.contract import CHECKS, Finding, try_contract
from segdistill.testing.subjects import subject_of

__all__ = ["CHECKS", "Finding", "check_loss", "find_breaches"]


def check_loss(
    loss: str | Callable[..., Any],
    *,
    settings: Mapping[str, Any] | None = None,
    channels: int = 6,
    classes: int = 5,
    waive: Iterable[str] = (),
    processes: bool = True,
) -> None:
    """Refuse a loss that breaks the contract of distillation losses.

    Args:
        loss: a function ``(student, teacher, ...)``, the class of a module, the name of a loss
            of segdistill, ``import:package.module:loss`` or ``FILE.py:loss``.
        settings: the settings that a config would give it.
        channels: width of the maps that it is tried on.
        classes: number of classes in the labels.
        waive: names of checks that are not meant to hold; see :data:`CHECKS`.
        processes: also compute it in two processes.

    Raises:
        AssertionError: one line for each breach, with what it means.
        ConfigError: the loss cannot be found or built, or a waived name is not that of a check.
    """
    findings = find_breaches(
        loss,
        settings=settings,
        channels=channels,
        classes=classes,
        waive=waive,
        processes=processes,
    )
    faults = [f"{finding.check}: {finding.fault}" for finding in findings if finding.fault]
    if faults:
        raise AssertionError("\n".join(["the loss breaks its contract:", *faults]))


def find_breaches(
    loss: str | Callable[..., Any],
    *,
    settings: Mapping[str, Any] | None = None,
    channels: int = 6,
    classes: int = 5,
    waive: Iterable[str] = (),
    processes: bool = True,
) -> list[Finding]:
    """Return the finding of every check; the arguments are those of :func:`check_loss`."""
    subject = subject_of(loss, settings or {}, channels, classes, waive)
    return try_contract(subject, processes=processes)

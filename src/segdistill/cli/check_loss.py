"""``segdistill check loss``: test a loss against the contract of distillation losses."""

from __future__ import annotations

from collections.abc import Sequence

import typer

from segdistill.errors import ConfigError


def check_loss(words: Sequence[str], waive: Sequence[str]) -> None:
    """Print the outcome of each check of the contract; the exit code is 1 if one fails.

    Args:
        words: the loss, then its settings as ``key=value``.
        waive: names of checks that need not hold.
    """
    if not words or "=" in words[0]:
        raise ConfigError(
            "check loss: expected FILE.py:NAME, import:package.module:NAME or a loss of "
            "segdistill, got none; for example segdistill check loss my_loss.py:my_loss"
        )
    from segdistill.config import load_yaml
    from segdistill.testing import find_breaches

    loss, *pairs = words
    settings = {}
    for pair in pairs:
        key, equals, text = pair.partition("=")
        if not equals:
            raise ConfigError(f"check loss: expected key=value after the loss, got '{pair}'")
        settings[key] = load_yaml(text)
    findings = find_breaches(loss, settings=settings, waive=waive)
    width = max(len(finding.check) for finding in findings)
    for finding in findings:
        outcome = finding.fault or (f"left out: {finding.waived}" if finding.waived else "ok")
        print(f"{finding.check.ljust(width)}  {outcome}")
    failed = sum(bool(finding.fault) for finding in findings)
    if failed:
        print(f"{failed} of {len(findings)} checks failed")
        raise typer.Exit(1)
    named = loss if ".py:" not in loss else f"import:{loss.rpartition('/')[2].replace('.py:', ':')}"
    print(f'the contract is kept; next: a config with - {{loss: "{named}", tap: ..., weight: ...}}')

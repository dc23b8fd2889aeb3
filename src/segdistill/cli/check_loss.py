"""``segdistill check loss``: try the contract of distillation losses on one."""

from __future__ import annotations

from collections.abc import Sequence

import typer

from segdistill.errors import ConfigError


def check_loss(words: Sequence[str], waive: Sequence[str]) -> None:
    """Print what each check of the contract came to; the exit code is 1 where one fails.

    Args:
        words: the loss, then its settings as ``key=value``.
        waive: names of checks that are not meant to hold.
    """
    if not words or "=" in words[0]:
        raise ConfigError(
            "check loss: expected FILE.py:NAME, import:package.module:NAME or a loss of "
            "segdistill, got none; as in segdistill check loss my_loss.py:my_loss"
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
        said = finding.fault or (f"left out: {finding.waived}" if finding.waived else "ok")
        print(f"{finding.check.ljust(width)}  {said}")
    failed = sum(bool(finding.fault) for finding in findings)
    if failed:
        print(f"{failed} of {len(findings)} checks failed")
        raise typer.Exit(1)
    named = loss if ".py:" not in loss else f"import:{loss.rpartition('/')[2].replace('.py:', ':')}"
    print(f'the contract is kept; next: a config with - {{loss: "{named}", tap: ..., weight: ...}}')

"""Critics of adversarial losses: each stepped by an optimiser of its own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lightning_fabric import Fabric

from segdistill.training.objective import Objective


class Adversaries:
    def __init__(self, objective: Objective) -> None:
        pass

    def to_device(self, fabric: Fabric) -> None:
        pass

    def backward(self, fabric: Fabric, *, part: int, parts: int) -> None:
        pass

    def update(self) -> dict[str, float]:
        return {}

    def state(self) -> dict[str, Any]:
        return {}

    def restore(self, state: Mapping[str, Any]) -> None:
        pass

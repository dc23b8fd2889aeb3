"""The contract of an exported file: its inputs, outputs and origin."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from segdistill.classes import classes_fault
from segdistill.errors import RunFolderError
from segdistill.json_text import load_json
from segdistill.runs.documents import check_format, check_record
from segdistill.runs.layout import FORMAT
from segdistill.types import Classes

KEY = "segdistill"
"""Name of the contract in the metadata of a file."""

INPUT = "images"
"""Name of a file's only input."""

Images = Literal["float", "uint8"]
Output = Literal["logits", "mask"]


@dataclass(frozen=True, kw_only=True)
class Contract:
    """The inputs and outputs of an exported file.

    Normalisation is part of the file: its input is RGB images ``(N, 3, H, W)``.

    Attributes:
        classes: names of the classes in the order of their ids.
        colors: RGB of each class.
        images: ``float`` in [0, 1], or ``uint8``.
        output: ``logits`` ``(N, K, H, W)`` float32, or the ``mask`` ``(N, H, W)`` of class ids,
            uint8; at the image's size.
        size: height and width if it only accepts single images of this size; None if batch and
            size are free.
        provenance: its origin: the run, its data, method and score, and this package's version.
    """

    classes: tuple[str, ...]
    colors: tuple[tuple[int, int, int], ...]
    images: Images = "float"
    output: Output = "logits"
    size: tuple[int, int] | None = None
    provenance: Mapping[str, Any] = field(default_factory=dict)

    @property
    def named(self) -> Classes:
        """Names and colours as used elsewhere."""
        return Classes(self.classes, self.colors)

    def as_text(self) -> str:
        """Return it as JSON for a file's metadata."""
        return json.dumps({"format": FORMAT} | asdict(self))


def read_contract(text: str, file: Path) -> Contract:
    """Return the contract in a file's metadata.

    Args:
        text: the result of :meth:`Contract.as_text`.
        file: the file, for error messages.

    Raises:
        RunFolderError: it is broken, or of a later format.
    """
    try:
        tree = load_json(text)
    except ValueError:
        tree = None
    if not isinstance(tree, dict):
        raise RunFolderError(f"{file}: expected metadata written by export, got others")
    check_format(file, tree)
    contract = check_record(file, Contract, tree)
    if fault := classes_fault(contract.classes, contract.colors):
        raise RunFolderError(f"{file}: {fault} in the metadata; export the file again")
    return contract

"""The contract of an exported file: what it takes, what it gives, and where it comes from."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from segdistill.errors import RunFolderError
from segdistill.runs.documents import check_format, check_record
from segdistill.runs.layout import FORMAT
from segdistill.types import Classes

KEY = "segdistill"
"""Where a format keeps named texts, the contract has this name."""

INPUT = "images"
"""Name of a file's only input."""

Images = Literal["float", "uint8"]
Output = Literal["logits", "mask"]


@dataclass(frozen=True, kw_only=True)
class Contract:
    """What an exported file takes and gives.

    Normalisation is inside the file: it takes RGB images ``(N, 3, H, W)``.

    Attributes:
        classes: names, in the order of the ids.
        colors: RGB of each class.
        images: ``float`` in [0, 1], or ``uint8``.
        output: ``logits`` ``(N, K, H, W)`` float32, or the ``mask`` ``(N, H, W)`` of class ids,
            uint8; at the image's size.
        size: height and width of the only image that it takes, one at a time; None where
            batch and size are free.
        provenance: what made it: the run, its data, method and score, and this package's
            version.
    """

    classes: tuple[str, ...]
    colors: tuple[tuple[int, int, int], ...]
    images: Images = "float"
    output: Output = "logits"
    size: tuple[int, int] | None = None
    provenance: Mapping[str, Any] = field(default_factory=dict)

    @property
    def named(self) -> Classes:
        """Names and colours as other records hold them."""
        return Classes(self.classes, self.colors)

    def as_text(self) -> str:
        """Return it as JSON, for a file's metadata."""
        return json.dumps({"format": FORMAT} | asdict(self))


def read_contract(text: str, file: Path) -> Contract:
    """Return the contract that a file's metadata hold.

    Args:
        text: from :meth:`Contract.as_text`.
        file: named in errors.

    Raises:
        RunFolderError: it is broken, or of a later format.
    """
    try:
        tree = json.loads(text)
    except ValueError:
        tree = None
    if not isinstance(tree, dict):
        raise RunFolderError(f"{file}: expected metadata that export wrote, got others")
    check_format(file, tree)
    contract = check_record(file, Contract, tree)
    if len(contract.classes) != len(contract.colors):
        raise RunFolderError(
            f"{file}: expected one colour for each class in the metadata, got "
            f"{len(contract.colors)} for {len(contract.classes)}; export the file again"
        )
    return contract

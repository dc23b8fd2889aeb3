"""Verification: all broken pairs are listed, not the first."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from segdistill.data.files.dataset import FileDataset
from segdistill.data.formats.folder import folder
from segdistill.data.verification import find_faults, verify
from segdistill.errors import DataError


def test_says_nothing_about_a_sound_dataset(dataset: FileDataset) -> None:
    assert find_faults(dataset) == []
    verify(dataset)


def test_lists_every_broken_pair_with_its_reason(tree: Path) -> None:
    (tree / "train/images/0.png").write_bytes(b"")
    Image.fromarray(np.zeros((5, 5), np.uint8)).save(tree / "train/masks/2.png")
    Image.fromarray(np.full((20, 30), 9, np.uint8)).save(tree / "train/masks/4.png")
    faults = find_faults(folder(split="train", root=tree))
    assert len(faults) == 3
    for fault, words in zip(
        faults,
        ("images/0.png: expected an image file, got 0 bytes", "got 5×5", "got 9 (600 pixels)"),
        strict=True,
    ):
        assert words in fault
    with pytest.raises(DataError, match=r"expected 5 sound pairs, got 3 broken(.|\n)*0\.png"):
        verify(folder(split="train", root=tree))

"""Small datasets on disk for the tests of this folder."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from segdistill.data.files.dataset import FileDataset
from segdistill.data.formats.folder import folder

Write = Callable[[Path, np.ndarray], Path]


@pytest.fixture
def write() -> Write:
    """Write an array as an image file, with its folders."""

    def write(path: Path, array: np.ndarray) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(array).save(path)
        return path

    return write


@pytest.fixture
def tree(tmp_path: Path, write: Write) -> Path:
    """A folder dataset of 5 images 20×30 with 3 classes and some 255."""
    rng = np.random.default_rng(0)
    for index in range(5):
        image = rng.integers(0, 256, (20, 30, 3), dtype=np.uint8)
        mask = rng.choice(np.array([0, 1, 2, 255], dtype=np.uint8), (20, 30))
        write(tmp_path / f"train/images/{index}.png", image)
        write(tmp_path / f"train/masks/{index}.png", mask)
    (tmp_path / "classes.txt").write_text("ground\nbig tree\nsky\n")
    return tmp_path


@pytest.fixture
def dataset(tree: Path) -> FileDataset:
    return folder(split="train", root=tree)

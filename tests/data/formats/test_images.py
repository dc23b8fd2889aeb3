"""Images without masks: a split's folder, or all of them."""

from pathlib import Path

import pytest

from segdistill.data.formats.images import images
from segdistill.errors import DataError


def test_reads_a_splits_folder_or_all_images_without_masks(tree: Path) -> None:
    assert len(images(split="train", root=tree)) == 10
    data = images(split="predict", root=tree / "train/images")
    assert [data[i].name for i in range(len(data))] == list("01234")
    assert data[0].mask is None
    assert len(data.classes) == 0


def test_refuses_a_folder_that_is_missing_or_has_no_images(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="images: expected"):
        images(split="test", root=tmp_path / "nowhere")
    with pytest.raises(DataError, match="empty split"):
        images(split="test", root=tmp_path)


def test_says_that_a_folder_is_missing_and_points_to_no_other(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"^images: expected a folder .*none, got none; check"):
        images(split="train", root=tmp_path / "none")

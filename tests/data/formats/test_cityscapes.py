"""Cityscapes: the official tree, label ids to train ids, the test split without masks."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from segdistill.data.formats.cityscapes import CLASSES, LABEL_IDS, cityscapes
from segdistill.errors import DataError


@pytest.fixture
def root(tmp_path: Path, write: type) -> Path:
    # A folder of its own: a wrong root is answered with what lies beside it.
    root = tmp_path / "cityscapes"
    image = np.zeros((4, 17, 3), np.uint8)
    ids = np.arange(34, dtype=np.uint8).reshape(2, 17).repeat(2, axis=0)
    for split, kinds in (("train", ("gtFine", "gtCoarse")), ("test", ("gtFine",))):
        for city, frame in (("aachen", "aachen_000000_000019"), ("ulm", "ulm_000001_000019")):
            write(root / f"leftImg8bit/{split}/{city}/{frame}_leftImg8bit.png", image)
            for kind in kinds:
                stem = f"{root}/{kind}/{split}/{city}/{frame}_{kind}"
                write(Path(f"{stem}_labelIds.png"), ids)
                # Files of the official tree that are no masks of label ids.
                write(Path(f"{stem}_color.png"), np.zeros((4, 17, 4), np.uint8))
                write(Path(f"{stem}_instanceIds.png"), ids.astype(np.uint16) * 1000)
                Path(f"{stem}_polygons.json").write_text("{}")
    write(root / "leftImg8bit/train_extra/bayreuth/bayreuth_000000_000019_leftImg8bit.png", image)
    write(
        root / "gtCoarse/train_extra/bayreuth/bayreuth_000000_000019_gtCoarse_labelIds.png",
        ids,
    )
    return root


def test_a_copy_of_train_ids_alone_is_read_as_the_official_one(root: Path) -> None:
    expected = cityscapes(split="train", root=root)[0].mask
    table = np.full(34, 255, np.uint8)
    table[list(LABEL_IDS)] = range(19)
    for file in sorted(root.glob("gtFine/train/*/*_labelIds.png")):
        ids = table[np.asarray(Image.open(file))]
        Image.fromarray(ids).save(file.with_name(file.name.replace("labelIds", "labelTrainIds")))
        file.unlink()
    assert np.array_equal(cityscapes(split="train", root=root)[0].mask, expected)


def test_label_ids_become_the_19_train_ids(root: Path) -> None:
    data = cityscapes(split="train", root=root)
    assert [data[i].name for i in range(2)] == [
        "aachen/aachen_000000_000019",
        "ulm/ulm_000001_000019",
    ]
    mask = data[0].mask
    assert mask is not None
    by_id = dict(zip(range(34), mask[::2].ravel().tolist(), strict=True))
    # cityscapesscripts/helpers/labels.py: road, building, sky, car, bicycle and three without.
    expected = {7: 0, 11: 2, 23: 10, 26: 13, 33: 18, 0: 255, 9: 255, 29: 255}
    assert {key: by_id[key] for key in expected} == expected
    assert sorted(set(by_id.values())) == [*range(19), 255]
    assert len(CLASSES) == len(LABEL_IDS) == 19


def test_coarse_masks_and_train_extra_are_read(root: Path) -> None:
    assert len(cityscapes(split="train", root=root, annotation="coarse")) == 2
    assert len(cityscapes(split="train_extra", root=root, annotation="coarse")) == 1
    with pytest.raises(DataError, match="expected coarse masks for train_extra, got fine"):
        cityscapes(split="train_extra", root=root)


def test_the_test_split_has_no_masks(root: Path) -> None:
    data = cityscapes(split="test", root=root)
    assert (len(data), data[0].mask) == (2, None)


def test_a_missing_mask_is_named_and_a_wrong_level_is_said(root: Path) -> None:
    (root / "gtFine/train/ulm/ulm_000001_000019_gtFine_labelIds.png").unlink()
    with pytest.raises(DataError, match="a mask in gtFine/train/ for every image, got 1 that"):
        cityscapes(split="train", root=root)
    with pytest.raises(DataError, match=f"give data.root={root}$"):
        cityscapes(split="train", root=root / "leftImg8bit")
    with pytest.raises(DataError, match=f"give data.root={root}$"):
        cityscapes(split="train", root=root.parent)

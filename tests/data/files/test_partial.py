"""The top of a PNG: the same rows as of the whole file, or a refusal that means "read it all"."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from segdistill.data.files.dataset import FileDataset
from segdistill.data.files.masks import read_mask
from segdistill.data.files.partial import read_image_top, read_mask_top
from segdistill.data.files.reading import read_image
from segdistill.data.formats.folder import folder
from segdistill.data.stream import Stream
from segdistill.data.transforms import Recipe, augment
from segdistill.errors import DataError

RNG = np.random.default_rng(0)
RGB = RNG.integers(0, 256, (40, 30, 3), dtype=np.uint8)
IDS = RNG.integers(0, 200, (40, 30), dtype=np.uint8)


def save(path: Path, image: Image.Image, **options: object) -> Path:
    image.save(path, **options)
    return path


@pytest.mark.parametrize("rows", [1, 7, 39, 40, 99])
def test_gives_the_top_rows_and_the_whole_size(tmp_path: Path, rows: int) -> None:
    asked: list[tuple[int, int]] = []

    def needed(size: tuple[int, int]) -> int:
        asked.append(size)
        return rows

    clear = Image.fromarray(np.dstack([RGB, IDS]))
    for picture in (Image.fromarray(RGB), clear):
        found = read_image_top(save(tmp_path / "a.PNG", picture), needed)
        assert found is not None
        assert np.array_equal(found[0], RGB[:rows])
        assert found[1] == asked[-1] == (40, 30)
    palette = Image.fromarray(IDS, "P")
    palette.putpalette(list(range(256)) * 3)
    for picture in (Image.fromarray(IDS), palette):
        mask = read_mask_top(save(tmp_path / "m.png", picture), needed)
        assert mask is not None
        assert np.array_equal(mask[0], IDS[:rows])


def test_leaves_to_the_whole_reader_what_it_does_not_know(tmp_path: Path) -> None:
    note = Image.Exif()
    note[0x0112] = 6
    odd = [
        save(tmp_path / "a.jpg", Image.fromarray(RGB)),
        save(tmp_path / "grey.png", Image.fromarray(IDS)),
        save(tmp_path / "exif.png", Image.fromarray(RGB), exif=note),
    ]
    for path in odd:
        assert read_image_top(path, lambda size: 5) is None
    few = Image.fromarray(IDS % 4, "P")
    few.putpalette(list(range(12)))
    odd = [
        save(tmp_path / "rgb.png", Image.fromarray(RGB)),
        save(tmp_path / "wide.png", Image.fromarray(IDS.astype(np.uint16))),
        save(tmp_path / "one.png", Image.fromarray(IDS > 9)),
    ]
    for path in odd:
        assert read_mask_top(path, lambda size: 5) is None
    # Two bits a pixel: either reader, the same ids.
    path = save(tmp_path / "few.png", few, bits=2)
    top = read_mask_top(path, lambda size: 40)
    assert np.array_equal(read_mask(path), IDS % 4)
    assert top is None or np.array_equal(top[0], IDS % 4)
    (tmp_path / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n but no more")
    assert read_image_top(tmp_path / "broken.png", lambda size: 5) is None
    assert read_image_top(tmp_path / "missing.png", lambda size: 5) is None


def test_a_file_cut_off_above_the_rows_goes_to_the_whole_reader(tmp_path: Path) -> None:
    path = save(tmp_path / "a.png", Image.fromarray(RGB))
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])
    assert read_image_top(path, lambda size: 40) is None
    top = read_image_top(path, lambda size: 10)
    assert top is None or np.array_equal(top[0], RGB[:10])
    with pytest.raises(DataError, match="cut off or broken"):
        read_image(path)


def test_the_stream_draws_what_whole_files_would_give(dataset: FileDataset) -> None:
    recipe = Recipe((12, 14), (0.5, 2.0), flip=True)
    stream = Stream(dataset, recipe, 3, seed=4)
    for k in range(6):
        batch = stream.batch(k)
        for i in range(3):
            image, labels, _ = augment(dataset[stream.index(k, i)], recipe, 4, k, i)
            assert np.array_equal(batch.images[i], image)
            assert np.array_equal(batch.labels[i], labels)


def test_a_mask_of_another_size_is_refused_also_when_its_top_would_fit(tree: Path) -> None:
    Image.fromarray(np.zeros((15, 30), np.uint8)).save(tree / "train/masks/0.png")
    data = folder(split="train", root=tree)
    with pytest.raises(DataError, match="of its image's size 30×20, got 30×15"):
        data.read_top(0, lambda size: 4)
    assert data.read_top(1, lambda size: 4)[0].image.shape == (4, 30, 3)

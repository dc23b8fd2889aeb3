"""Files as arrays: every odd format is read as a viewer shows it, or refused by name."""

import contextlib
import os
import struct
import warnings
import zlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from segdistill.data.files.decoding import stored_size
from segdistill.data.files.masks import read_mask
from segdistill.data.files.partial import read_image_top, read_mask_top
from segdistill.data.files.reading import read_image
from segdistill.errors import DataError

GREY = np.linspace(0, 255, 20 * 30).reshape(20, 30).astype(np.uint8)
RGB = np.stack([GREY, GREY[::-1], GREY[:, ::-1]], axis=-1)


def save(path: Path, image: Image.Image, **options: object) -> Path:
    image.save(path, **options)
    return path


def write_png(path: Path, rows: list[bytes], *, width: int, bits: int, kind: int) -> Path:
    """A PNG of a depth that Pillow cannot write; kind 0 is grey, 2 RGB."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
        )

    header = struct.pack(">IIBBBBB", width, len(rows), bits, kind, 0, 0, 0)
    filtered = zlib.compress(b"".join(b"\0" + row for row in rows))
    body = chunk(b"IHDR", header) + chunk(b"IDAT", filtered) + chunk(b"IEND", b"")
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + body)
    return path


@pytest.mark.parametrize("name", ["a.png", "b c.PNG", "ü.bmp", "c.tif", "d.ppm"])
def test_reads_lossless_formats_exactly(tmp_path: Path, name: str) -> None:
    assert np.array_equal(read_image(save(tmp_path / name, Image.fromarray(RGB))), RGB)


def test_a_jpeg_is_what_pillow_reads(tmp_path: Path) -> None:
    for mode in ("RGB", "CMYK", "L"):
        path = save(tmp_path / f"{mode}.jpg", Image.fromarray(RGB).convert(mode))
        with Image.open(path) as picture:
            expected = np.array(picture.convert("RGB")).astype(int)
        assert np.abs(read_image(path).astype(int) - expected).max() <= 2


def test_grey_transparent_palette_and_16_bit_images_become_rgb(tmp_path: Path) -> None:
    grey = np.repeat(GREY[..., None], 3, axis=2)
    assert np.array_equal(read_image(save(tmp_path / "l.png", Image.fromarray(GREY))), grey)
    clear = Image.fromarray(np.dstack([RGB, GREY]))
    assert np.array_equal(read_image(save(tmp_path / "rgba.png", clear)), RGB)
    wide = Image.fromarray(GREY.astype(np.uint16) * 257)
    assert np.array_equal(read_image(save(tmp_path / "i16.png", wide)), grey)
    rows = [(row.astype(np.uint16) * 257).astype(">u2").tobytes() for row in RGB]
    deep = write_png(tmp_path / "rgb16.png", rows, width=30, bits=16, kind=2)
    assert np.array_equal(read_image(deep), RGB)
    palette = Image.fromarray(GREY, "P")
    palette.putpalette([value for i in range(256) for value in (255 - i, i, 7)])
    expected = np.stack([255 - GREY, GREY, np.full_like(GREY, 7)], axis=-1)
    assert np.array_equal(read_image(save(tmp_path / "p.png", palette)), expected)


@pytest.mark.parametrize("suffix", ["jpg", "png"])
def test_an_image_is_turned_as_its_exif_note_says(tmp_path: Path, suffix: str) -> None:
    note = Image.Exif()
    note[0x0112] = 6  # stored lying: the viewer turns it by 90 degrees to the right
    path = save(tmp_path / f"a.{suffix}", Image.fromarray(RGB), exif=note)
    turned = np.rot90(RGB, k=-1).astype(int)
    assert np.abs(read_image(path).astype(int) - turned).mean() < 6
    assert stored_size(path) == (20, 30)


@pytest.mark.parametrize("bits", [1, 2, 4, 8])
def test_a_palette_mask_keeps_its_ids(tmp_path: Path, bits: int) -> None:
    ids = GREY >> (8 - bits)
    mask = Image.fromarray(ids, "P")
    mask.putpalette([255 - i for i in range(256) for _ in range(3)])
    stored = read_mask(save(tmp_path / "m.png", mask, bits=bits))
    assert stored.dtype == np.uint8
    assert np.array_equal(stored, ids)


def test_masks_of_1_and_16_bits_keep_their_values(tmp_path: Path) -> None:
    one = read_mask(save(tmp_path / "one.png", Image.fromarray(GREY > 99)))
    assert np.array_equal(one, (GREY > 99).astype(np.uint8))
    ids = GREY.astype(np.uint16) * 200
    assert np.array_equal(read_mask(save(tmp_path / "wide.png", Image.fromarray(ids))), ids)


def test_a_mask_of_colours_is_given_as_colours(tmp_path: Path) -> None:
    assert np.array_equal(read_mask(save(tmp_path / "c.png", Image.fromarray(RGB))), RGB)


def test_a_jpeg_mask_is_refused(tmp_path: Path) -> None:
    path = save(tmp_path / "m.jpg", Image.fromarray(GREY))
    with pytest.raises(DataError, match=r"m\.jpg: expected a losslessly stored mask, got a JPEG"):
        read_mask(path)


@pytest.mark.parametrize("read", [read_image, read_mask])
@pytest.mark.parametrize("kind", ["missing", "empty", "folder", "text"])
def test_what_is_no_image_is_refused_by_name(tmp_path: Path, kind: str, read: type) -> None:
    path = tmp_path / "x.png"
    if kind == "folder":
        path.mkdir()
    elif kind != "missing":
        path.write_text("" if kind == "empty" else "hello, I am text, no image at all")
    reason = {
        "missing": "got nothing",
        "empty": "0 bytes",
        "folder": "a folder",
        "text": "got text",
    }
    with pytest.raises(DataError, match=rf"x\.png: expected .*image.*{reason[kind]}"):
        read(path)


@pytest.mark.parametrize("suffix", ["jpg", "png", "tif", "bmp"])
def test_a_file_that_is_cut_off_is_refused_by_name(tmp_path: Path, suffix: str) -> None:
    path = save(tmp_path / f"x.{suffix}", Image.fromarray(RGB))
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])
    with pytest.raises(DataError, match=rf"x\.{suffix}: expected a readable image"):
        read_image(path)


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_no_bytes_raise_anything_but_a_data_error(tmp_path: Path, data: st.DataObject) -> None:
    suffix = data.draw(st.sampled_from(["png", "jpg", "tif", "gif", "bmp", "webp"]))
    path = save(tmp_path / f"fuzz.{suffix}", Image.fromarray(RGB[:8, :8]))
    whole = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        whole[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))
    path.write_bytes(whole[: data.draw(st.integers(1, len(whole)))])
    for read, channels in ((read_image, (3,)), (read_mask, (2, 3))):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with contextlib.suppress(DataError):
                assert read(path).ndim in (*channels, 3)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_that_may_not_be_read_is_refused_by_name(tmp_path: Path) -> None:
    path = save(tmp_path / "x.png", Image.fromarray(RGB))
    path.chmod(0)
    with pytest.raises(DataError, match=r"x\.png: .*Permission denied"):
        read_image(path)


@pytest.mark.parametrize("bits", [2, 4])
def test_a_grey_mask_of_few_bits_keeps_its_ids(tmp_path: Path, bits: int) -> None:
    ids = np.arange(2**bits, dtype=np.uint8)
    packed = np.packbits(np.unpackbits(ids[:, None], axis=1)[:, -bits:]).tobytes()
    path = write_png(tmp_path / "m.png", [packed], width=len(ids), bits=bits, kind=0)
    assert read_mask(path)[0].tolist() == ids.tolist()


@pytest.mark.parametrize("turn", range(1, 9))
@pytest.mark.parametrize("suffix", ["png", "tif"])
def test_a_mask_is_turned_by_its_exif_note_as_its_image_is(
    tmp_path: Path, turn: int, suffix: str
) -> None:
    note = Image.Exif()
    note[0x0112] = turn
    ids = save(tmp_path / f"m.{suffix}", Image.fromarray(GREY), exif=note)
    image = read_image(save(tmp_path / f"i.{suffix}", Image.fromarray(GREY), exif=note))
    assert np.array_equal(read_mask(ids), image[..., 0])


def test_16_bits_are_scaled_alike_whatever_an_image_holds(tmp_path: Path) -> None:
    dark = Image.fromarray(np.full((2, 2), 200, dtype=np.uint16))
    assert read_image(save(tmp_path / "dark.png", dark)).max() == 1


def bomb(kind: str, path: Path) -> Path:
    """Write a file of one colour and 16 megapixels, of a few kilobytes where the format can."""
    modes = {"jpg": "L", "mask": "L", "palette": "P", "grey16": "I;16"}
    suffix = {"mask": "png", "palette": "png", "rgb": "png", "grey16": "png"}.get(kind, kind)
    picture = Image.new(modes.get(kind, "RGB"), (4000, 4000))
    return save(path / f"large.{suffix}", picture)


@pytest.mark.parametrize(
    "kind", ["jpg", "rgb", "mask", "palette", "grey16", "bmp", "gif", "tif", "webp", "ppm"]
)
def test_a_picture_of_too_many_pixels_is_refused_before_it_is_decoded(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = bomb(kind, tmp_path)
    monkeypatch.setenv("SEGDISTILL_MAX_MEGAPIXELS", "15")
    message = r"large\.\w+: expected an image of at most 15 megapixels, got 4000×4000, 16 mega"
    readers = [read_image, stored_size] if kind == "jpg" else [read_image, read_mask, stored_size]
    if kind == "mask":
        readers.append(lambda path: read_mask_top(path, lambda _: 8))  # type: ignore[arg-type]
    if kind == "rgb":
        readers.append(lambda path: read_image_top(path, lambda _: 8))  # type: ignore[arg-type]
    for read in readers:
        with pytest.raises(DataError, match=message):
            read(file)
    monkeypatch.setenv("SEGDISTILL_MAX_MEGAPIXELS", "16")
    assert stored_size(file) == (4000, 4000)
    assert read_image(file).shape[:2] == (4000, 4000)


def test_the_limit_of_pixels_is_200_million_and_pillows_own_does_not_count(tmp_path: Path) -> None:
    header = struct.pack(">IIBBBBB", 20_000, 10_001, 8, 0, 0, 0, 0)
    file = tmp_path / "a.png"

    def write(header: bytes) -> None:
        start = b"IHDR" + header
        chunk = struct.pack(">I", len(header)) + start + struct.pack(">I", zlib.crc32(start))
        file.write_bytes(b"\x89PNG\r\n\x1a\n" + chunk + b"\0\0\0\0IDAT" + bytes(4))

    write(header)
    for read in (read_image, read_mask, stored_size):
        with pytest.raises(DataError, match="at most 200 megapixels, got 20000×10001"):
            read(file)
    write(struct.pack(">IIBBBBB", 20_000, 10_000, 8, 0, 0, 0, 0))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert stored_size(file) == (10_000, 20_000)


@pytest.mark.parametrize("value", ["many", "0", "-1", "inf", "nan", ""])
def test_a_limit_of_pixels_that_is_no_number_is_refused(
    value: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = save(tmp_path / "a.png", Image.fromarray(RGB))
    monkeypatch.setenv("SEGDISTILL_MAX_MEGAPIXELS", value)
    with pytest.raises(ValueError, match="SEGDISTILL_MAX_MEGAPIXELS: expected a number above 0"):
        read_image(file)


def test_a_large_tiff_of_one_strip_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = save(tmp_path / "x.tif", Image.fromarray(RGB), compression="tiff_deflate")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 20)  # Pillow refuses twice as many
    assert np.array_equal(read_image(path), RGB)
    path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(DataError, match=r"x\.tif: expected a readable image"):
        read_image(path)

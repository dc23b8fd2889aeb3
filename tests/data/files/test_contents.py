"""What files really hold: each cause in its own words, and codecs that change values of masks."""

import struct
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, features

from segdistill.data.files.masks import read_mask
from segdistill.data.files.pixels import pixels
from segdistill.data.files.reading import read_image
from segdistill.errors import DataError

IDS = np.zeros((32, 40), dtype=np.uint8)
IDS[10:, 7:] = 4
IDS[20:, 21:] = 8

CAUSES = {
    "lfs": (b"version https://git-lfs.github.com/spec/v1\noid sha256:00\n", "Git LFS pointer"),
    "annex": (b"/annex/objects/SHA256E-s1--0.png\n", "git-annex pointer"),
    "html": (b"<!DOCTYPE html><title>404</title>", r"a web page \(404\)"),
    "xml": (
        b"<?xml version='1.0'?><Error><Code>AccessDenied</Code></Error>",
        r"refusal \(AccessDenied\)",
    ),
    "refused": (b'{"error": "rate limit"}', r"a server's refusal \(rate limit\)"),
    "annotation": (b"<annotation><folder>a</folder></annotation>", "an XML text"),
    "svg": (b"<svg xmlns='http://www.w3.org/2000/svg'></svg>", "an SVG drawing"),
    "json": (b'{"shapes": []}', "a JSON text"),
    "text": (b"not an image", r"text \('not an image'\)"),
    "npy": (b"\x93NUMPY\x01\x00v\x00{'descr'", "a NumPy array"),
    "zip": (b"PK\x03\x04rest", "a ZIP archive"),
    "gzip": (b"\x1f\x8b\x08rest", "a gzip archive"),
    "pdf": (b"%PDF-1.7\n%\xe2", "a PDF"),
    "jxl": (b"\xff\x0a\x00\x10\x00", "a JPEG XL file"),
    "heic": (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", "HEIC, which is not read"),
    "video": (b"\0\0\0\x18ftypisom\0\0\0\0isom", "a video"),
    "zeros": (bytes(900), "900 zero bytes"),
    "empty": (b"", "0 bytes"),
    "broken": (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0", "cut off or broken"),
}


@pytest.mark.parametrize("read", [read_image, read_mask])
@pytest.mark.parametrize("kind", CAUSES)
def test_what_is_no_image_is_named_as_what_it_is(tmp_path: Path, kind: str, read: type) -> None:
    content, words = CAUSES[kind]
    (tmp_path / "a.png").write_bytes(content)
    with pytest.raises(DataError, match=rf"a\.png: expected .*got .*{words}"):
        read(tmp_path / "a.png")


@pytest.mark.parametrize(
    ("name", "options", "codec"),
    [
        ("a.tif", {"compression": "jpeg"}, "JPEG inside a TIFF"),
        (
            "a.jp2",
            {"irreversible": True, "quality_mode": "rates", "quality_layers": [20]},
            "a lossy J",
        ),
        ("a.jpg", {"quality": 100}, "a JPEG"),
        ("a.webp", {"quality": 90}, "a lossy WebP"),
        ("a.avif", {"quality": 90}, "an AVIF or HEIC"),
    ],
)
def test_a_mask_of_a_lossy_codec_is_refused_whatever_its_container(
    tmp_path: Path, name: str, options: dict[str, object], codec: str
) -> None:
    if name == "a.avif" and not features.check("avif"):
        pytest.skip("Pillow without AVIF")
    Image.fromarray(IDS).save(tmp_path / name, **options)
    with pytest.raises(DataError, match=f"expected a losslessly stored mask, got {codec}"):
        read_mask(tmp_path / name)
    assert read_image(tmp_path / name).shape == (32, 40, 3)


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("a.tif", {"compression": "tiff_lzw"}),
        ("a.tif", {"compression": "tiff_deflate"}),
        ("a.tif", {"compression": "packbits"}),
        ("a.jp2", {}),
        ("a.bmp", {}),
    ],
)
def test_a_mask_of_a_lossless_codec_is_read_exactly(
    tmp_path: Path, name: str, options: dict[str, object]
) -> None:
    Image.fromarray(IDS).save(tmp_path / name, **options)
    assert np.array_equal(read_mask(tmp_path / name), IDS)
    Image.fromarray(np.stack([IDS] * 3, axis=2)).save(tmp_path / "l.webp", lossless=True)
    assert np.array_equal(read_mask(tmp_path / "l.webp")[..., 0], IDS)


@pytest.mark.parametrize("read", [read_image, read_mask])
def test_a_tiff_of_several_pages_is_refused_unless_they_are_smaller_copies(
    tmp_path: Path, read: type
) -> None:
    pages = [Image.fromarray(IDS), Image.fromarray(IDS // 4)]
    pages[0].save(tmp_path / "a.tif", save_all=True, append_images=pages[1:])
    with pytest.raises(DataError, match="got a TIFF of 2 pages; store the intended page"):
        read(tmp_path / "a.tif")
    copy = pages[1].copy()
    copy.encoderinfo = {"tiffinfo": {254: 1}}
    pages[0].save(tmp_path / "b.tif", save_all=True, append_images=[copy])
    assert read(tmp_path / "b.tif").shape[:2] == (32, 40)


def write_tiff(path: Path, array: np.ndarray, **tags: int) -> Path:
    """Write rows of whole numbers as a TIFF of one strip, with any photometric and format."""
    height, width = array.shape[:2]
    bands = array.shape[2] if array.ndim == 3 else 1
    values = {
        256: width, 257: height, 258: 8 * array.dtype.itemsize, 259: 1,
        262: tags.get("photometric", 1), 273: 8, 277: bands, 278: height, 279: array.nbytes,
        339: tags.get("format", 1),
    }  # fmt: skip
    body = array.astype(array.dtype.newbyteorder("<")).tobytes()
    entries, beyond = b"", b""
    after = 8 + len(body) + 2 + 12 * len(values) + 4
    for tag, value in sorted(values.items()):
        if tag == 258 and bands > 2:
            entries += struct.pack("<HHII", tag, 3, bands, after + len(beyond))
            beyond += struct.pack(f"<{bands}H", *[value] * bands)
        elif tag == 258 and bands == 2:
            entries += struct.pack("<HHIHH", tag, 3, 2, value, value)
        else:
            entries += struct.pack("<HHII", tag, 4, 1, value)
    directory = struct.pack("<H", len(values)) + entries + bytes(4)
    path.write_bytes(b"II*\0" + struct.pack("<I", 8 + len(body)) + body + directory + beyond)
    return path


def test_a_mask_whose_0_is_white_keeps_its_ids_and_an_image_is_as_shown(tmp_path: Path) -> None:
    file = write_tiff(tmp_path / "a.tif", IDS, photometric=0)
    assert np.array_equal(read_mask(file), IDS)
    assert np.array_equal(read_image(file)[..., 0], 255 - IDS)
    wide = write_tiff(tmp_path / "b.tif", IDS.astype(np.uint16) * 257, photometric=0)
    assert np.array_equal(read_mask(wide), IDS.astype(np.int32) * 257)
    assert np.array_equal(read_image(wide)[..., 0], 255 - IDS)


@pytest.mark.parametrize("bands", [2, 4, 5])
def test_bands_that_are_no_colours_are_said(tmp_path: Path, bands: int) -> None:
    file = write_tiff(tmp_path / "a.tif", np.stack([IDS] * bands, axis=2))
    with pytest.raises(DataError, match=f"expected 1 or 3 bands, got {bands} of 8 bits; set"):
        read_image(file)
    if bands != 4:
        with pytest.raises(DataError, match=f"one band or RGB colours, got {bands} bands"):
            read_mask(file)


def test_a_mask_of_floats_and_a_large_tiff_are_named_as_such(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = write_tiff(tmp_path / "f.tif", IDS.astype(np.float32), format=3)
    with pytest.raises(DataError, match="got 1 × 32-bit floats per pixel; store ids as 8-bit PNG"):
        read_mask(file)
    with pytest.raises(DataError, match="got float32, which does not define white"):
        read_image(file)
    monkeypatch.setenv("SEGDISTILL_MAX_MEGAPIXELS", "0.001")
    with pytest.raises(DataError, match=r"at most 0\.001 megapixels, got 40×32"):
        read_image(file)


@pytest.mark.parametrize("read", [read_image, read_mask])
@pytest.mark.parametrize("name", ["a.gif", "a.webp"])
def test_an_animation_is_refused(tmp_path: Path, name: str, read: type) -> None:
    frames = [Image.fromarray(np.stack([IDS + k] * 3, axis=2)) for k in range(2)]
    frames[0].save(tmp_path / name, save_all=True, append_images=frames[1:], lossless=True)
    with pytest.raises(DataError, match="got an animation; store the intended frame"):
        read(tmp_path / name)


def test_what_pillow_cannot_read_asks_for_tifffile(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "tifffile", None)
    file = write_tiff(
        tmp_path / "a.tif", np.stack([IDS.astype(np.uint16)] * 3, axis=2), photometric=2
    )
    with pytest.raises(DataError, match=r"3 × 16-bit whole numbers per pixel; pip .*\[tiff\]"):
        read_image(file)


@pytest.mark.parametrize("compression", ["lzw", "zlib", "zstd"])
def test_compressed_colours_of_16_bits_are_read(
    tmp_path: Path, compression: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    tifffile = pytest.importorskip("tifffile")
    pytest.importorskip("imagecodecs")
    wide = np.stack([IDS.astype(np.uint16) * k * 257 for k in (1, 2, 3)], axis=2)
    file = tmp_path / "a.tif"
    tifffile.imwrite(file, wide, photometric="rgb", compression=compression)
    assert np.array_equal(read_image(file), wide // 257)

    class Without:
        """A file of which tifffile says that a codec is missing."""

        def __init__(self, _file: object) -> None:
            raise ValueError("<COMPRESSION.LZW: 5> requires the 'imagecodecs' package")

    monkeypatch.setattr(tifffile, "TiffFile", Without)
    with pytest.raises(DataError, match=r"numbers per pixel, compressed; pip .*\[tiff\]"):
        read_image(file)


def test_a_tiff_without_values_is_refused_by_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tifffile = pytest.importorskip("tifffile")
    three = np.stack([IDS.astype(np.uint16)] * 3, axis=2)
    file = write_tiff(tmp_path / "a.tif", three, photometric=2)
    monkeypatch.setattr(tifffile.TiffPage, "asarray", lambda _page: np.array([]))
    with pytest.raises(DataError, match=r"a\.tif: expected a readable image.*shape \(0,\)"):
        read_image(file)


def test_bands_and_high_bits_are_read_with_tifffile(tmp_path: Path) -> None:
    pytest.importorskip("tifffile")
    five = np.stack([IDS.astype(np.uint16) * k for k in range(5)], axis=2)
    file = write_tiff(tmp_path / "a.tif", five)
    image = read_image(file, pixels(range=(0, 255), bands=(4, 2, 0)))
    assert np.array_equal(image, five[..., [4, 2, 0]])
    wide = write_tiff(tmp_path / "b.tif", IDS.astype(np.int64), format=2)
    assert np.array_equal(read_mask(wide), IDS)

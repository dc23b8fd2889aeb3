"""What a file really contains, by its first bytes, for messages about files that are no images."""

from __future__ import annotations

import re
import struct
from io import BytesIO
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import features
from PIL.TiffImagePlugin import ImageFileDirectory_v2

from segdistill.errors import DataError

_MOST_PAGES = 1000
# Of the TIFF specification and its registered extensions, those that give back what was stored.
_LOSSLESS = frozenset({1, 2, 3, 4, 5, 8, 32773, 32946, 34925, 50000})
_LOSSY_NAMES = {
    6: "JPEG", 7: "JPEG", 33003: "JPEG 2000", 33005: "JPEG 2000", 34712: "JPEG 2000",
    34887: "LERC", 34892: "JPEG", 50001: "WebP", 50002: "JPEG XL", 34934: "JPEG XR",
}  # fmt: skip
_TIFF_MARKS = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
_HEIC_BRANDS = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1")
_FOREIGN = (
    (b"version https://git-lfs", "a Git LFS pointer instead of the file", "run git lfs pull"),
    (b"/annex/objects/", "a git-annex pointer instead of the file", "run git annex get"),
    (b"\x93NUMPY", "a NumPy array", "store it as PNG"),
    (b"\x89HDF", "an HDF5 file", "store its arrays as PNG"),
    (b"PK\x03\x04", "a ZIP archive", "unpack it"),
    (b"\x1f\x8b", "a gzip archive", "unpack it"),
    (b"Rar!", "a RAR archive", "unpack it"),
    (b"7z\xbc\xaf", "a 7z archive", "unpack it"),
    (b"%PDF", "a PDF", "export its picture as PNG"),
    (b"8BPS", "a Photoshop file", "export it as PNG"),
    (b"v/1\x01", "an OpenEXR file", "store 8 or 16 bits as PNG"),
    (b"\xff\x0a", "a JPEG XL file, which is not read", "convert it to PNG"),
    (b"\0\0\0\x0cJXL ", "a JPEG XL file, which is not read", "convert it to PNG"),
)


# What a store or an API sends with status 403 or 404, saved instead of the file.
_REFUSAL = re.compile(
    rb"""(<\?xml[^>]*>\s*)?<error>.*?<code>(?P<xml>[^<]*)"""
    rb"""|\{\s*"(error|message|detail)"\s*:\s*"?(?P<json>[^"}]*)""",
    re.IGNORECASE | re.DOTALL,
)


class TiffFacts(NamedTuple):
    """What the header of a TIFF says of its first picture.

    Attributes:
        height: in pixels, as stored.
        width: of the same.
        bands: values a pixel.
        bits: of each value.
        kind: ``whole numbers``, ``signed whole numbers``, ``floats`` or ``complex numbers``.
        photometric: 0 where 0 is white, 1 where it is black, 2 RGB, 3 palette.
        lossy: name of a compression that changes values, or empty.
        extra: meaning of the bands above the picture's own; 1 and 2 are transparency.
        pages: number of pictures that are no smaller copy of another.
        orientation: the EXIF number, 1 where nothing is turned.
    """

    height: int
    width: int
    bands: int
    bits: int
    kind: str
    photometric: int
    lossy: str
    extra: tuple[int, ...]
    pages: int
    orientation: int


def tiff_facts(data: np.ndarray) -> TiffFacts | None:
    """Read the header of a TIFF; None for other files, and for one that cannot be read."""
    if data[:4].tobytes() not in _TIFF_MARKS:
        return None
    file = BytesIO(data.tobytes())
    try:
        mark = file.read(8)
        directory = ImageFileDirectory_v2(mark + (file.read(8) if 43 in mark[2:4] else b""))
        pages, first, seen = 0, dict[int, object](), set[int]()
        while directory.next and directory.next not in seen and len(seen) < _MOST_PAGES:
            seen.add(directory.next)
            file.seek(directory.next)
            directory.load(file)
            tags = dict(directory)
            first = first or tags
            # Bit 0: a smaller copy of another page; bit 2: its transparency.
            pages += not int(tags.get(254, 0)) & 5
    except (OSError, ValueError, SyntaxError, KeyError, TypeError, IndexError, struct.error):
        return None
    return _facts(first, pages) if {256, 257} <= set(first) else None


def _facts(tags: dict[int, object], pages: int) -> TiffFacts:
    def numbers(tag: int, default: int) -> tuple[int, ...]:
        value = tags.get(tag, default)
        return tuple(value) if isinstance(value, tuple) else (int(str(value)),)

    compression = numbers(259, 1)[0]
    lossless = compression in _LOSSLESS
    kinds = {2: "signed whole numbers", 3: "floats", 5: "complex numbers", 6: "complex numbers"}
    return TiffFacts(
        height=numbers(257, 0)[0],
        width=numbers(256, 0)[0],
        bands=numbers(277, 1)[0],
        bits=max(numbers(258, 1)),
        kind=kinds.get(numbers(339, 1)[0], "whole numbers"),
        photometric=numbers(262, 1)[0],
        lossy="" if lossless else _LOSSY_NAMES.get(compression, f"compression {compression}"),
        extra=numbers(338, 0) if 338 in tags else (),
        pages=pages,
        orientation=numbers(274, 1)[0],
    )


def lossy_codec(data: np.ndarray) -> str:
    """Return the name of the codec of a file whose values were changed by it, else nothing.

    JPEG 2000 with the reversible transform counts as lossless: that it was cut to a rate
    afterwards stands nowhere in the file.
    """
    head = data[:16].tobytes()
    if head[:3] == b"\xff\xd8\xff":
        return "a JPEG"
    facts = tiff_facts(data)
    if facts is not None:
        return f"{facts.lossy} inside a TIFF" if facts.lossy else ""
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "a lossy WebP" if b"VP8 " in _webp_chunks(data.tobytes()) else ""
    if head[4:8] == b"ftyp":
        return "an AVIF or HEIC"
    if head[4:8] == b"jP  " or head[:4] == b"\xff\x4f\xff\x51":
        text = data.tobytes()
        # In the marker COD, the last byte of its fixed part is 0 for the 9-7 transform.
        start = text.find(b"\xff\x52", max(text.find(b"\xff\x4f\xff\x51"), 0))
        return "a lossy JPEG 2000" if start < 0 or text[start + 13 : start + 14] != b"\x01" else ""
    return ""


def _webp_chunks(text: bytes) -> set[bytes]:
    names, start = set(), 12
    while start + 8 <= len(text):
        names.add(text[start : start + 4])
        (size,) = struct.unpack("<I", text[start + 4 : start + 8])
        start += 8 + size + size % 2
    return names


def refuse_foreign(data: np.ndarray, path: Path) -> None:
    """Refuse a file that is not a readable image, and say what it is.

    Raises:
        DataError: the content is that of another kind of file, or nothing but zeros.
    """
    head = data[:512].tobytes()
    for mark, what, advice in _FOREIGN:
        if mark in head[:64] if mark.startswith(b"/") else head.startswith(mark):
            raise DataError(f"{path}: expected an image file, got {what}; {advice}")
    if head[4:8] == b"ftyp":
        _refuse_box(head[8:12], path)
    if not head.strip(b"\0") and not data.any():
        raise DataError(
            f"{path}: expected an image file, got {len(data)} zero bytes, as an unfinished "
            "download leaves; copy it again"
        )
    _refuse_text(head, path)


def _refuse_box(brand: bytes, path: Path) -> None:
    if brand in _HEIC_BRANDS:
        raise DataError(
            f"{path}: expected an image file, got HEIC, which is not read; convert it to JPEG or "
            "PNG"
        )
    if brand in (b"avif", b"avis"):
        if features.check("avif"):
            return
        raise DataError(
            f"{path}: expected an image file, got AVIF, which this Pillow was built without; "
            "install pillow 11.3 or newer, or convert it to JPEG or PNG"
        )
    raise DataError(
        f"{path}: expected an image file, got a video (of the kind {brand.decode('latin-1')}); "
        "store its frames as images"
    )


def _refuse_text(head: bytes, path: Path) -> None:
    text = head.lstrip(b"\xef\xbb\xbf \t\r\n")
    start = text[:100].lower()
    if start.startswith((b"<!doctype html", b"<html")) or b"<html" in head.lower():
        title = re.search(rb"<title>\s*([^<]*)", head, re.IGNORECASE)
        shown = f" ({title[1].decode('utf-8', 'replace').strip()[:60]})" if title else ""
        raise DataError(
            f"{path}: expected an image file, got a web page{shown}; download it again, signed in "
            "where the site asks for it"
        )
    refusal = _REFUSAL.match(text)
    if refusal:
        words = (refusal["xml"] or refusal["json"] or b"").decode("utf-8", "replace")
        raise DataError(
            f"{path}: expected an image file, got a server's refusal ({words.strip()[:60]}); "
            "download it again, signed in where the site asks for it"
        )
    if start.startswith(b"<"):
        kind = "an SVG drawing" if b"<svg" in head.lower() else "an XML text"
        raise DataError(f"{path}: expected an image file, got {kind}; store pixels as PNG")
    if start.startswith((b"{", b"[")):
        raise DataError(
            f"{path}: expected an image file, got a JSON text; annotations as JSON have to be "
            "drawn as masks first"
        )
    # PNM files are text too, and start with P1 to P7.
    if (
        len(head) > 7
        and not re.match(rb"P[1-7fF]\s", text)
        and re.fullmatch(rb"[\t\n\r -~]+", head)
    ):
        shown = " ".join(head[:40].decode().split())
        raise DataError(
            f"{path}: expected an image file, got text ({shown!r}); copy the image itself"
        )

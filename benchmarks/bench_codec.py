"""The tile codec of compressed packs against codecs of libraries: crop time and size on disk.

    pip install zarr numcodecs
    python benchmarks/bench_codec.py [--camvid DIR]

Every codec keeps the same tiles of 64x256 px, and a random 512x1024 window of each 1024x2048
image and mask is read back and checked. Codecs take turns, and the best round of five counts;
one thread computes. ``zarr`` is read through its own interface, from memory; the others are
called tile by tile. WebP and PNG are Pillow's. ``differences`` is our filter before the library's
compressor.

- ``drawn``: street scenes drawn at that size, with the noise of a small camera.
- ``camvid``: 480x360 frames of CamVid (its folder ``train``) side by side, where they are at hand.
"""

from __future__ import annotations

import argparse
import io
import json
import random
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numcodecs
import numpy as np
import torch
import zarr
from PIL import Image
from results_file import write_result

from segdistill.data.formats.scenes import scenes
from segdistill.data.pack.tiles import (
    TILE,
    Window,
    decode_image,
    decode_mask,
    encode_image,
    encode_mask,
    tile_windows,
    touched,
)

SIZE, CROP = (1024, 2048), (512, 1024)
IMAGES, ROUNDS, WINDOWS, SEED = 4, 5, 12, 0


class Codec(NamedTuple):
    """How one array is kept, and how a window of it is read.

    Attributes:
        encode: from an array to what is kept.
        stored_bytes: of what is kept.
        read: from what is kept and a window to that window's pixels.
    """

    encode: Callable[[np.ndarray], Any]
    stored_bytes: Callable[[Any], int]
    read: Callable[[Any, Window], np.ndarray]


def cut(array: np.ndarray, window: Window) -> np.ndarray:
    top, left, height, width = window
    return array[top : top + height, left : left + width]


def encode_ours(array: np.ndarray) -> tuple[bool, list[bytes]]:
    colored = array.ndim == 3
    return colored, list(encode_image(array) if colored else encode_mask(array))


def read_ours(kept: tuple[bool, list[bytes]], window: Window) -> np.ndarray:
    colored, tiles = kept
    needed = {number: memoryview(tiles[number]) for number in touched(SIZE, window)}
    return cut((decode_image if colored else decode_mask)(needed, SIZE, window), window)


def tiled(encode: Callable[[np.ndarray], bytes], decode: Callable[[bytes], np.ndarray]) -> Codec:
    """Keep each tile by a library's codec of whole arrays."""

    def encode_all(array: np.ndarray) -> tuple[tuple[int, ...], list[bytes]]:
        tiles = [np.ascontiguousarray(cut(array, window)) for window in tile_windows(SIZE)]
        return array.shape, [bytes(encode(tile)) for tile in tiles]

    def read(kept: tuple[tuple[int, ...], list[bytes]], window: Window) -> np.ndarray:
        shape, tiles = kept
        array, windows = np.empty(shape, dtype=np.uint8), tile_windows(SIZE)
        for number in touched(SIZE, window):
            part = cut(array, windows[number])
            part[:] = decode(tiles[number]).reshape(part.shape)
        return cut(array, window)

    return Codec(encode_all, lambda kept: sum(map(len, kept[1])), read)


def pillow(kind: str, **options: object) -> Codec:
    def encode(tile: np.ndarray) -> bytes:
        # WebP has no grey pictures: a mask is kept as three equal planes.
        grey = kind == "WEBP" and tile.ndim == 2
        file = io.BytesIO()
        Image.fromarray(np.stack([tile] * 3, axis=-1) if grey else tile).save(file, kind, **options)
        return file.getvalue()

    return tiled(encode, lambda data: np.asarray(Image.open(io.BytesIO(data))))


def webp_masks(codec: Codec) -> Codec:
    """Read one of the three equal planes of a mask."""
    base = pillow("WEBP", lossless=True, quality=0, method=0)

    def read(kept: Any, window: Window) -> np.ndarray:
        shape, tiles = kept
        if len(shape) == 3:
            return base.read(kept, window)
        return base.read(((*shape, 3), tiles), window)[..., 0]

    return Codec(codec.encode, codec.stored_bytes, read)


def numcodec(codec: Any) -> Codec:
    return tiled(codec.encode, lambda data: np.frombuffer(codec.decode(data), dtype=np.uint8))


def differences(codec: Any) -> Codec:
    """Keep an image's tiles as the differences that ours are made of, then compress them."""

    def encode(tile: np.ndarray) -> bytes:
        tile = tile.copy()
        if tile.ndim == 3:
            tile[..., 0] -= tile[..., 1]
            tile[..., 2] -= tile[..., 1]
            tile[1:] -= tile[:-1].copy()
        return codec.encode(tile)

    plain = tiled(encode, lambda data: np.frombuffer(codec.decode(data), dtype=np.uint8))

    def read(kept: Any, window: Window) -> np.ndarray:
        if len(kept[0]) == 2:
            return plain.read(kept, window)
        # From the top of the tiles: a row is the sum of the rows of its tile above it.
        lead = window.top % TILE[0]
        above = Window(window.top - lead, window.left, window.height + lead, window.width)
        part = plain.read(kept, above)
        for row in range(len(part)):
            if row % TILE[0]:
                part[row] += part[row - 1]
        part = part[lead:]
        part[..., 0] += part[..., 1]
        part[..., 2] += part[..., 1]
        return part

    return Codec(plain.encode, plain.stored_bytes, read)


def zarr_array(**options: object) -> Codec:
    def encode(array: np.ndarray) -> Any:
        chunks = (*TILE, 3)[: array.ndim]
        return zarr.create_array(
            store=zarr.storage.MemoryStore(), data=array, chunks=chunks, **options
        )

    def read(kept: Any, window: Window) -> np.ndarray:
        top, left, height, width = window
        return kept[top : top + height, left : left + width]

    return Codec(encode, lambda kept: kept.nbytes_stored(), read)


CODECS = {
    "tiles": Codec(encode_ours, lambda kept: sum(map(len, kept[1])), read_ours),
    "zarr, blosc zstd 5": zarr_array(
        compressors=zarr.codecs.BloscCodec(cname="zstd", clevel=5, shuffle="shuffle", typesize=3)
    ),
    "zarr, zstd 3": zarr_array(compressors=zarr.codecs.ZstdCodec(level=3)),
    "numcodecs blosc zstd 5": numcodec(
        numcodecs.Blosc(cname="zstd", clevel=5, shuffle=numcodecs.Blosc.SHUFFLE)
    ),
    "numcodecs blosc lz4": numcodec(
        numcodecs.Blosc(cname="lz4", clevel=5, shuffle=numcodecs.Blosc.SHUFFLE)
    ),
    "numcodecs zstd 3": numcodec(numcodecs.Zstd(3)),
    "differences, numcodecs zstd 3": differences(numcodecs.Zstd(3)),
    "differences, numcodecs blosc zstd 5": differences(
        numcodecs.Blosc(cname="zstd", clevel=5, shuffle=numcodecs.Blosc.NOSHUFFLE)
    ),
    "png": pillow("PNG", compress_level=6),
    "webp, fastest": webp_masks(pillow("WEBP", lossless=True, quality=0, method=0)),
    "webp": webp_masks(pillow("WEBP", lossless=True, quality=80, method=4)),
}


Pairs = list[tuple[np.ndarray, np.ndarray]]


def drawn() -> Pairs:
    dataset = scenes(split="val", size=SIZE, val_images=IMAGES)
    return [(sample.image, sample.mask) for sample in map(dataset.__getitem__, range(IMAGES))]


def read_rgb(file: Path) -> np.ndarray:
    return np.asarray(Image.open(file).convert("RGB"))


def read_labels(file: Path) -> np.ndarray:
    return np.asarray(Image.open(file.parents[1] / f"{file.parent.name}annot/{file.stem}.png"))


def mosaics(root: Path) -> Pairs:
    """Put frames of CamVid side by side, cut to the size: no pixel is resized."""
    frames = sorted((root / "train").glob("*.[jp][pn]g"))
    rows, columns = -(-SIZE[0] // 360), -(-SIZE[1] // 480)
    made = []
    for first in range(IMAGES):
        used = iter(frames[first :: len(frames) // (rows * columns)])
        grid = [[next(used) for _ in range(columns)] for _ in range(rows)]
        image, mask = (
            np.concatenate([np.concatenate([read(file) for file in row], axis=1) for row in grid])
            for read in (read_rgb, read_labels)
        )
        made.append((image[: SIZE[0], : SIZE[1]], mask[: SIZE[0], : SIZE[1]]))
    return made


def windows() -> list[Window]:
    draw = random.Random(SEED)
    height, width = CROP
    return [
        Window(draw.randint(0, SIZE[0] - height), draw.randint(0, SIZE[1] - width), *CROP)
        for _ in range(WINDOWS)
    ]


def mean_ms(codec: Codec, kept: list[tuple[Any, Any]]) -> float:
    times = []
    for number, window in enumerate(windows()):
        image, mask = kept[number % IMAGES]
        start = time.perf_counter()
        codec.read(image, window)
        codec.read(mask, window)
        times.append(1e3 * (time.perf_counter() - start))
    return statistics.mean(times)


def compare(originals: Pairs) -> dict[str, dict[str, float]]:
    kept, encode_ms = {}, {}
    for name, codec in CODECS.items():
        start = time.perf_counter()
        kept[name] = [tuple(codec.encode(array) for array in pair) for pair in originals]
        encode_ms[name] = 1e3 * (time.perf_counter() - start) / IMAGES
        for stored, pair in zip(kept[name], originals, strict=True):
            for part, original in zip(stored, pair, strict=True):
                window = windows()[0]
                if not np.array_equal(codec.read(part, window), cut(original, window)):
                    raise RuntimeError(f"{name}: expected the pixels that were encoded, got others")
    rounds: dict[str, list[float]] = {name: [] for name in CODECS}
    for _ in range(ROUNDS):
        for name, codec in CODECS.items():
            rounds[name].append(mean_ms(codec, kept[name]))
    own_ms, own_mib = min(rounds["tiles"]), mib(CODECS["tiles"], kept["tiles"])
    return {
        name: {
            "crop_ms": round(min(rounds[name]), 2),
            "mib_per_image": round(mib(codec, kept[name]), 3),
            "encode_ms": round(encode_ms[name], 1),
            "time_over_tiles": round(min(rounds[name]) / own_ms, 2),
            "size_over_tiles": round(mib(codec, kept[name]) / own_mib, 2),
        }
        for name, codec in CODECS.items()
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--camvid", type=Path, default=None)
    words = parser.parse_args()
    torch.set_num_threads(1)
    numcodecs.blosc.set_nthreads(1)
    results = {"drawn": compare(drawn())}
    if words.camvid is not None:
        results["camvid"] = compare(mosaics(words.camvid))
    print(json.dumps(results, indent=1))
    setting = {"size": SIZE, "crop": CROP, "tile": TILE, "images": IMAGES, "seed": SEED}
    libraries = {"zarr": zarr.__version__, "numcodecs": numcodecs.__version__}
    write_result("codec", {**setting, "rounds": ROUNDS, "libraries": libraries, "codecs": results})


def mib(codec: Codec, kept: list[tuple[Any, Any]]) -> float:
    stored = sum(codec.stored_bytes(image) + codec.stored_bytes(mask) for image, mask in kept)
    return stored / len(kept) / 2**20


if __name__ == "__main__":
    main()

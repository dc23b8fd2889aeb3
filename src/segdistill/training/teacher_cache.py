"""A cache of the teacher's maps: computed once, read by later runs on the same batches."""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import safetensors.torch
import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from segdistill.files import write_whole
from segdistill.types import TapMaps

_SAMPLED = 8  # of the images, every eighth row and column is in their checksum


class TeacherCache:
    """The teacher's maps on disk, one file for each batch and tap.

    Batch k is a function of data, recipe, seed and k, and so are the maps of a frozen teacher.
    They are rounded to half precision, including those that were just computed, so a run ends
    with the same bits whether it reads the maps or writes them. Compared with a run without a
    cache, float32 maps differ by at most :math:`2^{-11}` of each value, and by
    :math:`2^{-25}` where it is below :math:`2^{-14}`. bfloat16 has fewer digits than half
    precision, so such maps are the same down to :math:`2^{-14}`.

    Keeping only the k largest logits would be smaller, but a student that learns from them
    learns a biased distribution, so there is no such option.

    Args:
        folder: the folder of the files.
        key: identifies everything that the maps depend on except the batch.
        taps: the teacher's taps.
        device: device of the maps.

    Attributes:
        read: number of maps read.
        written: number of maps computed and written.
        replaced: number of those whose file was broken or described other images.
    """

    def __init__(self, folder: Path, key: str, taps: tuple[str, ...], device: torch.device) -> None:
        self.folder, self.key, self.taps, self.device = folder, key, taps, device
        self.read = self.written = self.replaced = 0

    def batch(self, step: int, images: Tensor, rank: int) -> CachedBatch:
        """Return the maps of one process's share of a batch.

        Args:
            step: number of the batch.
            images: its uint8 images on the host; files of other images are not used.
            rank: rank of the process.
        """
        sample = images[..., ::_SAMPLED, ::_SAMPLED].contiguous()
        return CachedBatch(self, step, rank, zlib.crc32(sample.numpy().data))

    def summary(self) -> str:
        """Return the counts as a sentence."""
        again = f", {self.replaced} of them in place of broken or foreign files"
        return (
            f"teacher.cache: {self.read} maps read, {self.written} computed and written"
            f"{again if self.replaced else ''}"
        )


@dataclass(frozen=True)
class CachedBatch:
    """The maps of one process's share of a batch.

    Attributes:
        cache: the cache.
        step: number of the batch.
        rank: rank of the process.
        images: checksum of a sample of the pixels.
    """

    cache: TeacherCache
    step: int
    rank: int
    images: int

    def maps(self, compute: Callable[[], TapMaps], part: int) -> TapMaps:
        """Return the maps of a part of the batch; missing ones are computed and written.

        Args:
            compute: computes the maps of all taps.
            part: number of the part, from 0.
        """
        cache = self.cache
        found = {tap: self._read(tap, part) for tap in cache.taps}
        maps = {tap: values for tap, values in found.items() if values is not None}
        cache.read += len(maps)
        if len(maps) == len(cache.taps):
            return maps
        computed = compute()
        for tap in cache.taps:
            if tap not in maps:
                maps[tap] = self._write(tap, part, computed[tap])
                cache.written += 1
        return maps

    def _file(self, tap: str, part: int) -> Path:
        name = hashlib.sha256(tap.encode()).hexdigest()[:8]
        return self.cache.folder / f"{self.step:08d}-{part}-{self.rank}-{name}.safetensors"

    def _said(self, tap: str, part: int) -> dict[str, str]:
        """Return the metadata that a file of these maps must have."""
        return {
            "key": self.cache.key,
            "batch": f"{self.step}/{part}/{self.rank}",
            "tap": tap,
            "images": str(self.images),
        }

    def _read(self, tap: str, part: int) -> Tensor | None:
        """Return a map, or None if its file is missing, broken or of other maps."""
        file = self._file(tap, part)
        if not file.exists():
            return None
        try:
            with safe_open(file, "pt") as opened:
                said: dict[str, str] = opened.metadata() or {}
                stored: Tensor = opened.get_tensor("maps")
        except (SafetensorError, OSError):
            said, stored = {}, torch.empty(0)
        right = self._said(tap, part).items() <= said.items()
        if not right or said.get("crc32") != _checksum(stored):
            self.cache.replaced += 1
            return None
        dtype, order = getattr(torch, said["dtype"]), said["order"]
        device = self.cache.device
        if device.type == "cuda":
            stored = stored.pin_memory()  # otherwise the host would wait for the step before
        return _ordered(stored.to(device, non_blocking=True), order).to(dtype)

    def _write(self, tap: str, part: int, maps: Tensor) -> Tensor:
        """Write a map, and return it as it will be read.

        Raises:
            ValueError: a value exceeds half precision.
        """
        half = maps.detach().to(torch.float16)
        order = "channels_last" if _is_channels_last(maps) else "contiguous"
        host = _stored(half, order).cpu()
        if bool((half.isinf() & ~maps.isinf()).any()):
            raise ValueError(
                f"teacher.cache: expected values below 65504, as half precision holds, got "
                f"{float(maps[maps.isfinite()].abs().max()):.3g} at tap {tap}; leave "
                "teacher.cache out"
            )
        said = self._said(tap, part) | {
            "crc32": _checksum(host),
            "dtype": str(maps.dtype).removeprefix("torch."),
            "order": order,
        }
        write_whole(self._file(tap, part), safetensors.torch.save({"maps": host}, said))
        return half.to(maps.dtype)


def _checksum(stored: Tensor) -> str:
    return f"{zlib.crc32(stored.numpy().data):08x}"


def _is_channels_last(maps: Tensor) -> bool:
    return (
        maps.ndim == 4
        and not maps.is_contiguous()
        and maps.is_contiguous(memory_format=torch.channels_last)
    )


def _stored(maps: Tensor, order: str) -> Tensor:
    """Return maps in the order of their memory, which decides the rounding of sums over them."""
    return (maps.permute(0, 2, 3, 1) if order == "channels_last" else maps).contiguous()


def _ordered(stored: Tensor, order: str) -> Tensor:
    return stored.permute(0, 3, 1, 2) if order == "channels_last" else stored

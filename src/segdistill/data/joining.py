"""Joining splits: several splits of one dataset, one after the other, as one."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping
from itertools import accumulate

from segdistill.data.files.dataset import FileDataset
from segdistill.errors import DataError
from segdistill.types import Classes, Sample, SegDataset


class Joined:
    """Several splits one after the other.

    Args:
        parts: the splits by name, in order; names of their samples get that of the split in
            front, since two splits may repeat one.

    Raises:
        DataError: their classes differ, or an image's file is in two of them.
    """

    def __init__(self, parts: Mapping[str, SegDataset]) -> None:
        self.parts = dict(parts)
        (first, dataset), *others = self.parts.items()
        for name, other in others:
            if other.classes.names != dataset.classes.names:
                raise DataError(
                    f"data: expected splits of the same classes to be joined, got "
                    f"{len(dataset.classes)} in {first} and {len(other.classes)} in {name}, or "
                    "others; join those that have the same"
                )
        _refuse_shared_files(self.parts)
        self._ends = list(accumulate(len(part) for part in self.parts.values()))

    @property
    def classes(self) -> Classes:
        """Names and display colours, in the order of the train ids."""
        return next(iter(self.parts.values())).classes

    def __len__(self) -> int:
        return self._ends[-1]

    def __getitem__(self, index: int) -> Sample:
        name, part, place = self.locate(index)
        sample = part[place]
        return sample._replace(name=f"{name}/{sample.name}")

    def locate(self, index: int) -> tuple[str, SegDataset, int]:
        """Return the split that an image is of, by name and itself, and its place there.

        Raises:
            IndexError: there is no such image.
        """
        if not 0 <= index < len(self):
            raise IndexError(f"Joined: expected an index below {len(self)}, got {index}")
        number = bisect_right(self._ends, index)
        name, part = list(self.parts.items())[number]
        return name, part, index - (self._ends[number] - len(part))


def _refuse_shared_files(parts: Mapping[str, SegDataset]) -> None:
    """Refuse splits that would give an image twice: VOC's train is a part of its trainaug."""
    owner: dict[str, str] = {}
    for name, part in parts.items():
        if not isinstance(part, FileDataset):
            continue
        files = [f"{part.root}/{pair.image}" for pair in part.pairs]
        shared = [file for file in files if file in owner]
        if shared:
            raise DataError(
                f"data: expected splits without common images to be joined, got {len(shared)} in "
                f"{owner[shared[0]]} and {name}, such as {shared[0]}; name only the larger one"
            )
        owner |= dict.fromkeys(files, name)

"""What an inspection found: counts, faults and warnings by split, and the refusal of faults."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

from segdistill.errors import DataError

_MOST_LISTED = 10


@dataclass
class SplitReport:
    """The contents of one split.

    Attributes:
        images: number of images that the split lists.
        faults: one message per pair that cannot be used.
        without_mask: number of images that have no mask.
        sizes: number of images by ``"height×width"``, the most frequent first.
        pixels: pixels by class name.
        ignored_pixels: pixels without a class.
        images_with: number of images by class, counting those that contain the class.
        mean: mean of red, green and blue, from 0 to 1.
        std: standard deviation of red, green and blue, in the same scale.
        warnings: what would not stop a training but should be known.
    """

    images: int = 0
    faults: list[str] = field(default_factory=list)
    without_mask: int = 0
    sizes: dict[str, int] = field(default_factory=dict)
    pixels: dict[str, int] = field(default_factory=dict)
    ignored_pixels: int = 0
    images_with: dict[str, int] = field(default_factory=dict)
    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()
    warnings: list[str] = field(default_factory=list)

    @property
    def absent_classes(self) -> list[str]:
        """Classes without a pixel in this split."""
        return [name for name, count in self.pixels.items() if count == 0]


@dataclass
class DataReport:
    """The contents of a dataset.

    Attributes:
        splits: report by split.
        duplicates: groups of ``split/name`` whose images are equal in every pixel.
        leaks: those groups that lie in more than one split.
        classes: one line for each class: id, name, colour and what masks store for it.
    """

    splits: dict[str, SplitReport]
    duplicates: list[list[str]]
    leaks: list[list[str]]
    classes: list[str] = field(default_factory=list)

    @property
    def faults(self) -> list[str]:
        """Everything that would stop a training, over all splits."""
        return [fault for report in self.splits.values() for fault in report.faults]

    @property
    def warnings(self) -> list[str]:
        """What would not stop a training but should be known."""
        messages = [
            f"same image in more than one split: {', '.join(group)}" for group in self.leaks
        ]
        for split, report in self.splits.items():
            messages.extend(report.warnings)
            if len(report.sizes) > 1:
                messages.append(f"{split}: images of {len(report.sizes)} sizes")
        return messages

    def as_json(self) -> dict[str, Any]:
        """Return the report as plain dicts, lists and numbers."""
        splits = {
            name: {**asdict(report), "absent_classes": report.absent_classes}
            for name, report in self.splits.items()
        }
        return {
            "splits": splits,
            "duplicates": self.duplicates,
            "leaks": self.leaks,
            "classes": self.classes,
            "faults": self.faults,
            "warnings": self.warnings,
        }


def refuse_faults(who: str, report: DataReport) -> None:
    """Raise a DataError with the first faults of a report, or return if there are none."""
    if report.faults:
        listed = "".join(f"\n  {fault}" for fault in report.faults[:_MOST_LISTED])
        more = len(report.faults) - _MOST_LISTED
        listed += f"\n  and {more} more" if more > 0 else ""
        raise DataError(
            f"{who}: expected data that can be trained on and scored, got {len(report.faults)} "
            f"faults; correct them:{listed}"
        )

"""What was done to load a file: stripped, skipped, left out."""

from __future__ import annotations

from dataclasses import dataclass

from segdistill.models.checkpoints.matching import Match


@dataclass(frozen=True)
class Loaded:
    """What was done to load a file.

    Attributes:
        source: the file.
        count: tensors that the network has now from it.
        key: under which they lay; ``""`` is the file itself.
        match: how their names were found.
        left_out: parts of the file that the network does not need, with their counts.
        beside: keys without tensors, and code that was not loaded.
        counters: batch counters that the file lacks; they start at 0.
        fresh: tensors of the classifier that keep their initial values.
        reordered: rows of the classifier that were taken, or None.
        half: the file's numbers are in half precision.
    """

    source: str
    count: int
    key: str
    match: Match
    left_out: tuple[str, ...] = ()
    beside: tuple[str, ...] = ()
    counters: int = 0
    fresh: tuple[str, ...] = ()
    reordered: tuple[int, ...] | None = None
    half: bool = False

    def sentences(self) -> list[str]:
        """Return what a user should know about it; empty if the file was loaded unchanged."""
        lines = []
        if self.match.in_order:
            lines.append(
                f"no names agree, but all {self.count} tensors fit in their order, so they were "
                "loaded in it"
            )
        if self.key:
            lines.append(f"taken from its key '{self.key}'")
        if self.match.prefix:
            lines.append(f"'{self.match.prefix}' stripped from the names")
        if self.left_out:
            lines.append(f"tensors left out: {', '.join(self.left_out)}")
        if self.beside:
            lines.append(f"not read: {', '.join(self.beside)}")
        if self.counters:
            lines.append(f"{self.counters} batch counters are missing and start at 0")
        if self.half:
            lines.append("half precision in the file, float32 in the network")
        if self.fresh:
            lines.append(f"the classifier is initialised at random: {', '.join(self.fresh)}")
        if self.reordered:
            lines.append(f"its classes were put into the data's order: {list(self.reordered)}")
        return [f"{self.source}: {sentence}" for sentence in lines]

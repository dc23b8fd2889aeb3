"""Read every pair of a dataset once and list all that is wrong, before any training."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from segdistill.errors import DataError
from segdistill.types import SegDataset


def find_faults(dataset: SegDataset, *, workers: int = 2) -> list[str]:
    """Read every image and mask and return what is wrong with each that cannot be used.

    Args:
        dataset: images with masks.
        workers: threads that read.

    Returns:
        One message a broken pair, in the order of the dataset; empty where all are sound.
    """

    def fault(index: int) -> str | None:
        try:
            dataset[index]
        except DataError as error:
            return str(error)
        return None

    with ThreadPoolExecutor(workers) as pool:
        return [message for message in pool.map(fault, range(len(dataset))) if message]


def verify(dataset: SegDataset, *, workers: int = 2) -> None:
    """Read every image and mask once.

    Raises:
        DataError: some pair is broken; all are listed.
    """
    faults = find_faults(dataset, workers=workers)
    if faults:
        listed = "".join(f"\n  {fault}" for fault in faults)
        raise DataError(
            f"verify: expected {len(dataset)} sound pairs, got {len(faults)} broken; "
            f"correct or remove them:{listed}"
        )

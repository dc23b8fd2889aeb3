"""The networks of a section: itself, or the members of an ensemble."""

from __future__ import annotations

from segdistill.catalogue.networks import ENSEMBLE
from segdistill.config.checking import check_named
from segdistill.config.sections import NetworkConfig


def networks_of(section: NetworkConfig, where: str = "") -> dict[str, NetworkConfig]:
    """Return the networks that a section stands for, by their paths.

    Args:
        section: of a teacher or a student.
        where: its own path.

    Returns:
        The section itself under ``where``, or the members of an ensemble, such as
        ``teacher.members.0``.
    """
    if section.network != ENSEMBLE:
        return {where: section}
    above = f"{where}." if where else ""
    paths = (f"{above}members.{place}" for place in range(len(section.settings()["members"])))
    members = section.settings()["members"]
    return {
        path: check_named(NetworkConfig, member, path)
        for path, member in zip(paths, members, strict=True)
    }

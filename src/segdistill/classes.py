"""Names of classes compared, wherever a file's and a dataset's meet; free of torch."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence

from segdistill.checks import nearest

ClassMap = tuple[int | tuple[int, ...] | None, ...]
"""For each class of the data, a network's: its number, several that are added, or none."""

NamedClassMap = Sequence[int | str | Sequence[int | str] | None]
"""The same as a config has it: also by name."""


_SHOWN = 40  # characters of a name in a message


def classes_fault(names: Sequence[str], colors: Sequence[Sequence[int]]) -> str:
    """Return what is wrong with the names and colours of classes, empty if nothing is.

    Names differ and can be printed as they stand: control characters, line ends and signs that
    turn the direction of writing would change what a terminal or a page shows around them.
    Levels of colours are from 0 to 255.
    """
    if not names:
        return "expected names of classes, got none"
    if len(names) != len(colors):
        return f"expected one colour per class, got {len(colors)} for {len(names)}"
    unseen = [name for name in names if not name.strip() or any(map(_is_unprintable, name))]
    if unseen:
        return f"expected names of classes that can be printed, got {unseen[0][:_SHOWN]!a}"
    repeated = [name for place, name in enumerate(names) if name in names[:place]]
    if repeated:
        return f"expected a different name for each class, got '{repeated[0][:_SHOWN]}' twice"
    outside = [color for color in colors if not all(0 <= level <= 255 for level in color)]
    if outside:
        return f"expected colours of levels from 0 to 255, got {tuple(outside[0])}"
    return ""


def _is_unprintable(sign: str) -> bool:
    directions = ("LRE", "RLE", "PDF", "LRO", "RLO", "LRI", "RLI", "FSI", "PDI")
    return (
        unicodedata.category(sign) in ("Cc", "Cs", "Zl", "Zp")
        or unicodedata.bidirectional(sign) in directions
    )


def match_classes(file_names: Sequence[str], data_names: Sequence[str]) -> tuple[int, ...]:
    """Return, for each class of the data, its number in the file, by name.

    Capitals, spaces, hyphens and underscores are no difference. The file may have more classes.

    Args:
        file_names: of a network or file, in the order of its logits.
        data_names: of the dataset, in the order of its ids.

    Returns:
        As many numbers as the data have classes; ``(0, 1, ...)`` where the names agree in order.

    Raises:
        ValueError: a class of the data is not in the file, or a name stands for two classes.
    """
    if tuple(file_names) == tuple(data_names):
        return tuple(range(len(data_names)))
    places = _places(file_names)
    wanted = _places(data_names)
    missing = [name for name in data_names if plain_name(name) not in places]
    if missing:
        raise ValueError(
            f"classes: expected the data's classes in the file, got {_some(missing)} missing among "
            f"{_some(file_names)}; name the file's class for each of the data's in class_map"
        )
    return tuple(places[name] for name in wanted)


def resolve_class_map(
    class_map: NamedClassMap, file_names: Sequence[str], data_names: Sequence[str]
) -> ClassMap:
    """Return a class map in numbers.

    Args:
        class_map: as a config has it.
        file_names: of the network's own classes, in the order of its logits; none if nobody
            knows them.
        data_names: of the dataset, in the order of its ids; none if unknown.

    Raises:
        ValueError: it has not one entry for each class of the data, or names a class that the
            network does not have, or nobody knows its names.
    """
    if data_names and len(class_map) != len(data_names):
        raise ValueError(
            f"class_map: expected an entry for each of the {len(data_names)} classes of the data "
            f"({_some(data_names)}), got {len(class_map)}; null stands for one that the network "
            "lacks"
        )
    return tuple(
        _numbers(entry, file_names)
        if isinstance(entry, list | tuple)
        else _number(entry, file_names)
        for entry in class_map
    )


def compose_class_maps(own: ClassMap, chosen: ClassMap) -> ClassMap:
    """Return the class map that does what two do, one after the other.

    Args:
        own: from a network's classes to those of its file.
        chosen: from the file's to those of the data.
    """
    composed: list[int | tuple[int, ...] | None] = []
    for entry in chosen:
        parts = used_classes(tuple(own[number] for number in used_classes((entry,))))
        composed.append(parts if len(parts) > 1 else next(iter(parts), None))
    return tuple(composed)


def used_classes(class_map: ClassMap) -> tuple[int, ...]:
    """Return the network's classes that a class map names, each time it does."""
    used: list[int] = []
    for entry in class_map:
        if entry is not None:
            used.extend(entry if isinstance(entry, tuple) else (entry,))
    return tuple(used)


def least_classes(class_map: ClassMap) -> int:
    """Return how many classes a network must have for a class map, at least 1."""
    return max(used_classes(class_map), default=0) + 1


def _numbers(entries: Sequence[int | str], file_names: Sequence[str]) -> tuple[int, ...]:
    numbers = [_number(entry, file_names) for entry in entries]
    if not numbers:
        raise ValueError("class_map: expected a class or null, got an empty list; write null")
    return tuple(number for number in numbers if number is not None)


def _number(entry: object, file_names: Sequence[str]) -> int | None:
    if entry is None or isinstance(entry, int):
        return entry
    name = str(entry)
    if not file_names:
        raise ValueError(
            f"class_map: expected numbers of the network's classes, got '{name}', and nothing says "
            "what its classes are called; write its number, from 0"
        )
    places = _places(file_names)
    if plain_name(name) not in places:
        raise ValueError(
            f"class_map: expected a class of the network, got '{name}'; {nearest(name, file_names)}"
        )
    return places[plain_name(name)]


def _places(names: Sequence[str]) -> dict[str, int]:
    places: dict[str, int] = {}
    for place, name in enumerate(names):
        if plain_name(name) in places:
            raise ValueError(
                f"classes: expected a name for each class, got '{name}' twice; name the file's "
                "class for each of the data's in class_map"
            )
        places[plain_name(name)] = place
    return places


def plain_name(name: str) -> str:
    """Return a name as it is compared: without capitals, hyphens, underscores and extra spaces."""
    return " ".join(name.casefold().replace("_", " ").replace("-", " ").split())


def _some(names: Sequence[str], most: int = 5) -> str:
    shown = ", ".join(names[:most])
    return f"{shown} and {len(names) - most} more" if len(names) > most else shown

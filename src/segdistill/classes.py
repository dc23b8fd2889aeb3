"""Names of classes compared, wherever a file's and a dataset's meet; free of torch."""

from __future__ import annotations

from collections.abc import Sequence


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
    missing = [name for name in data_names if _plain(name) not in places]
    if missing:
        raise ValueError(
            f"classes: expected the data's classes in the file, got {_some(missing)} missing among "
            f"{_some(file_names)}; name the file's class for each of the data's in class_map"
        )
    return tuple(places[name] for name in wanted)


def _places(names: Sequence[str]) -> dict[str, int]:
    places: dict[str, int] = {}
    for place, name in enumerate(names):
        if _plain(name) in places:
            raise ValueError(
                f"classes: expected a name for each class, got '{name}' twice; name the file's "
                "class for each of the data's in class_map"
            )
        places[_plain(name)] = place
    return places


def _plain(name: str) -> str:
    return " ".join(name.casefold().replace("_", " ").replace("-", " ").split())


def _some(names: Sequence[str], most: int = 5) -> str:
    shown = ", ".join(names[:most])
    return f"{shown} and {len(names) - most} more" if len(names) > most else shown

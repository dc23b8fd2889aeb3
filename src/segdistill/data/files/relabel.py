"""Settings that give stored labels another meaning: merged, without a class, or binary."""

from __future__ import annotations

from collections.abc import Mapping

from segdistill.catalogue.datasets import DATASETS
from segdistill.catalogue.tables import load
from segdistill.checks import nearest
from segdistill.data.files.labels import BinaryCode, ColorCode, IdCode, IdOrColorCode, LabelCode
from segdistill.data.files.palettes import distinct_colors
from segdistill.errors import DataError
from segdistill.types import IGNORE_INDEX, Classes

_NO_CLASS = ("ignore", str(IGNORE_INDEX))
_REST = "rest"


def relabel(
    classes: Classes,
    code: LabelCode,
    *,
    labels: dict[int | str, int | str] | None = None,
    ignore: tuple[int | str, ...] = (),
    reduce_labels: bool = False,
    binary: bool = False,
    classes_of: str | None = None,
) -> tuple[Classes, LabelCode]:
    """Return classes and code of masks whose labels mean something else.

    A class that no stored value means any more is taken out, and the ids of those after it
    close up.

    Args:
        classes: names and colours of the train ids.
        code: what the values of mask files mean without these settings.
        labels: what a label is read as, such as ``{van: car, 255: road, 7: ignore}``: numbers
            are those in the mask files, names are those of classes, ``ignore`` has no class.
            With ``classes_of`` what they are read as are classes of that dataset, and ``rest``
            stands for every class that is not named.
        ignore: numbers in the mask files, or names of classes, that have no class.
        reduce_labels: 0 in the masks has no class and 1 is the first class, as in ADE20K.
        binary: masks store 0 for the first class and 255 (or 1) for the second; a class file
            with one name gives the second.
        classes_of: dataset whose classes, in its order, are those of the masks; classes of the
            same name are kept.

    Returns:
        The classes that are left, and the code that decodes to them.

    Raises:
        DataError: a name or number that is no label, settings that exclude each other, or no
            class that is left.
    """
    moves: dict[int | str, int | str] = {**(labels or {}), **dict.fromkeys(ignore, "ignore")}
    if binary:
        if moves or reduce_labels:
            raise DataError("data.binary: expected no labels, ignore or reduce_labels beside it")
        return _binary(classes), BinaryCode()
    if not moves and not reduce_labels and classes_of is None:
        return classes, code
    ids, colors = _parts(code)
    if reduce_labels:
        ids = _reduced(ids)
    if classes_of is not None:
        return _as_others(classes, (ids, colors), moves, classes_of)
    new_ids, new_colors = dict(ids), dict(colors)
    for source, target in moves.items():
        train = _target(target, ids, classes)
        number = _number(source)
        if number is not None:
            if not ids:
                raise DataError(
                    f"data.labels: expected names, since the masks store colours, got {source}"
                )
            new_ids[number] = train
            continue
        moved = _class(source, classes)
        new_ids |= {stored: train for stored, old in ids.items() if old == moved}
        new_colors |= {color: train for color, old in colors.items() if old == moved}
    return _closed_up(classes, (ids, colors), (new_ids, new_colors))


def _as_others(
    classes: Classes, codes: _Codes, moves: Mapping[int | str, int | str], name: str
) -> tuple[Classes, LabelCode]:
    """Return the classes of another dataset, and the code that decodes to them."""
    others = _classes_of(name)
    named = {key: target for key, target in moves.items() if key != _REST}
    by_class = {_class(key, classes): key for key in named if _number(key) is None}

    def target(label: int | str) -> int:
        if str(label) in _NO_CLASS and str(label) not in others.names:
            return IGNORE_INDEX
        if label not in others.names:
            raise DataError(
                f"data.labels: expected a class of {name} or ignore, got {label!r}; "
                f"{nearest(str(label), others.names)}"
            )
        return others.names.index(str(label))

    new: dict[int, int] = {IGNORE_INDEX: IGNORE_INDEX}
    without: list[str] = []
    for train, own in enumerate(classes.names):
        if train in by_class:
            new[train] = target(named[by_class[train]])
        elif own in others.names:
            new[train] = others.names.index(own)
        elif _REST in moves:
            new[train] = target(moves[_REST])
        else:
            without.append(own)
    if without:
        raise DataError(
            f"data.classes_of: expected a class of {name} for each class of the masks, got none "
            f"for {', '.join(without[:8])}{' and others' if len(without) > 8 else ''}; name them "
            f"in data.labels, or give {_REST}, such as {{{_REST}: {others.names[0]}}}"
        )
    ids = {stored: new[train] for stored, train in codes[0].items()}
    ids |= {n: target(to) for key, to in named.items() if (n := _number(key)) is not None}
    if codes[1] and len(ids) > len(codes[0]):
        raise DataError("data.labels: expected names, since the masks store colours, got numbers")
    return others, _code(ids, {color: new[train] for color, train in codes[1].items()})


def _classes_of(name: str) -> Classes:
    known = [dataset for dataset, row in DATASETS.items() if row.classes]
    if name not in known:
        raise DataError(
            f"data.classes_of: expected a dataset with classes of its own, got {name!r}; "
            f"{nearest(name, known)}"
        )
    classes: Classes = load("segdistill.data", DATASETS[name].classes)
    return classes


def describe(classes: Classes, code: LabelCode) -> list[str]:
    """Return one line for each class: what masks store for it, its name and its colour."""
    ids, colors = _parts(code)
    lines = []
    for train, (name, shown) in enumerate(zip(classes.names, classes.colors, strict=True)):
        stored = [str(number) for number, to in ids.items() if to == train]
        stored += [f"({r}, {g}, {b})" for (r, g, b), to in colors.items() if to == train]
        lines.append(f"{train} {name}, colour {shown}, stored as {' or '.join(stored)}")
    void = [str(number) for number, to in ids.items() if to == IGNORE_INDEX]
    void += [str(color) for color, to in colors.items() if to == IGNORE_INDEX]
    return [*lines, f"no class: stored as {', '.join(void) or 'nothing'}"]


def stores_no_class_as_255(code: LabelCode) -> bool:
    """Return whether masks of ids store 255 where a pixel has no class."""
    return _parts(code)[0].get(IGNORE_INDEX) == IGNORE_INDEX


_Codes = tuple[Mapping[int, int], Mapping[tuple[int, int, int], int]]


def _parts(code: LabelCode) -> tuple[dict[int, int], dict[tuple[int, int, int], int]]:
    if isinstance(code, IdOrColorCode):
        return dict(code.ids.ids), dict(code.colors.colors)
    if isinstance(code, BinaryCode):
        return dict(code.ids.ids), {}
    if isinstance(code, ColorCode):
        return {}, dict(code.colors)
    return (dict(code.ids) if isinstance(code, IdCode) else {}), {}


def _binary(classes: Classes) -> Classes:
    if len(classes) == 2:
        return classes
    if len(classes) == 1:
        return Classes(("background", *classes.names), distinct_colors(2))
    raise DataError(
        f"data.binary: expected one or two classes, got {len(classes)}: "
        f"{', '.join(classes.names)}; correct the class file"
    )


def _reduced(ids: Mapping[int, int]) -> dict[int, int]:
    if not ids or ids.get(0) == IGNORE_INDEX:
        fault = "0 has no class already" if ids else "the masks store colours"
        raise DataError(f"data.reduce_labels: expected masks whose labels start at 1, but {fault}")
    shifted = {stored + 1: train for stored, train in ids.items() if train != IGNORE_INDEX}
    return {0: IGNORE_INDEX, IGNORE_INDEX: IGNORE_INDEX, **shifted}


def _number(label: int | str) -> int | None:
    # Keys of a config that was written as JSON are text.
    return int(label) if str(label).isdigit() else None


def _class(name: int | str, classes: Classes) -> int:
    if name not in classes.names:
        raise DataError(
            f"data.labels: expected a class of the dataset, a number or ignore, got {name!r}; "
            f"{nearest(str(name), classes.names)}"
        )
    return classes.names.index(str(name))


def _target(label: int | str, ids: Mapping[int, int], classes: Classes) -> int:
    if str(label) in _NO_CLASS and str(label) not in classes.names:
        return IGNORE_INDEX
    number = _number(label)
    if number is None:
        return _class(label, classes)
    if number not in ids:
        raise DataError(
            f"data.labels: expected a label that has a class already, got {number}; name the class"
        )
    return ids[number]


def _closed_up(classes: Classes, before: _Codes, after: _Codes) -> tuple[Classes, LabelCode]:
    """Take out the classes that nothing means any more."""
    had = {train for part in before for train in part.values()}
    has = {train for part in after for train in part.values()}
    kept = [train for train in range(len(classes)) if train in has or train not in had]
    if not kept:
        raise DataError("data.ignore: expected at least one class left, got none; ignore fewer")
    new = {old: place for place, old in enumerate(kept)} | {IGNORE_INDEX: IGNORE_INDEX}
    names = Classes(
        tuple(classes.names[old] for old in kept), tuple(classes.colors[old] for old in kept)
    )
    ids = {stored: new[train] for stored, train in after[0].items()}
    return names, _code(ids, {color: new[train] for color, train in after[1].items()})


def _code(ids: Mapping[int, int], colors: Mapping[tuple[int, int, int], int]) -> LabelCode:
    if ids and colors:
        return IdOrColorCode(IdCode(ids), ColorCode(colors))
    return ColorCode(colors) if colors else IdCode(ids)

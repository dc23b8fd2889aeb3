"""A dataset of one's own: what a function of the person's code returns."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from segdistill.errors import ConfigError
from segdistill.own_code import check_settings, import_own
from segdistill.types import Classes, SegDataset


def from_import(*, split: str, name: str, args: Mapping[str, Any]) -> SegDataset:
    """Return what ``import:package.module:function`` returns for a split.

    The function is called with ``split`` and ``args``. What it returns has ``classes``, a
    :class:`segdistill.types.Classes`, a length, and a :class:`segdistill.types.Sample` for each
    index: image and mask as uint8 arrays, 255 where a pixel has no class, and a name.

    Args:
        split: name of the split, as the config names it.
        name: ``import:package.module:function``.
        args: what the config gives the function.

    Raises:
        ConfigError: there is no such function, it does not take ``args``, or it returns no
            dataset.
    """
    who = f"dataset {name}"
    function = import_own(name, "dataset")
    check_settings(function, args, ("split",), who)
    dataset = function(split=split, **args)
    classes = getattr(dataset, "classes", None)
    sized = hasattr(dataset, "__len__") and hasattr(dataset, "__getitem__")
    if not (isinstance(classes, Classes) and sized):
        raise ConfigError(
            f"{who}: expected a dataset with classes (segdistill.types.Classes), a length and "
            f"samples by index, got {type(dataset).__name__}"
        )
    found: SegDataset = dataset
    return found

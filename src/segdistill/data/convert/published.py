"""Public datasets and saved ones that are read as they are, and need no conversion."""

from __future__ import annotations

import shlex

from segdistill.data.convert.export import Export
from segdistill.errors import DataError

_SIGNS = {
    "camvid": ("train/0001TP_*", "trainannot/0001TP_*"),
    "cityscapes": ("leftImg8bit/*/*/*_leftImg8bit.png", "gtFine/*/*/*_labelIds.png"),
    "ade20k": ("images/training/ADE_train_*", "annotations/training/ADE_train_*"),
    "coco_stuff": ("images/train2017/*", "stuffthingmaps/train2017/*"),
    "hf": ("dataset_dict.json",),
}
"""Dataset to patterns of files that all have to be there."""


def refuse_published(who: str, export: Export) -> None:
    """Refuse a folder that one of the known datasets reads, and say what to write in a config.

    Args:
        who: the command.
        export: the folder.

    Raises:
        DataError: it is one.
    """
    for name, patterns in _SIGNS.items():
        signs = [next(export.root.glob(pattern), None) for pattern in patterns]
        if all(signs):
            root = shlex.quote(str(export.root))
            raise DataError(
                f"{who}: expected data of your own, got {name} ({' and '.join(patterns)}), which "
                f"is read as it is: segdistill check reference 'data={{dataset: {name}, root: "
                f"{root}, crop: [256, 256]}}'; segdistill list datasets {name} --verbose has more"
            )

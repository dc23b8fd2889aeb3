"""COCO's run lengths: a mask as the JSON that COCO's own tools and annotation tools read."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import numpy as np

from segdistill.errors import ConfigError
from segdistill.types import IGNORE_INDEX, Classes


def coco_document(mask: np.ndarray, file_name: str, classes: Classes) -> dict[str, Any]:
    """Return images, annotations and categories of one mask, an annotation for each class in it.

    Categories are counted from 1: the class's id and one. Pixels of 255 are in no annotation.

    Args:
        mask: class ids.
        file_name: of the image.
        classes: names, in the order of the ids.

    Shape:
        mask uint8 ``(H, W)``.

    Raises:
        ConfigError: pycocotools is not installed.

    Source:
        The format at https://cocodataset.org/#format-data, run lengths compressed.
    """
    tools = pycocotools("predict")
    annotations: list[dict[str, Any]] = []
    for found in np.unique(mask).tolist():
        if found == IGNORE_INDEX:
            continue
        runs = tools.encode(np.asfortranarray(mask == found))  # COCO runs down the columns
        annotations.append(
            {
                "id": len(annotations) + 1,
                "image_id": 1,
                "category_id": found + 1,
                "segmentation": {"size": runs["size"], "counts": runs["counts"].decode("ascii")},
                "area": int(tools.area(runs)),
                "bbox": tools.toBbox(runs).tolist(),
                "iscrowd": 0,
            }
        )
    height, width = mask.shape
    return {
        "images": [{"id": 1, "file_name": file_name, "height": height, "width": width}],
        "annotations": annotations,
        "categories": [
            {"id": number, "name": name} for number, name in enumerate(classes.names, start=1)
        ],
    }


def read_runs(text: str) -> list[int]:
    """Return the run lengths that COCO's compressed text holds.

    A number is written five bits a character, lowest first, and from the fourth on as the
    difference to the last but one. pycocotools reads such text without checking it, beyond its end
    or the memory of the mask; so it is given numbers instead.

    Raises:
        ValueError: the text has other characters, ends within a number, or holds a negative length.

    Source:
        maskApi.c of https://github.com/cocodataset/cocoapi.
    """
    runs = list[int]()
    number = bits = 0
    for character in text:
        code = ord(character) - 48
        if not 0 <= code < 64:
            raise ValueError(f"{character!r} is no character of compressed run lengths")
        number |= (code & 31) << bits
        bits += 5
        if bits > 35:
            raise ValueError("a number of more than 32 bits")
        if code & 32:
            continue
        if code & 16:
            number -= 1 << bits
        runs.append(number + (runs[-2] if len(runs) > 2 else 0))
        if runs[-1] < 0:
            raise ValueError(f"a run of {runs[-1]} pixels")
        number = bits = 0
    if bits:
        raise ValueError("it ends within a number")
    return runs


def pycocotools(who: str) -> ModuleType:
    """Return the module of COCO's masks.

    Raises:
        ConfigError: it is not installed.
    """
    try:
        from pycocotools import mask
    except ImportError as error:
        raise ConfigError(
            f"{who}: expected the package pycocotools, which is not installed; "
            "pip install 'segdistill[convert]'"
        ) from error
    module: ModuleType = mask
    return module

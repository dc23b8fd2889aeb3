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

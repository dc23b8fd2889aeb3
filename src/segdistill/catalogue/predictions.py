"""The formats that predictions can be written in."""

from __future__ import annotations

from typing import Literal

Format = Literal["cityscapes", "ade20k", "voc", "ids", "color", "overlay", "coco"]

SUFFIXES: dict[Format, str] = {"overlay": ".jpg", "coco": ".json"}
"""How files end that are no PNG."""

UNSURE: tuple[Format, ...] = ("ids", "coco")
"""Formats that can say that a pixel has no class."""

FORMATS: dict[Format, str] = {
    "cityscapes": "PNG of label ids, <city>_<sequence>_<frame>.png in one folder",
    "ade20k": "PNG with values 1 to 150, named like the image, in one folder",
    "voc": "palette PNG with values 0 to 20, named like the image, in one folder",
    "ids": "palette PNG of class ids in the classes' colours; 255 below --confidence",
    "color": "PNG in the classes' colours",
    "overlay": "JPEG of the image with the classes' colours over it",
    "coco": "JSON of COCO, a run-length mask for each class; needs segdistill[convert]",
}
"""Description of each format, keyed by the name given on the command line."""

"""The exports that ``segdistill convert`` reads, in the order in which they are detected."""

from __future__ import annotations

from dataclasses import dataclass

from segdistill.catalogue.tables import Entry


@dataclass(frozen=True)
class Conversion(Entry):
    """One row of ``CONVERSIONS``; ``target`` opens an export as a source of records.

    Attributes:
        detect: ``"module:function"`` that recognises such an export and says by what, or "".
        layout: the files of such an export.
    """

    detect: str = ""
    layout: str = ""


CONVERSIONS: dict[str, Conversion] = {
    "hub": Conversion(
        target="convert.hub:read",
        detect="convert.hub:detect",
        about="Parquet files of a Hugging Face hub dataset; needs the extra hf.",
        layout="data/train-*.parquet data/validation-*.parquet [id2label.json]",
    ),
    "cvat": Conversion(
        target="convert.cvat:read",
        detect="convert.cvat:detect",
        about='CVAT "Segmentation mask 1.1".',
        layout="labelmap.txt JPEGImages/ SegmentationClass/ ImageSets/Segmentation/*.txt",
    ),
    "voc": Conversion(
        target="convert.voc:read",
        detect="convert.voc:detect",
        about="The folders of Pascal VOC with class names of their own.",
        layout="JPEGImages/ SegmentationClass/ [ImageSets/Segmentation/*.txt] classes.txt",
    ),
    "kaggle": Conversion(
        target="convert.kaggle:read",
        detect="convert.kaggle:detect",
        about="Kaggle's CamVid and similar: colour masks and class_dict.csv.",
        layout="class_dict.csv train/ train_labels/*_L.png",
    ),
    "roboflow": Conversion(
        target="convert.roboflow:read",
        detect="convert.roboflow:detect",
        about='Roboflow "Semantic Segmentation Masks".',
        layout="train/*.jpg train/*_mask.png train/_classes.csv",
    ),
    "panoptic": Conversion(
        target="convert.panoptic:read",
        detect="convert.panoptic:detect",
        about="COCO panoptic: PNG files of segment ids with a JSON file.",
        layout="panoptic_train.json panoptic_train/*.png train/*.jpg",
    ),
    "coco": Conversion(
        target="convert.coco:read",
        detect="convert.coco:detect",
        about="COCO polygons and RLE; needs the extra convert.",
        layout="train/_annotations.coco.json train/*.jpg, or annotations/instances_train.json",
    ),
    "labelme": Conversion(
        target="convert.labelme:read",
        detect="convert.labelme:detect",
        about="labelme: polygons and other shapes, one JSON file per image.",
        layout="a.jpg a.json [labels.txt]",
    ),
    "label_studio": Conversion(
        target="convert.label_studio:read",
        detect="convert.label_studio:detect",
        about="Label Studio: brush strokes (RLE or PNG), polygons and rectangles.",
        layout="project.json images/, or task-1-annotation-1-by-1-tag-car-0.png files",
    ),
    "supervisely": Conversion(
        target="convert.supervisely:read",
        detect="convert.supervisely:detect",
        about="Supervisely: polygons and bitmaps.",
        layout="meta.json train/img/ train/ann/*.json",
    ),
    "masks": Conversion(
        target="convert.masks:read",
        detect="",
        about="Any images and masks whose names match; values become ids from 0.",
        layout="images/ masks/, or a.jpg a_mask.png, with any of the usual names",
    ),
}
"""The last row is tried if no other recognises the export."""

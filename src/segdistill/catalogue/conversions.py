"""What annotation tools export and ``segdistill convert`` reads, in the order of detection."""

from __future__ import annotations

from dataclasses import dataclass

from segdistill.catalogue.tables import Entry


@dataclass(frozen=True)
class Conversion(Entry):
    """One row of ``CONVERSIONS``; ``target`` opens an export as a source of records.

    Attributes:
        detect: ``"module:function"`` that says by what an export is recognised, or "".
        layout: files that make it.
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
        about="A tree as Pascal VOC has it, with class names of its own.",
        layout="JPEGImages/ SegmentationClass/ [ImageSets/Segmentation/*.txt] classes.txt",
    ),
    "kaggle": Conversion(
        target="convert.kaggle:read",
        detect="convert.kaggle:detect",
        about="Kaggle's CamVid and its kind: masks of colours and class_dict.csv.",
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
        about="COCO panoptic: PNG files of segment ids and their JSON.",
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
        about="labelme: polygons and other shapes, a JSON file beside each image.",
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
        about="Any images with masks whose names match: values become ids from 0.",
        layout="images/ masks/, or a.jpg a_mask.png, in any of the usual spellings",
    ),
}
"""The last row is what is tried where no other recognises the export."""

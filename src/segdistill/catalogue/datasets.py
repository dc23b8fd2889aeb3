"""The datasets: layout, splits, classes, source and licence."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from segdistill.catalogue.settings import REQUIRED, Setting
from segdistill.catalogue.tables import Entry


@dataclass(frozen=True)
class Dataset(Entry):
    """One row of ``DATASETS``.

    Attributes:
        splits: names of the splits; empty if the user's folders decide.
        classes: ``"module:attribute"`` of the names and colours; empty if files decide.
        ignored: the stored values that belong to no class.
        layout: folders below ``root``.
        source: the paper, and where to download the data.
        licence: permitted use in short; the licence text of the dataset decides.
        tested: how the reader is tested in this project, for the documentation.
        later: settings added after runs had been recorded; at their default they are left
            out of a run's hash.
    """

    splits: tuple[str, ...] = ()
    classes: str = ""
    ignored: str = "255"
    layout: str = ""
    source: str = ""
    licence: str = ""
    tested: str = ""
    later: tuple[str, ...] = ()


def _root(what: str) -> Setting:
    return Setting(Path, REQUIRED, what)


_CLASSES_FILE = Setting(
    str,
    "classes.txt",
    "file below root that lists the classes: one per line, or an annotation tool's export",
)
_GIVEN = ("split",)

DATASETS: dict[str, Dataset] = {
    "camvid": Dataset(
        target="formats.camvid:camvid",
        about="Road scenes of Cambridge, 11 classes; 367, 101 and 233 images.",
        settings={"root": _root("folder that holds train/ or 701_StillsRaw_full/")},
        given=_GIVEN,
        splits=("train", "val", "test"),
        classes="formats.camvid:CLASSES",
        ignored="11 and 255 (void); colour (0, 0, 0)",
        layout="train/ trainannot/ val/ valannot/ [train.txt], or 701_StillsRaw_full/ "
        "LabeledApproved_full/",
        source="Brostow et al. 2009, http://mi.eng.cam.ac.uk/research/projects/VideoRec/CamVid/",
        licence="for research; see the data's page",
        tested="the real 468 images of train and val where they are present; a built tree of "
        "either layout, its lists, void, the 32 colours and the split by name",
    ),
    "cityscapes": Dataset(
        target="formats.cityscapes:cityscapes",
        about="Street scenes of 50 cities, 2048×1024, 19 classes; 2975, 500 and 1525 images.",
        settings={
            "root": _root("folder that holds leftImg8bit/"),
            "annotation": Setting(
                Literal["fine", "coarse", "finest"],
                "fine",
                "masks to read: gtFine, gtCoarse, or gtCoarse for train_extra only",
            ),
        },
        given=_GIVEN,
        splits=("train", "val", "test", "train_extra"),
        classes="formats.cityscapes:CLASSES",
        ignored="label ids without a train id",
        layout="leftImg8bit/train/<city>/ gtFine/train/<city>/ [gtCoarse/]",
        source="Cordts et al. 2016, https://www.cityscapes-dataset.com",
        licence="non-commercial, no redistribution",
        tested="a built tree of two cities with labelIds, colour, 16-bit instance and polygon "
        "files, coarse masks, train_extra, a test split without masks",
    ),
    "ade20k": Dataset(
        target="formats.ade20k:ade20k",
        about="Indoor and outdoor scenes, 150 classes; 20210, 2000 and 3352 images.",
        settings={"root": _root("folder ADEChallengeData2016, which holds images/")},
        given=_GIVEN,
        splits=("train", "val", "test"),
        classes="formats.ade20k:CLASSES",
        ignored="0 (other)",
        layout="images/training/ images/validation/ annotations/training/ annotations/validation/",
        source="Zhou et al. 2017, http://sceneparsing.csail.mit.edu",
        licence="images non-commercial, annotations BSD-3",
        tested="a built tree with every value from 0 to 150, 151 refused, a test split",
    ),
    "voc": Dataset(
        target="formats.voc:voc",
        about="Pascal VOC 2012, 20 objects and background; 1464 (10582 with SBD) and 1449 images.",
        settings={
            "root": _root("folder VOCdevkit/VOC2012, which holds JPEGImages/"),
            "sbd": Setting(
                Path | None,
                None,
                "folder benchmark_RELEASE/dataset of SBD, for the split trainaug; null: "
                "SegmentationClassAug/ is read",
            ),
        },
        given=_GIVEN,
        splits=("train", "val", "trainval", "trainaug", "test"),
        classes="formats.voc:CLASSES",
        ignored="255 (borders)",
        layout="JPEGImages/ SegmentationClass/ ImageSets/Segmentation/ [SegmentationClassAug/]; "
        "SBD: cls/ train.txt val.txt",
        source="Everingham et al. 2010, http://host.robots.ox.ac.uk/pascal/VOC/voc2012; "
        "Hariharan et al. 2011 (SBD)",
        licence="flickr terms of the images",
        tested="a built tree of palette PNGs with borders, SBD's MATLAB files, trainaug in both "
        "forms, a test split",
    ),
    "pascal_context": Dataset(
        target="formats.pascal_context:pascal_context",
        about="Whole scenes of VOC 2010, 59 classes and background; 4998 and 5105 images.",
        settings={
            "root": _root("folder VOCdevkit/VOC2010, with the masks inside"),
            "background": Setting(
                bool,
                True,
                "make the background class 0 (60 classes); false: ignore it (59 classes)",
            ),
        },
        given=_GIVEN,
        splits=("train", "val"),
        classes="formats.pascal_context:CLASSES",
        ignored="255; 0 with background=false",
        layout="JPEGImages/ trainval/*.mat labels.txt ImageSets/Main/, or "
        "SegmentationClassContext/ ImageSets/SegmentationContext/",
        source="Mottaghi et al. 2014, https://cs.stanford.edu/~roozbeh/pascal-context/",
        licence="flickr terms of the images",
        tested="a built tree of 16-bit MATLAB files with 118 labels, converted PNGs, with and "
        "without background",
    ),
    "coco_stuff": Dataset(
        target="formats.coco_stuff:coco_stuff",
        about="Things and stuff of COCO, 171 classes; 118287 and 5000 images (10k: 9000, 1000).",
        settings={"root": _root("folder that holds images/ and the masks")},
        given=_GIVEN,
        splits=("train", "val", "test"),
        classes="formats.coco_stuff:CLASSES",
        ignored="255; 0 in the .mat files of 10k",
        layout="images/train2017/ stuffthingmaps/train2017/ (or annotations/train2017/); 10k: "
        "images/ annotations/*.mat imageLists/train.txt test.txt",
        source="Caesar et al. 2018, https://github.com/nightrome/cocostuff",
        licence="annotations CC BY 4.0, flickr terms of the images",
        tested="built trees: two forms of 164k, things, stuff and 255, an unused id refused; "
        "MATLAB files, PNGs and lists of 10k",
    ),
    "folder": Dataset(
        target="formats.folder:folder",
        about="Your own images/ and masks/ with matching names, class names in classes.txt.",
        settings={
            "root": _root("folder that holds the splits"),
            "classes": _CLASSES_FILE,
            "images": Setting(str, "images", "name of the image folders"),
            "masks": Setting(str, "masks", "name of the mask folders"),
            "image_suffix": Setting(str, "", "ending of image names that mask names do not have"),
            "mask_suffix": Setting(
                str, "", "ending of mask names that image names do not have, such as _mask"
            ),
        },
        given=_GIVEN,
        layout="train/images/ train/masks/ classes.txt, or images/train/ masks/train/ classes.txt",
        later=("image_suffix", "mask_suffix"),
        tested="built trees in both layouts, ids and colours, every kind of bad file",
    ),
    "list": Dataset(
        target="formats.list:list",
        about="A CSV or JSONL list with columns image, mask and split.",
        settings={
            "root": _root("folder of the list; relative paths in the list start here"),
            "file": Setting(str, "data.csv", "list file below root: CSV or JSON Lines (.jsonl)"),
            "classes": _CLASSES_FILE,
        },
        given=_GIVEN,
        layout="data.csv classes.txt",
        tested="CSV and JSON lines, with and without splits, absolute paths, broken rows",
    ),
    "hf": Dataset(
        target="formats.hf:hf",
        about="A folder written by Hugging Face datasets (save_to_disk), with images and masks.",
        settings={
            "root": _root("folder that datasets.save_to_disk wrote"),
            "image_column": Setting(str, "image", "name of the image column"),
            "label_column": Setting(str, "label", "name of the mask column"),
            "classes": _CLASSES_FILE,
            "reduce_labels": Setting(
                bool, False, "mask value 0 is ignored and 1 is the first class, as in transformers"
            ),
        },
        given=_GIVEN,
        ignored="255; -1 of ClassLabel; 0 with reduce_labels=true",
        layout="dataset_dict.json train/state.json train/*.arrow [classes.txt]",
        source="yours; needs the extra hf",
        tested="folders that datasets wrote: PNG, palette, colours, ClassLabel, lists, Array2D, "
        "EXIF, empty and broken cells",
    ),
    "images": Dataset(
        target="formats.images:images",
        about="A folder of images without masks, for prediction or distillation without labels.",
        settings={"root": _root("folder of the images, or of one subfolder per split")},
        given=_GIVEN,
        ignored="all",
        layout="any",
        tested="a folder with and without split folders",
    ),
    "scenes": Dataset(
        target="formats.scenes:scenes",
        about="Drawn street scenes with exact masks, 11 classes, nothing to download.",
        settings={
            "size": Setting(
                tuple[int, int], (128, 160), "height and width of an image", at_least=32, unit="px"
            ),
            "train_images": Setting(
                int, 300, "number of images in the split train", at_least=1, unit="images"
            ),
            "val_images": Setting(
                int, 100, "number of images in the split val", at_least=1, unit="images"
            ),
            "scene_seed": Setting(
                int, 0, "seed of all scenes; a different seed gives a different dataset"
            ),
        },
        given=_GIVEN,
        splits=("train", "val"),
        classes="scenes.canvas:CLASSES",
        ignored="none",
        layout="no files",
        source="drawn by segdistill",
        licence="Apache-2.0",
        tested="every class occurs, the same on each run, exact masks",
    ),
}

PIXELS = Entry(
    target="files.pixels:pixels",
    about="How stored image values become 8-bit RGB, for every dataset that reads files.",
    settings={
        "range": Setting(
            tuple[float, float] | None,
            None,
            "values of black and white in files of more than 8 bits, such as [0, 4095]; null: the "
            "whole range for 16 bits, and 32 bits are refused",
        ),
        "bands": Setting(
            tuple[int, int, int] | None,
            None,
            "bands that hold red, green and blue; null: files with more than RGBA are refused",
            at_least=0,
        ),
    },
)
LABELS = Entry(
    target="files.relabel:relabel",
    about="What the labels in masks mean, for every dataset that reads mask files.",
    settings={
        "labels": Setting(
            dict[int | str, int | str] | None,
            None,
            "class to use instead of a stored value or class, such as {van: car, 255: road, 7: "
            "ignore}; with classes_of, rest stands for all classes that are not named",
        ),
        "ignore": Setting(tuple[int | str, ...], (), "stored values or class names to ignore"),
        "reduce_labels": Setting(
            bool, False, "mask value 0 is ignored and 1 is the first class, as in ADE20K"
        ),
        "binary": Setting(
            bool, False, "masks store 0 for the first class and 255 or 1 for the second"
        ),
        "classes_of": Setting(
            str | None,
            None,
            "dataset whose classes, in its order, replace those of the masks, such as voc for "
            "coco_stuff; classes of the same name are kept, and labels maps the others",
        ),
    },
    given=("classes", "code"),
)


def image_settings(name: str) -> dict[str, Setting]:
    """Return the settings of a dataset that turn stored image values into RGB."""
    return {} if name == "scenes" else dict(PIXELS.settings)


def label_settings(name: str) -> dict[str, Setting]:
    """Return the settings of a dataset that give stored labels a meaning."""
    own = DATASETS[name].settings
    if name in ("scenes", "images"):
        return {}
    return {key: setting for key, setting in LABELS.settings.items() if key not in own}


def dataset_settings(name: str) -> dict[str, Setting]:
    """Return all settings of a dataset: its own, then the shared ones."""
    return {**DATASETS[name].settings, **image_settings(name), **label_settings(name)}


def later_settings(name: str) -> tuple[str, ...]:
    """Return the settings of a dataset that are left out of a run's hash at their default."""
    return (*DATASETS[name].later, *image_settings(name), *label_settings(name))


OWN = "import:"
"""Prefix of the name of a user's own dataset."""

OF_ANYBODY = Dataset(
    target="formats.own:from_import",
    about="A dataset of your own: import:package.module:function, called with split and args.",
    settings={
        "args": Setting(dict[str, object], {}, "further arguments of the function, besides split"),
    },
    given=("split", "name"),
)

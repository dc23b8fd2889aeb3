"""Datasets, augmentation and the stream of training batches.

``DATASETS`` is the table that configs, lists, documentation and tests read.
"""

import inspect
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, get_args

from segdistill.checks import nearest
from segdistill.errors import ConfigError
from segdistill.tables import Entry, lazy_attributes, load, settings

if TYPE_CHECKING:
    from segdistill.data.inspection import inspect_data as inspect_data
    from segdistill.data.packing import pack as pack
    from segdistill.data.pictures import colorize as colorize
    from segdistill.data.stream import Stream as Stream
    from segdistill.data.submission import write_prediction as write_prediction
    from segdistill.data.transforms import Recipe as Recipe
    from segdistill.data.transforms import augment as augment
    from segdistill.data.verification import verify as verify
    from segdistill.types import SegDataset


@dataclass(frozen=True)
class Dataset(Entry):
    """One row of ``DATASETS``.

    Attributes:
        splits: names of the splits; empty where the user's folders decide.
        classes: ``"module:attribute"`` of the names and colours, empty where files decide.
        ignored: which stored values have no class.
        layout: folders below ``root``.
        source: paper and where it is downloaded.
        licence: what it may be used for, in short; the data's own page decides.
        tested: how this project's tests try the reader, for the documentation.
    """

    splits: tuple[str, ...] = ()
    classes: str = ""
    ignored: str = "255"
    layout: str = ""
    source: str = ""
    licence: str = ""
    tested: str = ""


_GIVEN = ("split",)

DATASETS: dict[str, Dataset] = {
    "camvid": Dataset(
        target="camvid:camvid",
        about="Road scenes of Cambridge, 11 classes; 367, 101 and 233 images.",
        given=_GIVEN,
        splits=("train", "val", "test"),
        classes="camvid:CLASSES",
        ignored="11 and 255 (void); colour (0, 0, 0)",
        layout="train/ trainannot/ val/ valannot/ [train.txt], or 701_StillsRaw_full/ "
        "LabeledApproved_full/",
        source="Brostow et al. 2009, http://mi.eng.cam.ac.uk/research/projects/VideoRec/CamVid/",
        licence="for research; see the data's page",
        tested="the real 468 images of train and val where they are present; a built tree of "
        "either layout, its lists, void, the 32 colours and the split by name",
    ),
    "cityscapes": Dataset(
        target="cityscapes:cityscapes",
        about="Street scenes of 50 cities, 2048×1024, 19 classes; 2975, 500 and 1525 images.",
        given=_GIVEN,
        splits=("train", "val", "test", "train_extra"),
        classes="cityscapes:CLASSES",
        ignored="label ids without a train id",
        layout="leftImg8bit/train/<city>/ gtFine/train/<city>/ [gtCoarse/]",
        source="Cordts et al. 2016, https://www.cityscapes-dataset.com",
        licence="non-commercial, no redistribution",
        tested="a built tree of two cities with labelIds, colour, 16-bit instance and polygon "
        "files, coarse masks, train_extra, a test split without masks",
    ),
    "ade20k": Dataset(
        target="ade20k:ade20k",
        about="Scenes indoors and outdoors, 150 classes; 20210, 2000 and 3352 images.",
        given=_GIVEN,
        splits=("train", "val", "test"),
        classes="ade20k:CLASSES",
        ignored="0 (other)",
        layout="images/training/ images/validation/ annotations/training/ annotations/validation/",
        source="Zhou et al. 2017, http://sceneparsing.csail.mit.edu",
        licence="images non-commercial, annotations BSD-3",
        tested="a built tree with every value from 0 to 150, 151 refused, a test split",
    ),
    "voc": Dataset(
        target="voc:voc",
        about="Pascal VOC 2012, 20 objects and background; 1464 (10582 with SBD) and 1449 images.",
        given=_GIVEN,
        splits=("train", "val", "trainval", "trainaug", "test"),
        classes="voc:CLASSES",
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
        target="pascal_context:pascal_context",
        about="Whole scenes of VOC 2010, 59 classes and background; 4998 and 5105 images.",
        given=_GIVEN,
        splits=("train", "val"),
        classes="pascal_context:CLASSES",
        ignored="255; 0 with background=false",
        layout="JPEGImages/ trainval/*.mat labels.txt ImageSets/Main/, or "
        "SegmentationClassContext/ ImageSets/SegmentationContext/",
        source="Mottaghi et al. 2014, https://cs.stanford.edu/~roozbeh/pascal-context/",
        licence="flickr terms of the images",
        tested="a built tree of 16-bit MATLAB files with 118 labels, converted PNGs, with and "
        "without background",
    ),
    "coco_stuff": Dataset(
        target="coco_stuff:coco_stuff",
        about="Things and stuff of COCO, 171 classes; 118287 and 5000 images (10k: 9000, 1000).",
        given=_GIVEN,
        splits=("train", "val", "test"),
        classes="coco_stuff:CLASSES",
        ignored="255; 0 in the .mat files of 10k",
        layout="images/train2017/ stuffthingmaps/train2017/ (or annotations/train2017/); 10k: "
        "images/ annotations/*.mat imageLists/train.txt test.txt",
        source="Caesar et al. 2018, https://github.com/nightrome/cocostuff",
        licence="annotations CC BY 4.0, flickr terms of the images",
        tested="built trees: two forms of 164k, things, stuff and 255, an unused id refused; "
        "MATLAB files, PNGs and lists of 10k",
    ),
    "folder": Dataset(
        target="folder:folder",
        about="Your own images/ and masks/ with matching names, class names in classes.txt.",
        given=_GIVEN,
        layout="train/images/ train/masks/ classes.txt, or images/train/ masks/train/ classes.txt",
        tested="built trees in both layouts, ids and colours, every kind of bad file",
    ),
    "list": Dataset(
        target="listing:listing",
        about="A CSV or JSONL list with columns image, mask and split.",
        given=_GIVEN,
        layout="data.csv classes.txt",
        tested="CSV and JSON lines, with and without splits, absolute paths, broken rows",
    ),
    "hf": Dataset(
        target="arrow:arrow",
        about="A folder of Hugging Face datasets (save_to_disk), images and masks inside.",
        given=_GIVEN,
        ignored="255; -1 of ClassLabel; 0 with reduce_labels=true",
        layout="dataset_dict.json train/state.json train/*.arrow [classes.txt]",
        source="yours; needs the extra hf",
        tested="folders that datasets wrote: PNG, palette, colours, ClassLabel, lists, Array2D, "
        "EXIF, empty and broken cells",
    ),
    "images": Dataset(
        target="images:images",
        about="A folder of images without masks, to predict on or to distil on without labels.",
        given=_GIVEN,
        ignored="all",
        layout="any",
        tested="a folder with and without split folders",
    ),
    "scenes": Dataset(
        target="scenes:scenes",
        about="Drawn street scenes with exact masks, 11 classes, nothing to download.",
        given=_GIVEN,
        splits=("train", "val"),
        classes="canvas:CLASSES",
        ignored="none",
        layout="no files",
        source="drawn by segdistill",
        licence="Apache-2.0",
        tested="every class occurs, the same on each run, exact masks",
    ),
}

_MODULES = {
    "inspect_data": "inspection",
    "pack": "packing",
    "Recipe": "transforms",
    "Stream": "stream",
    "augment": "transforms",
    "colorize": "pictures",
    "verify": "verification",
    "write_prediction": "submission",
}

__all__ = ["DATASETS", "build_dataset", *_MODULES]

__getattr__ = lazy_attributes(__name__, _MODULES)


def build_dataset(options: Mapping[str, object], *, split: str) -> "SegDataset":
    """Build one split of a dataset from a flat config.

    Where ``root`` is a packed copy of the dataset, that is opened in place of the original.

    Args:
        options: key ``dataset`` names a row of ``DATASETS``, the other keys are settings of
            that row.
        split: name of the split, such as ``train`` or ``val``.

    Returns:
        Images with masks, by index.

    Raises:
        ConfigError: no such dataset, a key that is none of its settings, or one that is
            missing.
        DataError: the files are missing or do not match.
    """
    name = str(options.get("dataset"))
    if name not in DATASETS:
        raise ConfigError(
            f"build_dataset: expected a known dataset, got {name!r}; {nearest(name, DATASETS)}"
        )
    entry = DATASETS[name]
    known = settings(__name__, entry.target, entry.given)
    given = {key: value for key, value in options.items() if key != "dataset"}
    for key in given:
        if key not in known:
            raise ConfigError(
                f"build_dataset: expected settings of {name}, got {key!r}; {nearest(key, known)}"
            )
    for key, setting in known.items():
        if key not in given and setting.default is inspect.Parameter.empty:
            raise ConfigError(
                f"build_dataset: expected {key} for {name}, got nothing; add data.{key}"
            )
    root = given.get("root")
    if isinstance(root, str | Path):
        from segdistill.data.manifest import is_packed
        from segdistill.data.packing import open_packed

        if is_packed(Path(root)):
            # Where files lie may differ between the original and its copy.
            defaults = {
                key: setting.default
                for key, setting in known.items()
                if Path not in (setting.type, *get_args(setting.type))
            }
            return open_packed(Path(root), split, options, defaults=defaults)
    dataset: SegDataset = load(__name__, entry.target)(split=split, **given)
    return dataset

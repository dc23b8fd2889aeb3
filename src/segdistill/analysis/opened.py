"""Networks, a few images and their masks, opened once for all analyses."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from segdistill.analysis.compared import TEACHER, Compared
from segdistill.analysis.passes import as_input, pick_images
from segdistill.config.ensembles import networks_of
from segdistill.models.taps import tap_paths
from segdistill.training.build import build_section, open_split
from segdistill.training.pick_device import pick_device
from segdistill.training.trained_student import load_student
from segdistill.trust import check_from_file
from segdistill.types import Classes, Sample, SegDataset


@dataclass(frozen=True)
class AnalysisSettings:
    """How much to analyse; all of it is recorded in the files.

    Attributes:
        images: maximum number of images to analyse.
        megapixels: maximum number of pixels in all; large images are therefore fewer.
        pixels: maximum number of pixels whose embeddings are plotted.
        neighbours: number of neighbours, see ``scoring.embeddings.neighbour_agreement``.
        perplexity: perplexity of t-SNE.
        points: number of affinity maps, each of a point in a different image.
        layers: taps or module paths whose activations are plotted.
        heatmaps: number of images whose activations are plotted.
        pictures: number of worst, and of best, images per method.
        temperatures: temperatures at which the teacher's entropy is measured.
        bins: number of bins per histogram.
        tap: tap whose features are analysed.
        seed: seed for choosing pixels and points, and of t-SNE.
    """

    images: int = 64
    megapixels: int = 32
    pixels: int = 2000
    neighbours: int = 10
    perplexity: float = 30.0
    points: int = 2
    layers: tuple[str, ...] = ("backbone",)
    heatmaps: int = 2
    pictures: int = 3
    temperatures: tuple[float, ...] = (1.0, 2.0, 4.0, 8.0, 16.0)
    bins: int = 30
    tap: str = "head"
    seed: int = 0


@dataclass(frozen=True)
class Opened:
    """Compared runs with everything loaded.

    Attributes:
        compared: the runs.
        settings: how much to analyse.
        folder: the study, cohort or run folder to write to.
        dataset: the scored split.
        places: indices of the analysed images in the dataset.
        samples: the analysed images.
        inputs: the same images as network inputs.
        students: networks by method, the plain one first.
        teacher: the teacher, None if no run has one.
        device: the device to compute on.
    """

    compared: Compared
    settings: AnalysisSettings
    folder: Path
    dataset: SegDataset
    places: list[int]
    samples: list[Sample]
    inputs: list[Tensor]
    students: Mapping[str, nn.Module]
    teacher: nn.Module | None
    device: torch.device

    @property
    def classes(self) -> Classes:
        """The classes of the dataset."""
        return self.dataset.classes

    @property
    def networks(self) -> dict[str, nn.Module]:
        """The students, and the teacher if there is one."""
        teacher = {} if self.teacher is None else {TEACHER: self.teacher}
        return {**self.students, **teacher}

    def lacking_tap(self) -> list[str]:
        """Return the networks that do not have the tap of the settings."""
        return self.lacking(self.settings.tap)

    def lacking(self, tap: str) -> list[str]:
        """Return the networks that do not have a tap or module path."""
        return [
            name
            for name, network in self.networks.items()
            if tap not in tap_paths(network) and tap not in dict(network.named_modules())
        ]

    def names(self) -> list[str]:
        """Return the names of the analysed images."""
        return [sample.name for sample in self.samples]


def open_compared(
    compared: Compared,
    settings: AnalysisSettings,
    folder: Path,
    *,
    trust: Collection[str] = (),
) -> Opened:
    """Load networks and images; see :class:`Opened` for the arguments.

    Raises:
        DataError, ValueError: problems with the data or the networks.
        CheckpointError, FileNotFoundError: a weights file is broken or missing.
    """
    config = compared.config
    dataset = open_split(config.data, config.evaluation.split)
    places = pick_images(dataset, most=settings.images, most_pixels=settings.megapixels * 1_000_000)
    samples = [dataset[index] for index in places]
    teacher = None
    if compared.teacher is not None and compared.teacher.teacher is not None:
        section = compared.teacher.teacher
        for network in networks_of(section).values():
            check_from_file(network.network, trust, "analyse")
        names = dataset.classes.names
        teacher = build_section(
            section, len(names), seed=0, purpose=TEACHER, class_names=names
        ).eval()
    return Opened(
        compared,
        settings,
        folder,
        dataset,
        places,
        samples,
        [as_input(sample.image, config.evaluation) for sample in samples],
        {
            name: load_student(folder, trust=trust, data_classes=dataset.classes).network
            for name, folder in compared.runs.items()
        },
        teacher,
        pick_device(config.training.device),
    )

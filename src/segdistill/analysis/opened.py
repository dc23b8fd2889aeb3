"""What an analysis looks at: networks, a few images and their masks, opened once."""

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
    """How much is looked at; all of it is written into the files.

    Attributes:
        images: most images that networks are looked into with.
        megapixels: most pixels over all of them; large images are fewer.
        pixels: most pixels whose embeddings are drawn.
        neighbours: of a pixel, see ``scoring.embeddings.neighbour_agreement``.
        perplexity: of t-SNE.
        points: whose affinity maps are drawn, each in an image of its own.
        layers: whose activations are drawn: taps or module paths.
        heatmaps: images whose activations are drawn.
        pictures: worst, and as many best, images of each method.
        temperatures: that the teacher is softened by.
        bins: of the histograms.
        tap: whose features are looked at.
        seed: of pixels, points and t-SNE.
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
    """Runs that are compared, with everything loaded.

    Attributes:
        compared: the runs.
        settings: how much is looked at.
        folder: the study, cohort or run folder that the files go to.
        dataset: the scored split.
        places: of the images looked at, in the dataset.
        samples: the images looked at.
        inputs: the same as the networks take them.
        students: by method, the plain one first.
        teacher: None where no run had one.
        device: where to compute.
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
        """Of the dataset."""
        return self.dataset.classes

    @property
    def networks(self) -> dict[str, nn.Module]:
        """The students, and the teacher where there is one."""
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
        """Return the names of the images looked at."""
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
        DataError, ValueError: from the data and the networks.
        CheckpointError, FileNotFoundError: a weight file is broken or gone.
    """
    config = compared.config
    dataset = open_split(config.data, config.evaluation.split)
    places = pick_images(dataset, most=settings.images, most_pixels=settings.megapixels * 1_000_000)
    samples = [dataset[place] for place in places]
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

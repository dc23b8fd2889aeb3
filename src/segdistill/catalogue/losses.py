"""The distillation losses: what each compares, where, and with which weight."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from segdistill.catalogue.settings import Setting

MeanOver = Literal["positions", "labelled", "images", "neighbours", "all"]
"""What a loss can be a mean over; see :class:`Loss`."""


@dataclass(frozen=True)
class Loss:
    """One row of ``LOSSES``.

    Attributes:
        target: ``"module:class"`` of the loss module.
        about: one sentence for lists and documentation.
        source: paper.
        tap: the map that the method's authors compare: ``logits``, ``head`` or ``backbone``.
        weight: the authors' weight on the house convention (a mean).
        widths: ``"equal"`` where both maps need the same channels, ``"any"`` otherwise.
        project: how the method's authors bring the student to the teacher's width.
        align: which map is resized where sizes differ: ``"teacher"``, ``"student"``, or
            ``"none"`` where the module takes maps of different sizes as they are.
        uses_batch: the module cannot be called without a batch, whose labels or images it reads;
            every other takes one all the same, to leave padding out.
        uses_labels: it reads the labels of that batch.
        whole_batch: its meaning depends on all images of the batch at once, so that the batch
            cannot be split into parts that are accumulated.
        mean_over: what the loss is a mean over, by part where it has parts that differ: valid
            ``positions``, ``labelled`` ones, ``images`` with a valid position, images with a
            valid pair of ``neighbours``, or ``all`` images. The parts of an accumulated batch
            are weighted by it.
        settings: what a config may write beside those keys, in the order of the constructor.
        given: constructor parameters that the objective fills in, out of
            ``student_channels``, ``teacher_channels``, ``classes``, ``seed``.
        parts: names of the parts where the module returns a dict of scalars, each times its
            own weight.
        prepares: the module has a stage before training, ``prepare``.
        adversarial: the module has an ``adversary``, whose critic has its own optimiser.
        bibtex: entry of its paper, where ``reporting/references.bib`` has none for it.
    """

    target: str
    about: str
    source: str
    tap: Literal["logits", "head", "backbone"]
    weight: float
    widths: Literal["equal", "any"] = "equal"
    project: Literal["linear", "conv_bn_relu", "mlp", "none"] = "none"
    align: Literal["teacher", "student", "none"] = "teacher"
    uses_batch: bool = False
    uses_labels: bool = False
    whole_batch: bool = False
    mean_over: MeanOver | Mapping[str, MeanOver] = "positions"
    settings: Mapping[str, Setting] = field(default_factory=dict)
    bibtex: str = ""
    given: tuple[str, ...] = ()
    parts: tuple[str, ...] = ()
    prepares: bool = False
    adversarial: bool = False


def _temperature(default: float, source: str, of: str = "both maps") -> Setting:
    return Setting(
        float,
        default,
        f"temperature of the softmax over {of}; higher makes it flatter",
        above=0.0,
        source=source,
    )


def _weight(default: float, part: str, source: str) -> Setting:
    return Setting(
        float,
        default,
        f"weight of the part {part}, inside the weight of the whole term",
        at_least=0.0,
        source=source,
    )


_CIRKD = "Yang et al., CVPR 2022"
_SIMILARITIES = "similarities"
_MEMORY = {
    "pixel_weight": _weight(0.1, "pixel", f"{_CIRKD}; 0.01 on Pascal VOC"),
    "region_weight": _weight(0.1, "region", _CIRKD),
    "pixel_queue": Setting(
        int, 20000, "pixels remembered of each class", at_least=1, unit="pixels", source=_CIRKD
    ),
    "region_queue": Setting(
        int,
        2000,
        "class means of single images remembered of each class",
        at_least=1,
        unit="regions",
        source=_CIRKD,
    ),
    "pixels": Setting(
        int,
        16,
        "most pixels of each class that an image adds to the queue; not more than pixel_queue",
        at_least=1,
        unit="pixels",
        source=_CIRKD,
    ),
    "pixel_contrasts": Setting(
        int,
        4096,
        "remembered pixels that a step compares with, evenly over the classes",
        at_least=1,
        unit="pixels",
        source=_CIRKD,
    ),
    "region_contrasts": Setting(
        int,
        1024,
        "remembered regions that a step compares with, evenly over the classes",
        at_least=1,
        unit="regions",
        source=_CIRKD,
    ),
}


_PSEUDO_LABEL = """@inproceedings{lee2013pseudo,
  title = {Pseudo-Label: The Simple and Efficient Semi-Supervised Learning Method for Deep Neural
           Networks},
  author = {Lee, Dong-Hyun},
  booktitle = {ICML Workshop on Challenges in Representation Learning},
  year = {2013}
}"""

LOSSES: dict[str, Loss] = {
    "pixelwise_kl": Loss(
        target="pixelwise_kl:PixelwiseKL",
        about="Match the class distribution of every pixel (the original distillation).",
        source="Hinton et al. 2015, arXiv:1503.02531; Liu et al. 2019, Eq. 1",
        tap="logits",
        weight=1.0,
        settings={"temperature": _temperature(1.0, "Liu et al., CVPR 2019, Eq. 1")},
    ),
    "channelwise_kl": Loss(
        target="channelwise_kl:ChannelwiseKL",
        about="Match where each channel looks, as a distribution over positions (CWD).",
        source="Shu et al., ICCV 2021, arXiv:2011.13256",
        tap="logits",
        weight=3.0,
        mean_over="images",
        settings={"temperature": _temperature(4.0, "Shu et al., ICCV 2021")},
    ),
    "decoupled_kl": Loss(
        target="decoupled_kl:DecoupledKL",
        about="Match the true class against the rest, and apart the rest among itself (DKD).",
        source="Zhao et al., CVPR 2022, arXiv:2203.08679",
        tap="logits",
        weight=1.0,
        mean_over="labelled",
        uses_batch=True,
        uses_labels=True,
        settings={
            "temperature": _temperature(4.0, "Zhao et al., CVPR 2022"),
            "alpha": Setting(
                float,
                1.0,
                "weight of the true class against the rest",
                above=0.0,
                source="Zhao et al., CVPR 2022",
            ),
            "beta": Setting(
                float,
                8.0,
                "weight of the other classes among themselves",
                above=0.0,
                source="Zhao et al., CVPR 2022",
            ),
        },
    ),
    "hard_labels": Loss(
        target="hard_labels:HardLabels",
        about="Learn the teacher's class at every pixel: a control, with training.task.weight 0.",
        source="Lee, ICML 2013 workshop (Pseudo-Label)",
        tap="logits",
        weight=1.0,
        bibtex=_PSEUDO_LABEL,
    ),
    "correlation": Loss(
        target="correlation:Correlation",
        about="Match the correlation of probabilities over classes and over pixels (DIST).",
        source="Huang et al., NeurIPS 2022, arXiv:2205.10536",
        tap="logits",
        weight=1.0,
        whole_batch=True,
        settings={"temperature": _temperature(1.0, "Huang et al., NeurIPS 2022")},
    ),
    "holistic": Loss(
        target="holistic:Holistic",
        about="Let a critic that sees the image tell student maps from teacher maps (SKD).",
        source="Liu et al., CVPR 2019, Eq. 3",
        tap="logits",
        weight=0.1,
        mean_over="all",
        uses_batch=True,
        given=("classes", "seed"),
        adversarial=True,
        settings={
            "width": Setting(
                int,
                64,
                "width of the critic's first layer; the next three double it",
                at_least=2,
                unit="channels",
                source="irfanICMLL/structure_knowledge_distillation",
            ),
            "bound_last": Setting(bool, False, "bound the slope of the critic's last layer too"),
            "softmax": Setting(
                bool,
                False,
                "give the critic class probabilities in place of logits",
                source='Liu et al., CVPR 2019, Sec. 2: "real valued"',
            ),
            "hinge": Setting(
                bool,
                False,
                "teach the critic by the hinge form, as winycg/CIRKD, without a penalty",
            ),
            "penalty_weight": Setting(
                float,
                10.0,
                "weight of the gradient penalty in the critic's loss",
                at_least=0.0,
                source="Gulrajani et al. 2017, arXiv:1704.00028",
            ),
            "critic_weight": Setting(
                float,
                1.0,
                "weight of the critic's own loss; 0.1 in the code of SKD, IFVD and CIRKD",
                above=0.0,
            ),
            "optimizer": Setting(
                Literal["adam", "sgd"],
                "adam",
                "optimiser of the critic; sgd in SKD's code",
                source="YukangWang/IFVD, winycg/CIRKD",
            ),
            "learning_rate": Setting(
                float,
                4e-4,
                "learning rate of the critic",
                above=0.0,
                source="the code of SKD, IFVD and CIRKD",
            ),
            "betas": Setting(
                tuple[float, float],
                (0.9, 0.99),
                "betas of the critic's adam",
                at_least=0.0,
                below=1.0,
                source="YukangWang/IFVD, winycg/CIRKD",
            ),
            "momentum": Setting(
                float,
                0.9,
                "momentum of the critic's sgd",
                at_least=0.0,
                below=1.0,
                source="SKD's code",
            ),
            "weight_decay": Setting(
                float, 0.0, "weight decay of the critic; 5e-4 in SKD's code", at_least=0.0
            ),
            "scheduled": Setting(
                bool,
                False,
                "let the critic's rate fall with the student's, as in SKD's and IFVD's code",
            ),
        },
    ),
    "feature_mse": Loss(
        target="feature_mse:FeatureMSE",
        about="Match every value of the feature map (FitNet, MIMIC).",
        source="Romero et al., ICLR 2015",
        tap="backbone",
        weight=100.0,
        project="linear",
    ),
    "feature_mse_terms": Loss(
        target="feature_mse_terms:FeatureMSETerms",
        about="Match every value of the feature map, and log both lengths and their angle.",
        source="Liu et al., WACV 2024, Eq. 3",
        tap="backbone",
        weight=100.0,
        project="linear",
        parts=("teacher", "student", "product"),
    ),
    "magnitude": Loss(
        target="magnitude:Magnitude",
        about="Match the length of the feature map and nothing else (MD, a diagnostic).",
        source="Liu et al., WACV 2024, Eq. 4",
        tap="backbone",
        weight=1.0,
        mean_over="images",
        project="conv_bn_relu",
    ),
    "layer_angular": Loss(
        target="layer_angular:LayerAngular",
        about="Match the direction of the whole feature map as one vector (LAD).",
        source="Liu et al., WACV 2024, Eq. 5",
        tap="backbone",
        weight=10.0,
        mean_over="images",
        project="conv_bn_relu",
    ),
    "channel_angular": Loss(
        target="channel_angular:ChannelAngular",
        about="Match the direction of each channel over positions (CAD).",
        source="Liu et al., WACV 2024, Eq. 7",
        tap="backbone",
        weight=10.0,
        mean_over="images",
        project="conv_bn_relu",
    ),
    "point_angular": Loss(
        target="point_angular:PointAngular",
        about="Match the direction of each position over channels (PAD).",
        source="Liu et al., WACV 2024, Eq. 8",
        tap="backbone",
        weight=10.0,
        project="conv_bn_relu",
    ),
    "attention": Loss(
        target="attention:Attention",
        about="Match where the feature map is active, summed over channels (AT).",
        source="Zagoruyko and Komodakis, ICLR 2017, arXiv:1612.03928",
        tap="backbone",
        weight=1000.0,
        widths="any",
    ),
    "masked_generation": Loss(
        target="masked_generation:MaskedGeneration",
        about="Generate the teacher's feature map from the student's with holes (MGD).",
        source="Yang et al., ECCV 2022, arXiv:2205.01529",
        tap="head",
        weight=41.9,
        given=("student_channels", "teacher_channels", "seed"),
        settings={
            "drop": Setting(
                float,
                0.75,
                "share of the student's positions that are blanked before generation",
                at_least=0.0,
                below=1.0,
                source="Yang et al., ECCV 2022",
            ),
        },
    ),
    "knowledge_adaptation": Loss(
        target="knowledge_adaptation:KnowledgeAdaptation",
        about="Match the teacher's features as an autoencoder encodes them (KA).",
        source="He et al., CVPR 2019",
        tap="head",
        weight=1.0,
        mean_over={"adapt": "positions", "affinity": "images"},
        align="none",
        given=("student_channels", "teacher_channels"),
        parts=("adapt", "affinity"),
        prepares=True,
        settings={
            "adapt_weight": _weight(50.0, "adapt", "He et al., CVPR 2019"),
            "affinity_weight": _weight(1.0, "affinity", "He et al., CVPR 2019"),
            "p": Setting(
                float, 2.0, "order of the norm of the difference between the maps", at_least=1.0
            ),
            "q": Setting(
                float, 2.0, "order of the norm that each position is divided by", at_least=1.0
            ),
            "adapter_layers": Setting(
                int,
                3,
                "number of 3x3 convolutions between the student's map and the comparison",
                at_least=1,
                source="He et al., CVPR 2019, appendix; Sec. 3.1 has 1",
            ),
        },
    ),
    "affinity": Loss(
        target="affinity:Affinity",
        about="Match how alike any two positions are, row by row (KA without its autoencoder).",
        source="He et al., CVPR 2019, Eqs. 3 and 4, and Table 1",
        tap="head",
        weight=1.0,
        mean_over="images",
        widths="any",
    ),
    "pairwise_similarity": Loss(
        target="pairwise_similarity:PairwiseSimilarity",
        about="Match how alike any two positions of an image are (SKD).",
        source="Liu et al., CVPR 2019, Eq. 2",
        tap="head",
        weight=10.0,
        mean_over="images",
        widths="any",
        settings={
            "pool": Setting(
                int | tuple[int, int],
                1,
                "side, or height and width, of the cells that are max-pooled before positions "
                "are compared; 1 compares every position",
                at_least=1,
                unit="positions",
            ),
        },
    ),
    "local_similarity": Loss(
        target="local_similarity:LocalSimilarity",
        about="Match how alike each position and its eight neighbours are (LOCAL).",
        source="Xie et al., BMVC 2018, arXiv:1810.08476",
        tap="head",
        weight=1.0,
        mean_over="neighbours",
        widths="any",
    ),
    "intra_class_variation": Loss(
        target="intra_class_variation:IntraClassVariation",
        about="Match how far each pixel strays from the mean of its class (IFVD).",
        source="Wang et al., ECCV 2020",
        tap="head",
        weight=50.0,
        mean_over="labelled",
        widths="any",
        uses_batch=True,
        uses_labels=True,
        given=("classes",),
    ),
    "batch_relations": Loss(
        target="batch_relations:BatchRelations",
        about="Match how pixels relate to those of all images of the batch (CIRKD).",
        source="Yang et al., CVPR 2022, Eqs. 3 and 4",
        tap="head",
        weight=1.0,
        widths="any",
        project="mlp",
        whole_batch=True,
        settings={"temperature": _temperature(0.1, _CIRKD, _SIMILARITIES)},
    ),
    "memory_relations": Loss(
        target="memory_relations:MemoryRelations",
        about="Match how pixels relate to pixels and regions of earlier images (CIRKD).",
        source="Yang et al., CVPR 2022, Eqs. 5 to 8",
        tap="head",
        weight=1.0,
        project="mlp",
        uses_batch=True,
        uses_labels=True,
        whole_batch=True,
        given=("classes", "teacher_channels", "seed"),
        parts=("pixel", "region"),
        settings={"temperature": _temperature(0.1, _CIRKD, _SIMILARITIES), **_MEMORY},
    ),
    "cross_image_relations": Loss(
        target="cross_image_relations:CrossImageRelations",
        about="Batch and memory relations of the same embeddings (CIRKD whole).",
        source="Yang et al., CVPR 2022, Eq. 9",
        tap="head",
        weight=1.0,
        project="mlp",
        uses_batch=True,
        uses_labels=True,
        whole_batch=True,
        given=("classes", "teacher_channels", "seed"),
        parts=("batch", "pixel", "region"),
        settings={
            "temperature": _temperature(0.1, _CIRKD, _SIMILARITIES),
            "batch_weight": _weight(1.0, "batch", _CIRKD),
            **_MEMORY,
        },
    ),
}

"""The distillation losses: what each compares, where, and with which weight."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.resources import files
from typing import Literal

from segdistill.catalogue.settings import Setting
from segdistill.json_text import load_json

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
        weight: the authors' weight, translated to the house convention (a mean).
        widths: ``"equal"`` if both maps need the same number of channels, ``"any"`` otherwise.
        project: the projector with which the authors bring the student to the teacher's width.
        align: which map is resized if sizes differ: ``"teacher"``, ``"student"``, or ``"none"``
            if the module accepts maps of different sizes.
        uses_batch: the module cannot be called without a batch, because it reads the labels or
            images; the other modules accept one too, to leave out padding.
        uses_labels: it reads the labels of that batch.
        whole_batch: it depends on all images of the batch at once, so that the batch cannot be
            computed in parts.
        mean_over: what the loss is a mean over, by part if its parts differ: valid
            ``positions``, ``labelled`` ones, ``images`` with a valid position, images with a
            valid pair of ``neighbours``, or ``all`` images. The parts of an accumulated batch
            are weighted by it.
        settings: further keys of a config, in the order of the constructor.
        given: constructor parameters that the objective fills in, from among
            ``student_channels``, ``teacher_channels``, ``classes``, ``seed``, ``classifier``.
        beside: taps of the further maps that the method uses; the module takes them as pairs.
        parts: names of the parts if the module returns a dict of scalars, each multiplied by its
            own weight.
        prepares: the module has a stage before training, ``prepare``.
        prepares_with_labels: that stage reads labels.
        adversarial: the module has an ``adversary``, whose critic has its own optimiser.
        year: year of the paper, or of the code if there is no paper.
        licence: licence of the authors' code; ``none`` if it is public without one, empty if no
            code is known.
        gradients: ``"higher"`` if the loss is twice differentiable.
        bibtex: BibTeX entry of its paper, if ``reporting/references.bib`` has none.
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
    prepares_with_labels: bool = False
    adversarial: bool = False
    beside: tuple[str, ...] = ()
    year: int = 0
    licence: str = ""
    gradients: Literal["first", "higher"] = "first"


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
        f"weight of the part {part}, multiplied by the weight of the term",
        at_least=0.0,
        source=source,
    )


def _positive(default: float, help_: str, source: str) -> Setting:
    return Setting(float, default, help_, above=0.0, source=source)


_CIRKD = "Yang et al., CVPR 2022"
_SIMILARITIES = "similarities"
_MEMORY = {
    "pixel_weight": _weight(0.1, "pixel", f"{_CIRKD}; 0.01 on Pascal VOC"),
    "region_weight": _weight(0.1, "region", _CIRKD),
    "pixel_queue": Setting(
        int, 20000, "pixels remembered per class", at_least=1, unit="pixels", source=_CIRKD
    ),
    "region_queue": Setting(
        int,
        2000,
        "class means of single images remembered per class",
        at_least=1,
        unit="regions",
        source=_CIRKD,
    ),
    "pixels": Setting(
        int,
        16,
        "pixels per class that an image adds to the queue; at most pixel_queue",
        at_least=1,
        unit="pixels",
        source=_CIRKD,
    ),
    "pixel_contrasts": Setting(
        int,
        4096,
        "remembered pixels used per step, spread evenly over the classes",
        at_least=1,
        unit="pixels",
        source=_CIRKD,
    ),
    "region_contrasts": Setting(
        int,
        1024,
        "remembered regions used per step, spread evenly over the classes",
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
        about="Match the class distribution of every pixel (classic knowledge distillation).",
        source="Hinton et al. 2015, arXiv:1503.02531; Liu et al. 2019, Eq. 1",
        year=2015,
        tap="logits",
        weight=1.0,
        settings={"temperature": _temperature(1.0, "Liu et al., CVPR 2019, Eq. 1")},
    ),
    "channelwise_kl": Loss(
        target="channelwise_kl:ChannelwiseKL",
        about="Match where each channel looks, as a distribution over positions (CWD).",
        source="Shu et al., ICCV 2021, arXiv:2011.13256",
        year=2021,
        licence="no LICENSE file found in it",
        tap="logits",
        weight=3.0,
        mean_over="images",
        settings={"temperature": _temperature(4.0, "Shu et al., ICCV 2021")},
    ),
    "decoupled_kl": Loss(
        target="decoupled_kl:DecoupledKL",
        about="Match the true class against the rest and, separately, the rest among itself (DKD).",
        source="Zhao et al., CVPR 2022, arXiv:2203.08679",
        year=2022,
        licence="MIT",
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
                "weight of the part that compares the true class with the rest",
                above=0.0,
                source="Zhao et al., CVPR 2022",
            ),
            "beta": Setting(
                float,
                8.0,
                "weight of the part that compares the other classes with each other",
                above=0.0,
                source="Zhao et al., CVPR 2022",
            ),
        },
    ),
    "hard_labels": Loss(
        target="hard_labels:HardLabels",
        about="Learn the teacher's class at every pixel: a control, with training.task.weight 0.",
        source="Lee, ICML 2013 workshop (Pseudo-Label)",
        year=2013,
        gradients="higher",
        tap="logits",
        weight=1.0,
        bibtex=_PSEUDO_LABEL,
    ),
    "correlation": Loss(
        target="correlation:Correlation",
        about="Match the correlation of probabilities over classes and over pixels (DIST).",
        source="Huang et al., NeurIPS 2022, arXiv:2205.10536",
        year=2022,
        licence="Apache-2.0",
        tap="logits",
        weight=1.0,
        whole_batch=True,
        settings={"temperature": _temperature(1.0, "Huang et al., NeurIPS 2022")},
    ),
    "holistic": Loss(
        target="holistic:Holistic",
        about="Fool a critic that tells student maps from teacher maps, given the image (SKD).",
        source="Liu et al., CVPR 2019, Eq. 3",
        year=2019,
        licence="BSD-2-Clause",
        gradients="higher",
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
                "width of the critic's first layer; each of the next three doubles it",
                at_least=2,
                unit="channels",
                source="irfanICMLL/structure_knowledge_distillation",
            ),
            "bound_last": Setting(
                bool, False, "apply spectral normalisation to the last layer too"
            ),
            "softmax": Setting(
                bool,
                False,
                "give the critic class probabilities instead of logits",
                source='Liu et al., CVPR 2019, Sec. 2: "real valued"',
            ),
            "hinge": Setting(
                bool,
                False,
                "train the critic with the hinge loss and no penalty, as in winycg/CIRKD",
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
                "optimiser of the critic; SKD's code uses sgd",
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
                "betas of the critic if its optimizer is adam",
                at_least=0.0,
                below=1.0,
                source="YukangWang/IFVD, winycg/CIRKD",
            ),
            "momentum": Setting(
                float,
                0.9,
                "momentum of the critic if its optimizer is sgd",
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
                "use the student's learning-rate schedule for the critic, as SKD and IFVD do",
            ),
        },
    ),
    "feature_mse": Loss(
        target="feature_mse:FeatureMSE",
        about="Match every value of the feature map (FitNet, MIMIC).",
        source="Romero et al., ICLR 2015",
        year=2015,
        gradients="higher",
        tap="backbone",
        weight=100.0,
        project="linear",
    ),
    "feature_mse_terms": Loss(
        target="feature_mse_terms:FeatureMSETerms",
        about="Match every value of the feature map, and log both norms and the inner product.",
        source="Liu et al., WACV 2024, Eq. 3",
        year=2024,
        gradients="higher",
        tap="backbone",
        weight=100.0,
        project="linear",
        parts=("teacher", "student", "product"),
    ),
    "magnitude": Loss(
        target="magnitude:Magnitude",
        about="Match only the norm of the feature map (MD, a diagnostic).",
        source="Liu et al., WACV 2024, Eq. 4",
        year=2024,
        tap="backbone",
        weight=1.0,
        mean_over="images",
        project="conv_bn_relu",
    ),
    "layer_angular": Loss(
        target="layer_angular:LayerAngular",
        about="Match the direction of the whole feature map as one vector (LAD).",
        source="Liu et al., WACV 2024, Eq. 5",
        year=2024,
        tap="backbone",
        weight=10.0,
        mean_over="images",
        project="conv_bn_relu",
    ),
    "channel_angular": Loss(
        target="channel_angular:ChannelAngular",
        about="Match the direction of each channel over positions (CAD).",
        source="Liu et al., WACV 2024, Eq. 7",
        year=2024,
        tap="backbone",
        weight=10.0,
        mean_over="images",
        project="conv_bn_relu",
    ),
    "point_angular": Loss(
        target="point_angular:PointAngular",
        about="Match the direction of each position over channels (PAD).",
        source="Liu et al., WACV 2024, Eq. 8",
        year=2024,
        tap="backbone",
        weight=10.0,
        project="conv_bn_relu",
    ),
    "attention": Loss(
        target="attention:Attention",
        about="Match where the feature map is active, summed over channels (AT).",
        source="Zagoruyko and Komodakis, ICLR 2017, arXiv:1612.03928",
        year=2017,
        tap="backbone",
        weight=1000.0,
        widths="any",
    ),
    "masked_generation": Loss(
        target="masked_generation:MaskedGeneration",
        about="Generate the teacher's feature map from the masked student's (MGD).",
        source="Yang et al., ECCV 2022, arXiv:2205.01529",
        year=2022,
        licence="no LICENSE file found in it",
        gradients="higher",
        tap="head",
        weight=41.9,
        given=("student_channels", "teacher_channels", "seed"),
        settings={
            "drop": Setting(
                float,
                0.75,
                "share of the student's positions that are masked before generation",
                at_least=0.0,
                below=1.0,
                source="Yang et al., ECCV 2022",
            ),
        },
    ),
    "knowledge_adaptation": Loss(
        target="knowledge_adaptation:KnowledgeAdaptation",
        about="Match the teacher's features as encoded by an autoencoder (KA).",
        source="He et al., CVPR 2019",
        year=2019,
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
        about="Match the similarity of any two positions, row by row (KA without autoencoder).",
        source="He et al., CVPR 2019, Eqs. 3 and 4, and Table 1",
        year=2019,
        tap="head",
        weight=1.0,
        mean_over="images",
        widths="any",
    ),
    "pairwise_similarity": Loss(
        target="pairwise_similarity:PairwiseSimilarity",
        about="Match the similarity of any two positions of an image (SKD).",
        source="Liu et al., CVPR 2019, Eq. 2",
        year=2019,
        licence="BSD-2-Clause",
        tap="head",
        weight=10.0,
        mean_over="images",
        widths="any",
        settings={
            "pool": Setting(
                int | tuple[int, int],
                1,
                "side, or height and width, of the max-pooling cells before positions are "
                "compared; 1 compares every position",
                at_least=1,
                unit="positions",
            ),
        },
    ),
    "local_similarity": Loss(
        target="local_similarity:LocalSimilarity",
        about="Match the similarity of each position to its eight neighbours (LOCAL).",
        source="Xie et al., BMVC 2018, arXiv:1810.08476",
        year=2018,
        tap="head",
        weight=1.0,
        mean_over="neighbours",
        widths="any",
    ),
    "intra_class_variation": Loss(
        target="intra_class_variation:IntraClassVariation",
        about="Match the similarity of each pixel to the mean of its class (IFVD).",
        source="Wang et al., ECCV 2020",
        year=2020,
        licence="no LICENSE file found in it",
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
        about="Match the similarities of pixels across all images of the batch (CIRKD).",
        source="Yang et al., CVPR 2022, Eqs. 3 and 4",
        year=2022,
        licence="none",
        tap="head",
        weight=1.0,
        widths="any",
        project="mlp",
        whole_batch=True,
        settings={"temperature": _temperature(0.1, _CIRKD, _SIMILARITIES)},
    ),
    "memory_relations": Loss(
        target="memory_relations:MemoryRelations",
        about="Match the similarities of pixels to pixels and regions of earlier images (CIRKD).",
        source="Yang et al., CVPR 2022, Eqs. 5 to 8",
        year=2022,
        licence="none",
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
        about="Batch and memory relations of the same embeddings (complete CIRKD).",
        source="Yang et al., CVPR 2022, Eq. 9",
        year=2022,
        licence="none",
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
    "grouped_decoupled_kl": Loss(
        target="grouped_decoupled_kl:GroupedDecoupledKL",
        about="Match the likeliest classes, the others, and one group against the other (GDKD).",
        source="ZaberKo/seg-gdkd",
        year=2024,
        licence="that of the repository; not examined",
        tap="logits",
        weight=1.0,
        settings={
            "top": Setting(
                int,
                3,
                "number of top classes in the first group; 5 in some published runs",
                at_least=1,
                unit="classes",
                source="ZaberKo/seg-gdkd",
            ),
            "temperature": _temperature(1.0, "ZaberKo/seg-gdkd"),
            "between": _positive(1.0, "weight of one group against the other", "ZaberKo/seg-gdkd"),
            "inside": _positive(1.0, "weight within the group of top classes", "ZaberKo/seg-gdkd"),
            "others": _positive(2.0, "weight within the other group", "ZaberKo/seg-gdkd"),
        },
    ),
    "adaptive_cross_entropy": Loss(
        target="adaptive_cross_entropy:AdaptiveCrossEntropy",
        about="Learn the teacher's probabilities where it is right, and the label elsewhere (ACE).",
        source="Park and Heo, Sensors 2020",
        year=2020,
        tap="logits",
        weight=1.0,
        mean_over="labelled",
        uses_batch=True,
        uses_labels=True,
        settings={"temperature": _temperature(1.0, "")},
    ),
    "boundary": Loss(
        target="boundary:Boundary",
        about="Match the edges and the bodies of classes separately (BPKD).",
        source="Liu et al., WACV 2024, arXiv:2306.08075",
        year=2024,
        licence="no training code; evaluation code for academic use",
        tap="logits",
        weight=1.0,
        uses_batch=True,
        uses_labels=True,
        whole_batch=True,
        parts=("edge", "body"),
        settings={
            "edge_weight": _weight(100.0, "edge", "a third party's code, 50 times 2"),
            "body_weight": _weight(20.0, "body", "a third party's code"),
            "temperature": _temperature(4.0, "a third party's code"),
            "window": Setting(
                int,
                7,
                "side of the window for finding edges; odd",
                at_least=1,
                unit="pixels",
                source="a third party's code",
            ),
        },
    ),
    "mask_tokens": Loss(
        target="mask_tokens:MaskTokens",
        about="Match logits within masks that learned tokens find in the teacher's map (MasKD).",
        source="Huang et al., ICLR 2023",
        year=2023,
        licence="Apache-2.0",
        tap="logits",
        weight=1.0,
        mean_over="images",
        given=("teacher_channels", "seed"),
        prepares=True,
        prepares_with_labels=True,
        settings={
            "tokens": Setting(
                int,
                8,
                "number of learned tokens, each with its own mask",
                at_least=1,
                unit="tokens",
                source="hunto/MasKD",
            ),
        },
    ),
    "double_similarity": Loss(
        target="double_similarity:DoubleSimilarity",
        about="Match the change of attention between layers and class similarities (DSD).",
        source="Feng et al., IEEE TIP 2021, arXiv:2107.08591",
        year=2021,
        tap="logits",
        beside=("backbone", "head"),
        weight=1.0,
        mean_over="images",
        parts=("pixel", "category"),
        settings={
            "pixel_weight": _weight(1.0, "pixel", ""),
            "category_weight": _weight(1.0, "category", ""),
            "temperature": _temperature(1.0, "", "classes of the part category"),
            "every_pair": Setting(
                bool, False, "compare every pair of layers, as in winycg/CIRKD, not only neighbours"
            ),
            "spatial": Setting(
                bool, False, "compare classes by their positions, pooled by 2, as in winycg/CIRKD"
            ),
        },
    ),
    "feature_augmentation": Loss(
        target="feature_augmentation:FeatureAugmentation",
        about="Match logits under class-wise augmentation of the student's features (FAKD).",
        source="Yuan et al., WACV 2024, arXiv:2208.14143",
        year=2024,
        tap="logits",
        beside=("head",),
        weight=3.0,
        uses_batch=True,
        uses_labels=True,
        whole_batch=True,
        given=("classifier",),
        settings={
            "strength": _positive(0.5, "full strength of the augmentation", ""),
            "ramp": Setting(
                int,
                0,
                "steps over which the strength rises from 0; 0: full strength at once",
                at_least=0,
                unit="steps",
            ),
            "temperature": _temperature(4.0, "Shu et al., ICCV 2021"),
            "channelwise": Setting(
                bool, True, "compare with channelwise_kl; false: with pixelwise_kl"
            ),
        },
    ),
    "inter_class_distance": Loss(
        target="inter_class_distance:InterClassDistance",
        about="Match the distances between class means within an image (IDD).",
        source="Zhang et al., IJCAI 2022, arXiv:2205.03650",
        year=2022,
        tap="head",
        weight=1.0,
        mean_over="images",
        widths="any",
        uses_batch=True,
        uses_labels=True,
        given=("classes",),
    ),
    "position_prediction": Loss(
        target="position_prediction:PositionPrediction",
        about="Match the position that features predict for themselves (second term of IDD).",
        source="Zhang et al., IJCAI 2022, arXiv:2205.03650",
        year=2022,
        gradients="higher",
        tap="head",
        weight=1.0,
        widths="any",
        given=("student_channels", "teacher_channels"),
    ),
    "perspective": Loss(
        target="perspective:Perspective",
        about="Match the similarities of positions to the class means of the batch (APD).",
        source="Tian et al., IEEE TPAMI 2023",
        year=2023,
        licence="none",
        tap="head",
        weight=1.0,
        project="linear",
        uses_batch=True,
        uses_labels=True,
        whole_batch=True,
        given=("teacher_channels", "classes"),
        parts=("map", "mean", "adapter"),
        settings={
            "map_weight": _weight(0.53, "map", "dvlab-research/APD, 10 over 19 classes"),
            "mean_weight": _weight(0.5, "mean", "dvlab-research/APD"),
            "scale": _positive(10.0, "factor of the cosines", "dvlab-research/APD"),
        },
    ),
    "channel_spatial_correlation": Loss(
        target="channel_spatial_correlation:ChannelSpatialCorrelation",
        about="Match the similarities of any two channels and any two positions (CSC).",
        source="Park and Heo, Sensors 2020",
        year=2020,
        tap="head",
        weight=1.0,
        mean_over="images",
        project="linear",
        parts=("channel", "spatial"),
        settings={
            "channel_weight": _weight(1.0, "channel", ""),
            "spatial_weight": _weight(1.0, "spatial", ""),
            "pool": Setting(
                int,
                1,
                "side of the max-pooling cells before positions are compared",
                at_least=1,
                unit="positions",
            ),
        },
    ),
    "texture": Loss(
        target="texture:Texture",
        about="Match the texture of an early layer: pyramid bands and a histogram (SSTKD).",
        source="Ji et al., CVPR 2022, arXiv:2305.03944",
        year=2022,
        tap="backbone",
        weight=1.0,
        mean_over="images",
        project="linear",
        parts=("structure", "statistics"),
        settings={
            "structure_weight": _weight(0.9, "structure", "recalled from the paper, not verified"),
            "statistics_weight": _weight(
                1.15, "statistics", "recalled from the paper, not verified"
            ),
            "levels": Setting(int, 3, "number of pyramid bands", at_least=1, unit="levels"),
            "bins": Setting(
                int, 8, "number of quantisation levels of the cosines", at_least=2, unit="levels"
            ),
        },
    ),
    "channel_relations": Loss(
        target="channel_relations:ChannelRelations",
        about="Match the similarities of channels across all images of the batch (CIRKDv2).",
        source="winycg/CIRKD, 2025",
        year=2025,
        licence="none",
        tap="head",
        weight=1.0,
        project="mlp",
        whole_batch=True,
        settings={
            "pool": Setting(
                int,
                4,
                "side of the average-pooling cells",
                at_least=1,
                unit="positions",
                source="winycg/CIRKD",
            ),
            "temperature": _temperature(0.1, "winycg/CIRKD", _SIMILARITIES),
        },
    ),
    "channel_memory": Loss(
        target="channel_memory:ChannelMemory",
        about="Match the similarities of channels to channels of earlier images (CIRKDv2).",
        source="winycg/CIRKD, 2025",
        year=2025,
        licence="none",
        tap="head",
        weight=0.1,
        project="mlp",
        whole_batch=True,
        given=("seed",),
        settings={
            "temperature": _temperature(0.1, "winycg/CIRKD", _SIMILARITIES),
            "grid": Setting(
                tuple[int, int],
                (16, 32),
                "rows and columns to which a channel is pooled before it is remembered",
                at_least=1,
                unit="cells",
                source="512x1024 at stride 8, pooled by 4",
            ),
            "queue": Setting(
                int,
                10000,
                "number of channels remembered",
                at_least=1,
                unit="channels",
                source="winycg/CIRKD",
            ),
            "pushed": Setting(
                int,
                256,
                "channels per batch that are added to the queue; at most queue",
                at_least=1,
                unit="channels",
                source="winycg/CIRKD",
            ),
            "contrasts": Setting(
                int,
                2048,
                "remembered channels used per step; at most queue",
                at_least=1,
                unit="channels",
                source="winycg/CIRKD",
            ),
        },
    ),
    "contrast_groups": Loss(
        target="contrast_groups:ContrastGroups",
        about="Generate the teacher's map, with contrast between groups of channels (Af-DCD).",
        source="Fan et al., NeurIPS 2023",
        year=2023,
        licence="Apache-2.0",
        tap="backbone",
        weight=1.0,
        mean_over={"feature": "positions", "contrast": "images"},
        given=("student_channels", "teacher_channels", "seed"),
        parts=("feature", "contrast"),
        settings={
            "feature_weight": _weight(33.6, "feature", "OSVAI/Af-DCD, 2e-6 of a sum"),
            "contrast_weight": _weight(0.08, "contrast", "OSVAI/Af-DCD, 0.005 of 16 groups"),
            "drop": Setting(
                float,
                0.75,
                "share of the student's positions that are masked before generation",
                at_least=0.0,
                below=1.0,
                source="OSVAI/Af-DCD",
            ),
            "groups": Setting(
                int,
                16,
                "number of groups; must divide the teacher's channels",
                at_least=1,
                unit="groups",
                source="OSVAI/Af-DCD",
            ),
            "patch": Setting(
                int,
                4,
                "side of the patches within which groups are contrasted",
                at_least=1,
                unit="positions",
                source="OSVAI/Af-DCD",
            ),
            "pool": Setting(
                int,
                4,
                "side of the max-pooling cells at the start; 1 on CamVid",
                at_least=1,
                unit="positions",
                source="OSVAI/Af-DCD",
            ),
            "temperature": _temperature(0.07, "OSVAI/Af-DCD", "distances"),
        },
    ),
    "cross_attention": Loss(
        target="cross_attention:CrossAttention",
        about="Match the student's map after cross-attention to the teacher's (CanKD).",
        source="CanKD, WACV 2026, arXiv:2511.21503",
        year=2026,
        licence="Apache-2.0",
        gradients="higher",
        tap="backbone",
        weight=10.0,
        given=("student_channels", "teacher_channels"),
        settings={
            "reduction": Setting(
                int,
                2,
                "factor by which the attention layers are narrower than the teacher",
                at_least=1,
                source="tori-hotaru/CanKD",
            ),
        },
    ),
    "frequency": Loss(
        target="frequency:Frequency",
        about="Match the high wavelet bands within masks of learned prompts (FreeKD).",
        source="Zhang et al., CVPR 2024, arXiv:2311.12079",
        year=2024,
        licence="Apache-2.0",
        tap="head",
        weight=1.0,
        mean_over="images",
        project="linear",
        given=("teacher_channels", "classes", "seed"),
        prepares=True,
        prepares_with_labels=True,
        settings={
            "tokens": Setting(
                int,
                6,
                "number of learned prompts of each level, each with its own mask",
                at_least=1,
                unit="prompts",
                source="Gumpest/FreeKD",
            ),
            "levels": Setting(
                int,
                3,
                "number of levels of the wavelet transform",
                at_least=1,
                unit="levels",
                source="Gumpest/FreeKD",
            ),
            "low": Setting(
                bool, False, "compare the low band too, which Gumpest/FreeKD leaves out"
            ),
        },
    ),
    "diffusion": Loss(
        target="diffusion:Diffusion",
        about="Match the student's map, denoised by a diffusion model of the teacher's (DiffKD).",
        source="Huang et al., NeurIPS 2023, arXiv:2305.15712",
        year=2023,
        licence="Apache-2.0",
        gradients="higher",
        tap="head",
        weight=1.0,
        given=("student_channels", "teacher_channels", "seed"),
        parts=("match", "noise", "code"),
        settings={
            "match_weight": _weight(1.0, "match", "hunto/DiffKD"),
            "noise_weight": _weight(1.0, "noise", "hunto/DiffKD"),
            "code_weight": _weight(1.0, "code", "hunto/DiffKD"),
            "reduction": Setting(
                int,
                2,
                "factor by which the teacher's code is narrower than its map",
                at_least=1,
                source="hunto/DiffKD",
            ),
            "steps": Setting(
                int,
                5,
                "steps of denoising",
                at_least=1,
                at_most=500,
                unit="steps",
                source="hunto/DiffKD",
            ),
        },
    ),
}

OWN = "import:"
"""Prefix of the name of a user's own loss."""

_OF_ANYBODY = Loss(
    target="own:OwnLoss",
    about="A loss of your own: import:package.module:loss, its settings beside tap and weight.",
    source="",
    tap="logits",
    weight=1.0,
    widths="any",
    uses_batch=True,
    uses_labels=True,
    whole_batch=True,
    beside=("backbone",),
    given=("classifier",),
)
# Nothing is known about it before it is imported, so everything it may ask for is provided, and
# what it may not support (a batch in parts, images without labels) is refused.


def row_of(name: str) -> Loss:
    """Return the row of a loss by its name in a config, which may be a user's own loss."""
    return _OF_ANYBODY if name.startswith(OWN) else LOSSES[name]


def needs(row: Loss) -> list[str]:
    """Describe what a loss needs besides two maps."""
    listed = [
        (row.uses_labels or row.prepares_with_labels, "labels"),
        (row.uses_batch and not row.uses_labels, "images"),
        (row.whole_batch, "the whole batch"),
        (bool(row.beside), f"maps at {', '.join(row.beside)}"),
        ("classifier" in row.given, "a linear classifier"),
        (row.prepares, "a stage before training"),
        (row.adversarial, "a critic"),
    ]
    return [words for true, words in listed if true]


def costs() -> dict[str, dict[str, float]]:
    """Return milliseconds (``ms``) and memory (``mib``) by loss, from ``bench_loss_costs.py``.

    Forward and backward on one thread, at maps of 2 images of 64×128 positions: logits of 19
    classes, or features of 512 channels.
    """
    file = files("segdistill") / "catalogue" / "loss_costs.json"
    measured: dict[str, dict[str, float]] = load_json(file.read_text(encoding="utf-8"))
    return measured


def cost_in_words(name: str) -> str:
    """Describe what a loss costs on the standard maps; empty if it was not measured."""
    cost = costs().get(name)
    if cost is None:
        return ""
    width = "19 classes" if LOSSES[name].tap == "logits" else "512 channels"
    return f"{cost['ms']:.0f} ms and {cost['mib']:.0f} MiB at 2 images of {width} x 64 x 128"


def licence_in_words(row: Loss) -> str:
    """Return the licence of the authors' code, none of which is copied here."""
    return {"": "no code of the authors is known", "none": "public without a licence"}.get(
        row.licence, row.licence
    )

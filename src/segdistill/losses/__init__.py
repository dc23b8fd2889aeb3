"""Distillation losses: what one student map owes to one teacher map.

``LOSSES`` is the table that configs, lists, documentation and tests read.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from segdistill.tables import lazy_attributes

if TYPE_CHECKING:
    from segdistill.losses.adapted import adaptation as adaptation
    from segdistill.losses.adapted import affinity as affinity
    from segdistill.losses.align import Projector as Projector
    from segdistill.losses.align import resize_like as resize_like
    from segdistill.losses.angular import ChannelAngular as ChannelAngular
    from segdistill.losses.angular import LayerAngular as LayerAngular
    from segdistill.losses.angular import PointAngular as PointAngular
    from segdistill.losses.angular import channel_angular as channel_angular
    from segdistill.losses.angular import layer_angular as layer_angular
    from segdistill.losses.angular import point_angular as point_angular
    from segdistill.losses.attention_transfer import Attention as Attention
    from segdistill.losses.attention_transfer import attention as attention
    from segdistill.losses.autoencoder import Autoencoder as Autoencoder
    from segdistill.losses.autoencoder import autoencoder_loss as autoencoder_loss
    from segdistill.losses.channelwise import ChannelwiseKL as ChannelwiseKL
    from segdistill.losses.channelwise import channelwise_kl as channelwise_kl
    from segdistill.losses.critic import Critic as Critic
    from segdistill.losses.cross_image import CrossImageRelations as CrossImageRelations
    from segdistill.losses.decoupled import DecoupledKL as DecoupledKL
    from segdistill.losses.decoupled import decoupled_kl as decoupled_kl
    from segdistill.losses.feature_terms import FeatureMSETerms as FeatureMSETerms
    from segdistill.losses.feature_terms import feature_mse_terms as feature_mse_terms
    from segdistill.losses.holistic import Adversary as Adversary
    from segdistill.losses.holistic import Holistic as Holistic
    from segdistill.losses.holistic import critic_loss as critic_loss
    from segdistill.losses.holistic import generator_loss as generator_loss
    from segdistill.losses.holistic import hinge_critic_loss as hinge_critic_loss
    from segdistill.losses.intra_class import IntraClassVariation as IntraClassVariation
    from segdistill.losses.intra_class import intra_class_variation as intra_class_variation
    from segdistill.losses.knowledge_adaptation import KnowledgeAdaptation as KnowledgeAdaptation
    from segdistill.losses.lengths import Magnitude as Magnitude
    from segdistill.losses.lengths import magnitude as magnitude
    from segdistill.losses.local import LocalSimilarity as LocalSimilarity
    from segdistill.losses.local import local_similarity as local_similarity
    from segdistill.losses.masked_generation import MaskedGeneration as MaskedGeneration
    from segdistill.losses.memory import PixelMemory as PixelMemory
    from segdistill.losses.memory import RegionMemory as RegionMemory
    from segdistill.losses.mimic import FeatureMSE as FeatureMSE
    from segdistill.losses.mimic import feature_mse as feature_mse
    from segdistill.losses.pairwise import PairwiseSimilarity as PairwiseSimilarity
    from segdistill.losses.pairwise import pairwise_similarity as pairwise_similarity
    from segdistill.losses.pearson import Correlation as Correlation
    from segdistill.losses.pearson import correlation as correlation
    from segdistill.losses.pixelwise import PixelwiseKL as PixelwiseKL
    from segdistill.losses.pixelwise import pixelwise_kl as pixelwise_kl
    from segdistill.losses.positions import resize_labels as resize_labels
    from segdistill.losses.positions import resize_valid as resize_valid
    from segdistill.losses.relations_batch import BatchRelations as BatchRelations
    from segdistill.losses.relations_batch import batch_relations as batch_relations
    from segdistill.losses.relations_memory import MemoryRelations as MemoryRelations
    from segdistill.losses.relations_memory import memory_relations as memory_relations


@dataclass(frozen=True)
class Loss:
    """One row of ``LOSSES``.

    Attributes:
        target: ``"module:class"`` of the loss module; its parameters are the settings.
        about: one sentence for lists and documentation.
        source: paper.
        tap: the map that the method's authors compare: ``logits``, ``head`` or ``backbone``.
        weight: the authors' weight on the house convention (a mean).
        widths: ``"equal"`` where both maps need the same channels, ``"any"`` otherwise.
        project: how the method's authors bring the student to the teacher's width.
        align: which map is resized where sizes differ: ``"teacher"``, ``"student"``, or
            ``"none"`` where the module takes maps of different sizes as they are.
        uses_batch: the module is called as ``loss(student, teacher, batch)``.
        uses_labels: it reads the labels of that batch.
        given: constructor parameters that the objective fills in, out of
            ``student_channels``, ``teacher_channels``, ``classes``.
        parts: names of the parts where the module returns a dict of scalars, each times its
            own weight.
        prepares: the module has a stage before training, ``prepare``.
        adversarial: the module has an ``adversary``, whose critic has its own optimiser.
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
    given: tuple[str, ...] = ()
    parts: tuple[str, ...] = ()
    prepares: bool = False
    adversarial: bool = False


LOSSES: dict[str, Loss] = {
    "pixelwise_kl": Loss(
        target="pixelwise:PixelwiseKL",
        about="Match the class distribution of every pixel (the original distillation).",
        source="Hinton et al. 2015, arXiv:1503.02531; Liu et al. 2019, Eq. 1",
        tap="logits",
        weight=1.0,
        uses_batch=True,
    ),
    "channelwise_kl": Loss(
        target="channelwise:ChannelwiseKL",
        about="Match where each channel looks, as a distribution over positions (CWD).",
        source="Shu et al., ICCV 2021, arXiv:2011.13256",
        tap="logits",
        weight=3.0,
    ),
    "decoupled_kl": Loss(
        target="decoupled:DecoupledKL",
        about="Match the true class against the rest, and apart the rest among itself (DKD).",
        source="Zhao et al., CVPR 2022, arXiv:2203.08679",
        tap="logits",
        weight=1.0,
        uses_batch=True,
        uses_labels=True,
    ),
    "correlation": Loss(
        target="pearson:Correlation",
        about="Match the correlation of probabilities over classes and over pixels (DIST).",
        source="Huang et al., NeurIPS 2022, arXiv:2205.10536",
        tap="logits",
        weight=1.0,
    ),
    "holistic": Loss(
        target="holistic:Holistic",
        about="Let a critic that sees the image tell student maps from teacher maps (SKD).",
        source="Liu et al., CVPR 2019, Eq. 3",
        tap="logits",
        weight=0.1,
        uses_batch=True,
        given=("classes",),
        adversarial=True,
    ),
    "feature_mse": Loss(
        target="mimic:FeatureMSE",
        about="Match every value of the feature map (FitNet, MIMIC).",
        source="Romero et al., ICLR 2015",
        tap="backbone",
        weight=100.0,
        project="linear",
    ),
    "feature_mse_terms": Loss(
        target="feature_terms:FeatureMSETerms",
        about="Match every value of the feature map, and log both lengths and their angle.",
        source="Liu et al., WACV 2024, Eq. 3",
        tap="backbone",
        weight=100.0,
        project="linear",
        parts=("teacher", "student", "product"),
    ),
    "magnitude": Loss(
        target="lengths:Magnitude",
        about="Match the length of the feature map and nothing else (MD, a diagnostic).",
        source="Liu et al., WACV 2024, Eq. 4",
        tap="backbone",
        weight=1.0,
        project="conv_bn_relu",
    ),
    "layer_angular": Loss(
        target="angular:LayerAngular",
        about="Match the direction of the whole feature map as one vector (LAD).",
        source="Liu et al., WACV 2024, Eq. 5",
        tap="backbone",
        weight=10.0,
        project="conv_bn_relu",
    ),
    "channel_angular": Loss(
        target="angular:ChannelAngular",
        about="Match the direction of each channel over positions (CAD).",
        source="Liu et al., WACV 2024, Eq. 7",
        tap="backbone",
        weight=10.0,
        project="conv_bn_relu",
    ),
    "point_angular": Loss(
        target="angular:PointAngular",
        about="Match the direction of each position over channels (PAD).",
        source="Liu et al., WACV 2024, Eq. 8",
        tap="backbone",
        weight=10.0,
        project="conv_bn_relu",
    ),
    "attention": Loss(
        target="attention_transfer:Attention",
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
        given=("student_channels", "teacher_channels"),
    ),
    "knowledge_adaptation": Loss(
        target="knowledge_adaptation:KnowledgeAdaptation",
        about="Match the teacher's features as an autoencoder encodes them (KA).",
        source="He et al., CVPR 2019",
        tap="head",
        weight=1.0,
        align="none",
        given=("student_channels", "teacher_channels"),
        parts=("adapt", "affinity"),
        prepares=True,
    ),
    "pairwise_similarity": Loss(
        target="pairwise:PairwiseSimilarity",
        about="Match how alike any two positions of an image are (SKD).",
        source="Liu et al., CVPR 2019, Eq. 2",
        tap="head",
        weight=10.0,
        widths="any",
        uses_batch=True,
    ),
    "local_similarity": Loss(
        target="local:LocalSimilarity",
        about="Match how alike each position and its eight neighbours are (LOCAL).",
        source="Xie et al., BMVC 2018, arXiv:1810.08476",
        tap="head",
        weight=1.0,
        widths="any",
    ),
    "intra_class_variation": Loss(
        target="intra_class:IntraClassVariation",
        about="Match how far each pixel strays from the mean of its class (IFVD).",
        source="Wang et al., ECCV 2020",
        tap="head",
        weight=50.0,
        widths="any",
        uses_batch=True,
        uses_labels=True,
        given=("classes",),
    ),
    "batch_relations": Loss(
        target="relations_batch:BatchRelations",
        about="Match how pixels relate to those of all images of the batch (CIRKD).",
        source="Yang et al., CVPR 2022, Eqs. 3 and 4",
        tap="head",
        weight=1.0,
        widths="any",
        project="mlp",
    ),
    "memory_relations": Loss(
        target="relations_memory:MemoryRelations",
        about="Match how pixels relate to pixels and regions of earlier images (CIRKD).",
        source="Yang et al., CVPR 2022, Eqs. 5 to 8",
        tap="head",
        weight=1.0,
        project="mlp",
        uses_batch=True,
        uses_labels=True,
        given=("classes", "teacher_channels"),
        parts=("pixel", "region"),
    ),
    "cross_image_relations": Loss(
        target="cross_image:CrossImageRelations",
        about="Batch and memory relations of the same embeddings (CIRKD whole).",
        source="Yang et al., CVPR 2022, Eq. 9",
        tap="head",
        weight=1.0,
        project="mlp",
        uses_batch=True,
        uses_labels=True,
        given=("classes", "teacher_channels"),
        parts=("batch", "pixel", "region"),
    ),
}

_MODULES = {
    "adaptation": "adapted",
    "affinity": "adapted",
    "Projector": "align",
    "resize_like": "align",
    "ChannelAngular": "angular",
    "LayerAngular": "angular",
    "PointAngular": "angular",
    "channel_angular": "angular",
    "layer_angular": "angular",
    "point_angular": "angular",
    "Attention": "attention_transfer",
    "attention": "attention_transfer",
    "Autoencoder": "autoencoder",
    "autoencoder_loss": "autoencoder",
    "BatchRelations": "relations_batch",
    "batch_relations": "relations_batch",
    "ChannelwiseKL": "channelwise",
    "channelwise_kl": "channelwise",
    "Correlation": "pearson",
    "correlation": "pearson",
    "Critic": "critic",
    "CrossImageRelations": "cross_image",
    "DecoupledKL": "decoupled",
    "decoupled_kl": "decoupled",
    "FeatureMSETerms": "feature_terms",
    "feature_mse_terms": "feature_terms",
    "Adversary": "holistic",
    "Holistic": "holistic",
    "critic_loss": "holistic",
    "generator_loss": "holistic",
    "hinge_critic_loss": "holistic",
    "IntraClassVariation": "intra_class",
    "intra_class_variation": "intra_class",
    "KnowledgeAdaptation": "knowledge_adaptation",
    "LocalSimilarity": "local",
    "local_similarity": "local",
    "Magnitude": "lengths",
    "magnitude": "lengths",
    "MaskedGeneration": "masked_generation",
    "PixelMemory": "memory",
    "RegionMemory": "memory",
    "MemoryRelations": "relations_memory",
    "memory_relations": "relations_memory",
    "FeatureMSE": "mimic",
    "feature_mse": "mimic",
    "PairwiseSimilarity": "pairwise",
    "pairwise_similarity": "pairwise",
    "PixelwiseKL": "pixelwise",
    "pixelwise_kl": "pixelwise",
    "resize_labels": "positions",
    "resize_valid": "positions",
}

__all__ = ["LOSSES", "Loss", *_MODULES]

__getattr__ = lazy_attributes(__name__, _MODULES)

"""Distillation losses: how far one student map is from one teacher map."""

from segdistill.losses.adaptation import adaptation
from segdistill.losses.affinity import Affinity, affinity
from segdistill.losses.attention import Attention, attention
from segdistill.losses.batch_relations import BatchRelations, batch_relations
from segdistill.losses.channel_angular import ChannelAngular, channel_angular
from segdistill.losses.channelwise_kl import ChannelwiseKL, channelwise_kl
from segdistill.losses.correlation import Correlation, correlation
from segdistill.losses.cross_image_relations import CrossImageRelations
from segdistill.losses.decoupled_kl import DecoupledKL, decoupled_kl
from segdistill.losses.feature_mse import FeatureMSE, feature_mse
from segdistill.losses.feature_mse_terms import FeatureMSETerms, feature_mse_terms
from segdistill.losses.holistic import (
    Adversary,
    Holistic,
    critic_loss,
    generator_loss,
    hinge_critic_loss,
)
from segdistill.losses.intra_class_variation import IntraClassVariation, intra_class_variation
from segdistill.losses.knowledge_adaptation import KnowledgeAdaptation
from segdistill.losses.layer_angular import LayerAngular, layer_angular
from segdistill.losses.local_similarity import LocalSimilarity, local_similarity
from segdistill.losses.magnitude import Magnitude, magnitude
from segdistill.losses.masked_generation import MaskedGeneration
from segdistill.losses.maths.positions import resize_labels, resize_valid
from segdistill.losses.memory_relations import MemoryRelations, memory_relations
from segdistill.losses.modules.autoencoder import Autoencoder, autoencoder_loss
from segdistill.losses.modules.critic import Critic
from segdistill.losses.modules.memory import PixelMemory, RegionMemory
from segdistill.losses.modules.projector import Projector, resize_like
from segdistill.losses.pairwise_similarity import PairwiseSimilarity, pairwise_similarity
from segdistill.losses.pixelwise_kl import PixelwiseKL, pixelwise_kl
from segdistill.losses.point_angular import PointAngular, point_angular
from segdistill.losses.standardize_logits import standardize_logits
from segdistill.losses.upsampled_cross_entropy import upsampled_cross_entropy
from segdistill.losses.upsampled_kl import upsampled_kl

__all__ = [
    "Adversary",
    "Affinity",
    "Attention",
    "Autoencoder",
    "BatchRelations",
    "ChannelAngular",
    "ChannelwiseKL",
    "Correlation",
    "Critic",
    "CrossImageRelations",
    "DecoupledKL",
    "FeatureMSE",
    "FeatureMSETerms",
    "Holistic",
    "IntraClassVariation",
    "KnowledgeAdaptation",
    "LayerAngular",
    "LocalSimilarity",
    "Magnitude",
    "MaskedGeneration",
    "MemoryRelations",
    "PairwiseSimilarity",
    "PixelMemory",
    "PixelwiseKL",
    "PointAngular",
    "Projector",
    "RegionMemory",
    "adaptation",
    "affinity",
    "attention",
    "autoencoder_loss",
    "batch_relations",
    "channel_angular",
    "channelwise_kl",
    "correlation",
    "critic_loss",
    "decoupled_kl",
    "feature_mse",
    "feature_mse_terms",
    "generator_loss",
    "hinge_critic_loss",
    "intra_class_variation",
    "layer_angular",
    "local_similarity",
    "magnitude",
    "memory_relations",
    "pairwise_similarity",
    "pixelwise_kl",
    "point_angular",
    "resize_labels",
    "resize_like",
    "resize_valid",
    "standardize_logits",
    "upsampled_cross_entropy",
    "upsampled_kl",
]

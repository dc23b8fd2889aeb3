"""Distillation losses: how far one student map is from one teacher map."""

from segdistill.losses.adaptation import adaptation
from segdistill.losses.adaptive_cross_entropy import AdaptiveCrossEntropy, adaptive_cross_entropy
from segdistill.losses.affinity import Affinity, affinity
from segdistill.losses.attention import Attention, attention
from segdistill.losses.batch_relations import BatchRelations, batch_relations
from segdistill.losses.boundary import Boundary, boundary_edge, edge_masks
from segdistill.losses.channel_angular import ChannelAngular, channel_angular
from segdistill.losses.channel_memory import ChannelMemory
from segdistill.losses.channel_relations import ChannelRelations, channel_relations
from segdistill.losses.channel_spatial_correlation import (
    ChannelSpatialCorrelation,
    channel_similarity,
)
from segdistill.losses.channelwise_kl import ChannelwiseKL, channelwise_kl
from segdistill.losses.contrast_groups import ContrastGroups, contrast_groups
from segdistill.losses.correlation import Correlation, correlation
from segdistill.losses.cross_attention import CrossAttention
from segdistill.losses.cross_image_relations import CrossImageRelations
from segdistill.losses.decoupled_kl import DecoupledKL, decoupled_kl
from segdistill.losses.diffusion import Diffusion, denoise
from segdistill.losses.double_similarity import (
    DoubleSimilarity,
    category_similarity,
    pixel_similarity,
    spatial_category_similarity,
)
from segdistill.losses.feature_augmentation import FeatureAugmentation, augmented_logits
from segdistill.losses.feature_mse import FeatureMSE, feature_mse
from segdistill.losses.feature_mse_terms import FeatureMSETerms, feature_mse_terms
from segdistill.losses.frequency import Frequency, masked_wavelet_l1
from segdistill.losses.grouped_decoupled_kl import GroupedDecoupledKL, grouped_decoupled_kl
from segdistill.losses.hard_labels import HardLabels, hard_labels
from segdistill.losses.holistic import (
    Adversary,
    Holistic,
    critic_loss,
    generator_loss,
    hinge_critic_loss,
)
from segdistill.losses.inter_class_distance import InterClassDistance, inter_class_distance
from segdistill.losses.intra_class_variation import IntraClassVariation, intra_class_variation
from segdistill.losses.knowledge_adaptation import KnowledgeAdaptation
from segdistill.losses.layer_angular import LayerAngular, layer_angular
from segdistill.losses.local_similarity import LocalSimilarity, local_similarity
from segdistill.losses.magnitude import Magnitude, magnitude
from segdistill.losses.mask_tokens import MaskTokens, masked_mse
from segdistill.losses.masked_generation import MaskedGeneration
from segdistill.losses.maths.gather import gather_images, share_of_count
from segdistill.losses.maths.positions import resize_labels, resize_valid
from segdistill.losses.memory_relations import MemoryRelations, memory_relations
from segdistill.losses.modules.autoencoder import Autoencoder, autoencoder_loss
from segdistill.losses.modules.critic import Critic
from segdistill.losses.modules.memory import PixelMemory, RegionMemory
from segdistill.losses.modules.projector import Projector, resize_like
from segdistill.losses.pairwise_similarity import PairwiseSimilarity, pairwise_similarity
from segdistill.losses.perspective import Perspective, perspective
from segdistill.losses.pixelwise_kl import PixelwiseKL, pixelwise_kl
from segdistill.losses.point_angular import PointAngular, point_angular
from segdistill.losses.position_prediction import PositionPrediction
from segdistill.losses.standardize_logits import standardize_logits
from segdistill.losses.texture import Texture, statistical_texture, structural_texture
from segdistill.losses.upsampled_cross_entropy import upsampled_cross_entropy
from segdistill.losses.upsampled_kl import upsampled_kl

__all__ = [
    "AdaptiveCrossEntropy",
    "Adversary",
    "Affinity",
    "Attention",
    "Autoencoder",
    "BatchRelations",
    "Boundary",
    "ChannelAngular",
    "ChannelMemory",
    "ChannelRelations",
    "ChannelSpatialCorrelation",
    "ChannelwiseKL",
    "ContrastGroups",
    "Correlation",
    "Critic",
    "CrossAttention",
    "CrossImageRelations",
    "DecoupledKL",
    "Diffusion",
    "DoubleSimilarity",
    "FeatureAugmentation",
    "FeatureMSE",
    "FeatureMSETerms",
    "Frequency",
    "GroupedDecoupledKL",
    "HardLabels",
    "Holistic",
    "InterClassDistance",
    "IntraClassVariation",
    "KnowledgeAdaptation",
    "LayerAngular",
    "LocalSimilarity",
    "Magnitude",
    "MaskTokens",
    "MaskedGeneration",
    "MemoryRelations",
    "PairwiseSimilarity",
    "Perspective",
    "PixelMemory",
    "PixelwiseKL",
    "PointAngular",
    "PositionPrediction",
    "Projector",
    "RegionMemory",
    "Texture",
    "adaptation",
    "adaptive_cross_entropy",
    "affinity",
    "attention",
    "augmented_logits",
    "autoencoder_loss",
    "batch_relations",
    "boundary_edge",
    "category_similarity",
    "channel_angular",
    "channel_relations",
    "channel_similarity",
    "channelwise_kl",
    "contrast_groups",
    "correlation",
    "critic_loss",
    "decoupled_kl",
    "denoise",
    "edge_masks",
    "feature_mse",
    "feature_mse_terms",
    "gather_images",
    "generator_loss",
    "grouped_decoupled_kl",
    "hard_labels",
    "hinge_critic_loss",
    "inter_class_distance",
    "intra_class_variation",
    "layer_angular",
    "local_similarity",
    "magnitude",
    "masked_mse",
    "masked_wavelet_l1",
    "memory_relations",
    "pairwise_similarity",
    "perspective",
    "pixel_similarity",
    "pixelwise_kl",
    "point_angular",
    "resize_labels",
    "resize_like",
    "resize_valid",
    "share_of_count",
    "spatial_category_similarity",
    "standardize_logits",
    "statistical_texture",
    "structural_texture",
    "upsampled_cross_entropy",
    "upsampled_kl",
]

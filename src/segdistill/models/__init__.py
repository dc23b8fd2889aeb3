"""Networks: backbone and head, or anybody's own, each from images in [0, 1] to logits."""

from segdistill.models.backbone import Backbone, backbone_names
from segdistill.models.build import build_network
from segdistill.models.checkpoints.loading import load_weights
from segdistill.models.foreign.adaptation import Adaptation
from segdistill.models.foreign.adapter import Adapter
from segdistill.models.frozen import FrozenTeacher
from segdistill.models.segmenter import Segmenter
from segdistill.models.weights import read_config, save_network

__all__ = [
    "Adaptation",
    "Adapter",
    "Backbone",
    "FrozenTeacher",
    "Segmenter",
    "backbone_names",
    "build_network",
    "load_weights",
    "read_config",
    "save_network",
]

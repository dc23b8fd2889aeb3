"""Evaluation: what a network predicts on a dataset and how good it is.

``SCORES`` is the table that configs, lists, documentation and tests read. A row's target
is a function of the confusion matrix alone.
"""

from typing import TYPE_CHECKING

from segdistill.tables import Entry, lazy_attributes

if TYPE_CHECKING:
    from segdistill.evaluation.affinities import affinity_map as affinity_map
    from segdistill.evaluation.confusion import ConfusionMatrix as ConfusionMatrix
    from segdistill.evaluation.confusion import confusion_matrix as confusion_matrix
    from segdistill.evaluation.confusion import image_confusions as image_confusions
    from segdistill.evaluation.critic_scores import score_gaps as score_gaps
    from segdistill.evaluation.embeddings import neighbour_agreement as neighbour_agreement
    from segdistill.evaluation.embeddings import sample_pixels as sample_pixels
    from segdistill.evaluation.evaluator import Result as Result
    from segdistill.evaluation.evaluator import evaluate as evaluate
    from segdistill.evaluation.image_scores import image_miou as image_miou
    from segdistill.evaluation.image_scores import worst_and_best as worst_and_best
    from segdistill.evaluation.inference import predict as predict
    from segdistill.evaluation.inference import predict_logits as predict_logits
    from segdistill.evaluation.scores import Scores as Scores
    from segdistill.evaluation.scores import iou_by_class as iou_by_class
    from segdistill.evaluation.scores import score as score
    from segdistill.evaluation.softness import entropy as entropy
    from segdistill.evaluation.softness import entropy_counts as entropy_counts

SCORES: dict[str, Entry] = {
    "miou": Entry(
        "scores:miou",
        "Mean intersection over union, over the classes that truth or prediction contain.",
        given=("counts",),
    ),
    "miou_ground_truth_classes": Entry(
        "scores:miou_ground_truth_classes",
        "Mean intersection over union, over the classes that the truth contains.",
        given=("counts",),
    ),
    "pixel_accuracy": Entry(
        "scores:pixel_accuracy",
        "Share of the labelled pixels that are right.",
        given=("counts",),
    ),
    "mean_accuracy": Entry(
        "scores:mean_accuracy",
        "Share of right pixels within each class of the truth, mean over those classes.",
        given=("counts",),
    ),
    "frequency_weighted_iou": Entry(
        "scores:frequency_weighted_iou",
        "Intersection over union weighted by how frequent each class is in the truth.",
        given=("counts",),
    ),
}

_MODULES = {
    "affinity_map": "affinities",
    "ConfusionMatrix": "confusion",
    "confusion_matrix": "confusion",
    "image_confusions": "confusion",
    "score_gaps": "critic_scores",
    "neighbour_agreement": "embeddings",
    "sample_pixels": "embeddings",
    "Result": "evaluator",
    "evaluate": "evaluator",
    "image_miou": "image_scores",
    "worst_and_best": "image_scores",
    "predict": "inference",
    "predict_logits": "inference",
    "Scores": "scores",
    "iou_by_class": "scores",
    "score": "scores",
    "entropy": "softness",
    "entropy_counts": "softness",
}

__all__ = ["SCORES", *_MODULES]

__getattr__ = lazy_attributes(__name__, _MODULES)

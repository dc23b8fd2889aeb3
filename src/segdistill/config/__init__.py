"""Configs: YAML with overrides, checked into frozen records before anything is loaded.

A section that names something from a table (``loss``, ``network``, ``dataset``) takes that
row's settings beside its own keys.
"""

from segdistill.config.checking import Choice, Choices, check
from segdistill.config.sections import (
    DataConfig,
    EvaluationConfig,
    LossConfig,
    NamedSection,
    NetworkConfig,
    RunConfig,
    Section,
    TrainingConfig,
    Tree,
    UnlabelledConfig,
)
from segdistill.config.trees import cohort, merge, override, parse_tree, read_tree

__all__ = [
    "Choice",
    "Choices",
    "DataConfig",
    "EvaluationConfig",
    "LossConfig",
    "NamedSection",
    "NetworkConfig",
    "RunConfig",
    "Section",
    "TrainingConfig",
    "Tree",
    "UnlabelledConfig",
    "check",
    "cohort",
    "merge",
    "override",
    "parse_tree",
    "read_tree",
]

"""Configs: YAML with overrides, checked into frozen records before anything is loaded.

A section that names something from a table (``loss``, ``network``, ``dataset``) takes that
row's settings in addition to its own keys.
"""

from segdistill.config.checking import check
from segdistill.config.sections import (
    DataConfig,
    EvaluationConfig,
    LossConfig,
    NamedSection,
    NetworkConfig,
    RunConfig,
    Section,
    TaskConfig,
    TrainingConfig,
    Tree,
    UnlabelledConfig,
)
from segdistill.config.students import StudentSearchConfig, check_search
from segdistill.config.studies import (
    AGAIN,
    CHANGES_NO_RUN,
    MOST_SEEDS,
    PLAIN,
    EngineConfig,
    PairConfig,
    PruningConfig,
    Range,
    SearchConfig,
    Space,
    StudyConfig,
    check_study,
)
from segdistill.config.trees import check_name, cohort, merge, override, parse_tree, put, read_tree
from segdistill.yaml_text import load_yaml

__all__ = [
    "AGAIN",
    "CHANGES_NO_RUN",
    "MOST_SEEDS",
    "PLAIN",
    "DataConfig",
    "EngineConfig",
    "EvaluationConfig",
    "LossConfig",
    "NamedSection",
    "NetworkConfig",
    "PairConfig",
    "PruningConfig",
    "Range",
    "RunConfig",
    "SearchConfig",
    "Section",
    "Space",
    "StudentSearchConfig",
    "StudyConfig",
    "TaskConfig",
    "TrainingConfig",
    "Tree",
    "UnlabelledConfig",
    "check",
    "check_name",
    "check_search",
    "check_study",
    "cohort",
    "load_yaml",
    "merge",
    "override",
    "parse_tree",
    "put",
    "read_tree",
]

"""The loggers that get a run's numbers beside its own files."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class LoggerRow:
    """One row of ``LOGGERS``, whose name is a key of ``training``.

    Attributes:
        target: ``"module:function"`` in :mod:`segdistill.training.loggers`: from the run folder
            and its settings to a logger of Fabric's kind.
        about: one sentence.
        package: what it imports, and what ``pip install 'segdistill[...]'`` has to name.
    """

    target: str
    about: str
    package: str


LOGGERS: dict[str, LoggerRow] = {
    "tensorboard": LoggerRow(
        target="tensorboard:tensorboard",
        about="Event files of TensorBoard in the run folder.",
        package="tensorboard",
    ),
    "wandb": LoggerRow(
        target="wandb:wandb",
        about="A run of Weights & Biases; WANDB_MODE=offline keeps it in the run folder.",
        package="wandb",
    ),
    "mlflow": LoggerRow(
        target="mlflow:mlflow",
        about="A run of MLflow, at MLFLOW_TRACKING_URI or in the run folder.",
        package="mlflow",
    ),
}

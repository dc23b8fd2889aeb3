"""The loggers that can receive a run's metrics in addition to its own files."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class LoggerRow:
    """One row of ``LOGGERS``; the row's name is a key of ``training``.

    Attributes:
        target: ``"module:function"`` in :mod:`segdistill.training.loggers`; it makes a Fabric
            logger from the run folder and its settings.
        about: one sentence.
        package: the package that it imports, which is also the name of the pip extra.
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

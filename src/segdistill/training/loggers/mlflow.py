"""MLflow: a run in an experiment of this package."""

from __future__ import annotations

import os
from argparse import Namespace
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lightning_fabric.loggers import Logger

from segdistill.runs.layout import MLFLOW

_EXPERIMENT = "segdistill"
_FOLDER = "segdistill.folder"  # the tag by which a resumed run is found
_LONGEST = 500  # characters of a parameter that every version accepts


class _MLflow(Logger):  # type: ignore[misc] # Fabric has no types here
    """An MLflow run as a Fabric logger.

    Args:
        client: client of the server or folder that holds the run.
        run_id: id of the run.
    """

    def __init__(self, client: Any, run_id: str) -> None:
        self._client, self._run_id = client, run_id

    @property
    def name(self) -> str:
        return _EXPERIMENT

    @property
    def version(self) -> str:
        return self._run_id

    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        for name, value in metrics.items():
            self._client.log_metric(self._run_id, name, value, step=step)

    def log_hyperparams(self, params: dict[str, Any] | Namespace) -> None:
        values = vars(params) if isinstance(params, Namespace) else params
        for name, value in values.items():
            self._client.log_param(self._run_id, name, str(value)[:_LONGEST])

    def finalize(self, status: str) -> None:
        self._client.set_terminated(self._run_id, "FINISHED" if status == "success" else "FAILED")


def mlflow(folder: Path, settings: Mapping[str, Any]) -> Logger:
    """Start an MLflow run, or continue the one of the same run folder.

    It is stored at ``MLFLOW_TRACKING_URI``, or in the run folder if that is not set.

    Args:
        folder: the run folder.
        settings: the run's settings, stored as one parameter per section.
    """
    from mlflow.tracking import MlflowClient

    path = str(folder.resolve())
    own = f"sqlite:///{folder.resolve() / MLFLOW}"
    client = MlflowClient(tracking_uri=os.environ.get("MLFLOW_TRACKING_URI") or own)
    known = client.get_experiment_by_name(_EXPERIMENT)
    experiment = client.create_experiment(_EXPERIMENT) if known is None else known.experiment_id
    runs = client.search_runs([experiment], filter_string=f"tags.`{_FOLDER}` = '{path}'")
    if runs:
        return _MLflow(client, runs[0].info.run_id)
    run = client.create_run(experiment, run_name=folder.name, tags={_FOLDER: path})
    logger = _MLflow(client, run.info.run_id)
    logger.log_hyperparams(dict(settings))
    return logger

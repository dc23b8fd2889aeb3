"""Ray: a study on two nodes, one of which dies, ends as it would have here."""

import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from segdistill.config import StudyConfig
from segdistill.runs.layout import FAILED, RESULT, SETTINGS, STUDENT
from segdistill.studies.cluster import write_files
from segdistill.studies.runner import run_study
from segdistill.training.events import Event, Note, Progress

from .test_runner import findings

Make = Callable[..., StudyConfig]


@pytest.fixture
def cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Two nodes of one processor each, ours alone; their tasks work below ``tmp_path/away``."""
    pytest.importorskip("ray")
    (tmp_path / "away").mkdir()
    monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", "0")
    monkeypatch.setenv("RAY_TMPDIR", tempfile.gettempdir())  # a socket's path has to be short
    monkeypatch.setenv("TMPDIR", str(tmp_path / "away"))
    import ray
    from ray.cluster_utils import Cluster

    head = {"num_cpus": 1, "include_dashboard": False}
    nodes = Cluster(initialize_head=True, head_node_args=head)
    yield nodes
    ray.shutdown()
    nodes.shutdown()


@pytest.mark.long
def test_a_node_that_dies_loses_nothing_that_was_finished(
    small: Make, tmp_path: Path, cluster: Any
) -> None:
    node = cluster.add_node(num_cpus=1)
    words = ("seeds=5", "training.steps=20", "search.trials=0")
    # Of the two methods one has a stage before training.
    words += ("methods.lad=[{loss: knowledge_adaptation, adapter_layers: 1}]",)
    study = small(*words, "engine.name=ray", f"engine.address='{cluster.address}'")
    finished: dict[Path, int] = {}
    done_on: list[str] = []

    def tell(event: Event) -> None:
        if isinstance(event, Note) and "done on node" in event.text:
            done_on.append(event.text.rpartition(" ")[2])
        if isinstance(event, Progress) and event.stage == "study, final runs" and event.done == 2:
            files = (tmp_path / "ray").rglob(RESULT)
            finished.update({file: file.stat().st_mtime_ns for file in files})
            cluster.remove_node(node, allow_graceful=False)

    run_study(study, tmp_path / "ray", tell=tell)
    # A task that ends takes its folder away; the one that was killed could not.
    assert len([*(tmp_path / "away").glob("tmp*")]) == 1
    assert len(done_on) == 5
    assert len(set(done_on[2:])) == 1
    assert len(finished) == 2 * 3
    assert {file: file.stat().st_mtime_ns for file in finished} == finished
    run_study(small(*words), tmp_path / "local")
    assert findings(tmp_path / "ray") == findings(tmp_path / "local")


def test_what_says_that_a_run_has_ended_is_written_last(tmp_path: Path) -> None:
    names = [f"kl/{RESULT}", f"kl/{STUDENT}", f"plain/{FAILED}", f"plain/{SETTINGS}"]
    write_files(tmp_path, {name: name.encode() for name in names})
    written = {name: (tmp_path / name).stat().st_mtime_ns for name in names}
    result, student, failed, settings = (written[name] for name in names)
    assert min(result, failed) >= max(student, settings)
    assert (tmp_path / names[0]).read_bytes() == names[0].encode()

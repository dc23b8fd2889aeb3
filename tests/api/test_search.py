"""search: from a file to a page and a command, with real times."""

from pathlib import Path

import pytest
import yaml

import segdistill
from segdistill.api.search import rehearse_search
from segdistill.config import Tree
from segdistill.runs.students import read_found

pytest.importorskip("optuna")

SEARCH: Tree = {
    "data": {
        "dataset": "scenes",
        "size": [48, 64],
        "train_images": 10,
        "val_images": 3,
        "batch_size": 4,
        "crop": [32, 48],
    },
    "teacher": {"network": "fcn", "backbone": "resnet10t", "width": 16, "untrained": True},
    "training": {"steps": 4, "checkpoint_every": 2, "log_every": 2, "device": "cpu"},
    "evaluation": {"pictures": 0},
    "engine": {"threads": 1},
    "students": {
        "lraspp": {"backbone": "mobilenetv2_035", "width": [8, 16]},
        "fast_scnn": {},  # which images of this size are too small for
    },
    "latency": {"passes": 5},
    "search": {"trials": 3, "parallel": 3, "holdout": 0.3},
    "seeds": 2,
}


@pytest.mark.long
def test_a_search_ends_with_a_page_and_a_run_that_can_be_exported(tmp_path: Path) -> None:
    file, out = tmp_path / "my.yaml", tmp_path / "found"
    file.write_text(yaml.safe_dump(SEARCH))
    rehearsal = rehearse_search(file, out)
    assert rehearsal.space == 3
    assert rehearsal.search_seconds > 0
    assert rehearsal.final_seconds > 0
    found = segdistill.search(file, out)
    assert read_found(out) == found
    refused = [one for one in found.students if one.status == "refused"]
    assert [one.family for one in refused] == ["fast_scnn"]
    assert "expected images of at least" in str(refused[0].error)
    assert len([one for one in found.students if one.status == "done"]) == 2
    page = (out / "report.html").read_text()
    assert found.command in page
    assert "Which student?" in page
    run = Path(found.command.split()[2])
    assert (run / "report.html").exists()
    assert segdistill.load(run).classes
    assert segdistill.report(out, tmp_path / "again.html").page.exists()

"""A folder to hand on: a card that hubs read, and weights that load again."""

import json
from pathlib import Path

import numpy as np
import pytest

import segdistill
from segdistill.api.export import Exported
from segdistill.api.hub import write_hub_folder
from segdistill.delivery.gate import Score, Timing
from segdistill.errors import OverwriteError
from segdistill.runs.result import read_result
from segdistill.runs.student import read_student, student_file


def test_the_card_says_what_the_run_scored_and_the_weights_load_again(
    run: Path, tmp_path: Path
) -> None:
    hub = pytest.importorskip("huggingface_hub")
    folder, result = tmp_path / "given", read_result(run)
    timing = Timing(12.34, 12.0, 13.0, 1)
    made = Exported(
        folder / "student.onnx",
        "onnx",
        1.5,
        (),
        Score("val", 3, 0.9991, 0.4, 0.41),
        {1: {"file": timing, "network": timing}},
    )
    written = write_hub_folder(folder, run, [made])
    assert [file.name for file in written] == ["README.md", "config.json", "model.safetensors"]
    card = hub.ModelCard.load(folder / "README.md")
    assert (card.data.library_name, card.data.pipeline_tag) == ("segdistill", "image-segmentation")
    (score,) = card.data.eval_results
    assert (score.metric_type, score.dataset_name) == ("mean_iou", "scenes")
    assert score.metric_value == pytest.approx(100 * result.miou, abs=0.005)
    assert "| `student.onnx` | 40.00 | 99.91 | 1.50 | 12.3 (one thread) |" in card.text
    classes = read_student(student_file(run)).classes
    config = json.loads((folder / "config.json").read_text())
    assert config["id2label"] == {str(place): name for place, name in enumerate(classes)}
    image = np.random.default_rng(0).integers(0, 255, (48, 64, 3), dtype=np.uint8)
    weights = segdistill.load(student_file(run).parent / "model.safetensors")
    again = segdistill.load(folder).predict(image)
    assert again.names == weights.classes.names == classes
    assert again.mask.shape == (48, 64)


def test_a_readme_of_somebody_else_is_not_lost(run: Path, tmp_path: Path) -> None:
    (tmp_path / "README.md").write_text("mine")
    with pytest.raises(OverwriteError, match=r"README\.md"):
        write_hub_folder(tmp_path, run)
    assert [file.name for file in tmp_path.iterdir()] == ["README.md"]
    write_hub_folder(tmp_path / "new", run)
    write_hub_folder(tmp_path / "new", run)  # its own may be written again

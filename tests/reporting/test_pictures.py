"""Pictures: those that runs kept, and the worst and best that an analysis wrote."""

import base64
import json
import shutil
from pathlib import Path

from segdistill.reporting.groups import group
from segdistill.reporting.pictures import analysed_pictures, data_uri, kept_pictures
from segdistill.reporting.runs import read_runs
from segdistill.reporting.studies import read_study, study_groups

from .folders import make_cohort, make_study


def analyse(place: Path, source: Path, names: tuple[str, ...], kinds: tuple[str, ...]) -> None:
    """Write what ``segdistill analyse`` does, with the pictures of a run."""
    (place / "images").mkdir(parents=True)
    table: dict[str, dict[str, str]] = {}
    for name in names:
        for kind in kinds:
            file = f"{name}_{kind}.{'jpg' if kind == 'input' else 'png'}"
            kept = kind if kind in ("input", "truth") else "prediction"
            original = next((source / "predictions").glob(f"street_1_{kept}.*"))
            shutil.copy(original, place / "images" / file)
            table.setdefault(name, {})[kind] = f"images/{file}"
    seeds = {"data_seed": 0, "seed": 0}
    found = {"source": "", "pair": "", "split": "val", "images": list(names), "pictures": table}
    found |= {"runs": {"plain": seeds, "kl": seeds}, "baseline": "plain"}
    changes = {"differences": [0.01, -0.02], "better": 1, "worse": 1, "seeds": 1}
    found |= {"methods": {"kl": changes | {"worst": [{}], "best": [{}]}}}
    (place / "images.json").write_text(json.dumps(found))


def test_a_picture_is_its_bytes(tmp_path: Path) -> None:
    file = tmp_path / "a.png"
    file.write_bytes(b"\x89PNG")
    assert data_uri(file) == f"data:image/png;base64,{base64.b64encode(file.read_bytes()).decode()}"


def test_kept_pictures_have_a_layer_a_group(tmp_path: Path) -> None:
    found = kept_pictures(group(read_runs(make_cohort(tmp_path))))
    assert [picture.name for picture in found] == ["street_1", "street_2"]
    assert [(layer.kind, layer.label) for layer in found[0].layers] == [
        ("input", "input"),
        ("truth", "truth"),
        ("prediction", "teacher"),
        ("prediction", "plain"),
        ("prediction", "kl"),
        ("prediction", "angular"),
    ]


def test_analysed_pictures_are_those_whose_files_are_there(tmp_path: Path) -> None:
    study = read_study(make_study(tmp_path / "study", seeds=1))
    place = study.folder / "analyses"
    analyse(place, study.runs[1].folder, ("a", "b"), ("input", "truth", "plain", "kl", "teacher"))
    (place / "images" / "a_kl.png").unlink()
    (place / "images" / "b_input.jpg").unlink()
    (found,) = analysed_pictures(place, study_groups(study))
    assert found.name == "a"
    assert [layer.label for layer in found.layers] == ["input", "truth", "teacher", "plain"]


def test_pairs_have_folders_of_their_own(tmp_path: Path) -> None:
    study = read_study(make_study(tmp_path / "study", pairs=("x", "y"), seeds=1))
    place = study.folder / "analyses"
    analyse(place / "y", study.runs[1].folder, ("a",), ("input", "plain", "kl"))
    (found,) = analysed_pictures(place, study_groups(study))
    assert found.name == "a, y"
    assert [layer.label for layer in found.layers] == ["input", "plain (y)", "kl (y)"]
    assert analysed_pictures(tmp_path, study_groups(study)) == []

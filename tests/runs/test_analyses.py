"""Analyses: files by pair, and pictures that the reader finds where the writer named them."""

from pathlib import Path

import pytest

from segdistill.errors import RunFolderError
from segdistill.runs.analyses import (
    Analysis,
    find_picture,
    has_analysis,
    name_picture,
    picture_folder,
    read_analyses,
    read_analysis,
    write_analysis,
)


@pytest.mark.parametrize("pairs", [[""], ["resnet", "mobilenet"]])
def test_a_picture_is_found_by_the_name_that_was_written(tmp_path: Path, pairs: list[str]) -> None:
    for pair in pairs:
        folder = picture_folder(tmp_path, "images", pair)
        folder.mkdir(parents=True)
        (folder / "street_input.jpg").write_text(pair)
        name = name_picture(tmp_path, folder / "street_input.jpg")
        write_analysis(tmp_path, Analysis(pair, "images", {"pictures": {"street": name}}))
    for pair in pairs:
        found = read_analysis(tmp_path, "images", pair)
        assert found is not None
        assert find_picture(tmp_path, found.values["pictures"]["street"]).read_text() == pair


def test_every_analysis_is_read_with_its_pair(tmp_path: Path) -> None:
    assert read_analyses(tmp_path) == []
    for pair, name in (("", "critic"), ("a", "images"), ("a", "affinity"), ("b", "images")):
        write_analysis(tmp_path, Analysis(pair, name, {"pair": pair}))
    picture_folder(tmp_path, "images", "a").mkdir(parents=True)
    found = [(one.pair, one.name) for one in read_analyses(tmp_path)]
    assert found == [("", "critic"), ("a", "affinity"), ("a", "images"), ("b", "images")]
    assert has_analysis(tmp_path, "images", "b")
    assert not has_analysis(tmp_path, "images")
    assert read_analysis(tmp_path, "entropy") is None


@pytest.mark.parametrize("name", ["../secret.png", "/etc/hostname"])
def test_a_name_that_leads_out_of_the_analyses_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(RunFolderError, match="which leads out of it"):
        find_picture(tmp_path, name)

"""The page of a study: everything that happened is on it, failures first."""

import csv
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from segdistill.reporting.study_page import write_study_report
from segdistill.runs.study import final_folder, seed_folder, write_study_results

from .analysed import write_images
from .folders import make_study
from .test_page import Page

FAILED = {("skd", 2): "loss pairwise_similarity: got nan <step 37>"}


# In a process of its own, to see what is imported.
WRITE = """
import sys
from pathlib import Path
from segdistill.reporting.study_page import write_study_report
write_study_report(Path(sys.argv[1]))
assert not {"torch", "optuna", "matplotlib.pyplot"} & set(sys.modules)
"""


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = make_study(tmp_path_factory.mktemp("study") / "camvid", seeds=8, failed=FAILED)
    costs = {"together_seconds": 900.0, "parts_seconds": 880.0, "apart_seconds": 1500.0}
    write_study_results(folder, {"cost": costs})
    write_images(folder, final_folder(folder, "student", 0, "plain"))
    subprocess.run([sys.executable, "-c", WRITE, str(folder)], check=True)
    return folder


@pytest.fixture(scope="module")
def page(study: Path) -> Page:
    return Page((study / "report.html").read_text(encoding="utf-8"))


@pytest.mark.long
def test_writes_the_same_page_and_tables_wherever_with_and_without_torch(
    study: Path, tmp_path: Path
) -> None:
    files = write_study_report(study, out=tmp_path / "page.html")
    assert [file.name for file in files] == ["page.html", "results.csv", "results.tex"]
    assert {file.parent for file in files} == {tmp_path}
    assert (tmp_path / "page.html").read_bytes() == (study / "report.html").read_bytes()
    rows = list(csv.DictReader((tmp_path / "results.csv").open()))
    assert {row["method"]: row["failed"] for row in rows}["skd"] == "1"


def test_says_a_sentence_per_method(page: Page) -> None:
    # All eight seeds of kl count though one of skd failed.
    assert "kl is better than plain: +2.3 mIoU points" in page.text
    assert "No difference between skd and plain was shown: +1.2 mIoU points" in page.text
    assert "Which student to ship: kl, 39.5 mIoU." in page.text
    assert "No difference between lad and plain was shown" in page.text
    assert "The highest student mIoU, that of kl, is" in page.text


def test_shows_failed_runs_with_their_error(page: Page) -> None:
    assert "1 of 8 final runs of skd failed." in page.text
    assert "skd 2 36 loss pairwise_similarity: got nan <step 37>" in page.text


def test_shows_the_search_with_every_trial(page: Page) -> None:
    rows = sum(tag == "code" for tag, _ in page.elements)
    assert rows >= 30, "a config hash per trial"
    assert "failed: loss task: expected a finite value, got nan" in page.text
    assert "pixelwise_kl weight" in page.text
    labels = [a.get("aria-label") or "" for _, a in page.elements]
    assert any("Search of skd: 6 trials, 4 done, 1 pruned, 1 failed" in label for label in labels)


def test_shows_costs_and_what_cohorts_saved(page: Page) -> None:
    assert "39 runs took 900 seconds of training together" in page.text
    assert "one by one they would have taken 1,500, 1.67 times as long" in page.text
    assert "add up to 880 seconds: the cohorts took 1.02 times that" in page.text
    assert "CO₂ at 0.48 kg per kWh" in page.text


def test_shows_protocol_configs_and_references(page: Page) -> None:
    assert "got 6 trials, suggested by tpe" in page.text
    assert "sampler: tpe" in page.text
    assert "seed: 7" in page.text
    assert "@inproceedings{liu2019structured," in page.text
    assert "@inproceedings{akiba2019optuna," in page.text
    assert "@article{brostow2009semantic," in page.text


def test_shows_analysed_and_kept_pictures_and_none_twice(page: Page) -> None:
    strips = [a["data-name"] for _, a in page.elements if a.get("class") == "strip"]
    assert strips == ["street_2", "street_1", "odd"], "those that gain or lose most come first"
    assert "Worst and best images" in page.text
    rows = [a.get("data-value") for tag, a in page.elements if tag == "th"]
    assert "street_12" in rows, "by name, where no picture was kept"


def test_every_figure_has_words_for_those_who_cannot_see_it(page: Page) -> None:
    pictures = [a for tag, a in page.elements if a.get("role") == "img"]
    assert len(pictures) > 20
    assert all(len(str(a["aria-label"])) > 20 for a in pictures)


def test_ids_are_unique_and_addresses_stay_inside(page: Page) -> None:
    ids = [a["id"] for _, a in page.elements if "id" in a]
    assert len(ids) == len(set(ids))
    for tag, attributes in page.elements:
        for name in ("src", "href", "xlink:href"):
            address = attributes.get(name) or "#"
            assert address.startswith(("data:", "#")), f"{tag} {name}={address[:60]}"
            if address.startswith("#") and len(address) > 1:
                assert address[1:] in ids


def test_a_study_half_done_without_search_has_a_page(tmp_path: Path) -> None:
    folder = make_study(tmp_path / "s", pairs=("x", "y"), seeds=2, trials=0, planned=False)
    shutil.rmtree(folder / seed_folder("y", 1))
    write_study_report(folder)
    page = Page((folder / "report.html").read_text(encoding="utf-8"))
    assert "On one seed" in page.text
    assert "Every trial" not in page.text
    assert "plain (x)" in page.text

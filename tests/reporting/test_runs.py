"""Reading run folders: names, teachers, pictures, and what may be missing."""

from pathlib import Path

import pytest

from segdistill.errors import RunFolderError
from segdistill.reporting.page import write_report
from segdistill.reporting.runs import read_runs

from .folders import make_cohort, make_run


def test_puts_the_teacher_first_and_keeps_the_order_of_the_students(tmp_path: Path) -> None:
    runs = read_runs(make_cohort(tmp_path))
    assert [run.label for run in runs] == ["teacher", "plain", "kl", "angular"]
    assert [run.teacher for run in runs] == [True, False, False, False]
    assert runs[3].method == "layer_angular+pixelwise_kl"
    assert runs[1].network == "deeplabv3 · mobilenetv2_035 · stride 16"


def test_finds_a_teacher_by_the_weights_that_a_student_names(tmp_path: Path) -> None:
    large = make_run(tmp_path / "large", name="resnet101")
    student = make_run(tmp_path / "small", name="small", teacher=large)
    assert [(run.label, run.teacher) for run in read_runs([student, large])] == [
        ("resnet101", True),
        ("small", False),
    ]


def test_tells_equal_names_apart_by_seed_or_by_folder(tmp_path: Path) -> None:
    by_seed = [make_run(tmp_path / f"s{s}" / "kl", name="kl", seed=s) for s in (0, 1)]
    assert [run.label for run in read_runs(by_seed)] == ["kl, seed 0", "kl, seed 1"]
    again = make_run(tmp_path / "again" / "kl", name="kl", seed=0)
    labels = [run.label for run in read_runs([*by_seed, again])]
    assert labels == ["kl, s0/kl", "kl, seed 1", "kl, again/kl"]


def test_finds_the_pictures_of_names_with_underscores(tmp_path: Path) -> None:
    run = read_runs([make_run(tmp_path / "a", name="a", pictures=["b_01_x"])])[0]
    assert list(run.pictures) == ["b_01_x"]
    assert set(run.pictures["b_01_x"]) == {"input", "truth", "prediction"}


def test_reads_a_folder_with_nothing_but_a_result(tmp_path: Path) -> None:
    run = read_runs([make_run(tmp_path / "bare", name="bare", bare=True)])[0]
    assert (run.network, run.confusion, run.metrics, run.pictures) == ("", None, [], {})


def test_leaves_out_a_line_that_a_killed_run_cut_short(tmp_path: Path) -> None:
    assert len(read_runs([make_run(tmp_path / "a", name="a")])[0].metrics) == 44


def test_refuses_an_unfinished_run_and_no_run(tmp_path: Path) -> None:
    with pytest.raises(RunFolderError, match="a: expected a finished run"):
        read_runs([tmp_path / "a"])
    with pytest.raises(RunFolderError, match="expected at least one run folder, got none"):
        read_runs([])


def test_one_broken_run_does_not_end_a_report_of_several(tmp_path: Path) -> None:
    folders = make_cohort(tmp_path)
    (folders[1] / "result.json").write_text('{"miou": ')
    (folders[2] / "resolved.yaml").write_text("student: 5\n")
    broken = write_report(folders, tmp_path / "page.html", title="a")
    assert list(broken) == folders[1:3]
    page = (tmp_path / "page.html").read_text()
    assert "A run was left out." in page
    assert "expected a mapping at &#39;student&#39;, got int" in page
    with pytest.raises(RunFolderError, match=r"result\.json: expected JSON"):
        write_report(folders[1:2], tmp_path / "page.html", title="a")

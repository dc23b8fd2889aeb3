"""The table of results: a column per run, what is missing as a dash."""

import pytest

from segdistill.cli.results import print_results


def result(name: str, miou: float, **more: object) -> dict[str, object]:
    return {"name": name, "miou": miou, "iou": {"road": miou, "sky": None}, "absent_classes": [],
            **more}  # fmt: skip


def test_a_column_a_run_and_a_row_a_score(capsys: pytest.CaptureFixture[str]) -> None:
    print_results([result("plain", 0.25, params_m=1.5), result("kl", 0.5)])
    assert capsys.readouterr().out.splitlines() == [
        "              plain     kl",
        "--------------------------",
        "mIoU %        25.00  50.00",
        "parameters M  1.500      -",
        "IoU road       25.0   50.0",
        "IoU sky           -      -",
    ]


def test_classes_that_nothing_has_are_named(capsys: pytest.CaptureFixture[str]) -> None:
    print_results([result("plain", 0.25, absent_classes=["sky"])])
    shown = capsys.readouterr().out
    assert shown.endswith("absent from labels and predictions, left out of mIoU: sky\n")

"""References: every row of the tables has one, and a page cites what it used."""

import re
from dataclasses import replace
from importlib.resources import files
from pathlib import Path

import pytest

from segdistill.catalogue.datasets import DATASETS
from segdistill.catalogue.losses import LOSSES
from segdistill.catalogue.networks import NETWORKS
from segdistill.reporting.references import bibtex, used
from segdistill.reporting.runs import read_runs

from .folders import make_cohort

PUBLISHED = [name for name, row in DATASETS.items() if "http" in row.source]


@pytest.mark.parametrize("loss", LOSSES)
def test_every_loss_has_a_reference(loss: str) -> None:
    assert bibtex([f"loss:{loss}"]).count("@") >= 1


@pytest.mark.parametrize("dataset", PUBLISHED)
def test_every_published_dataset_has_a_reference(dataset: str) -> None:
    assert bibtex([f"dataset:{dataset}"]).count("@") >= 1


@pytest.mark.parametrize("network", NETWORKS)
def test_every_network_has_a_reference(network: str) -> None:
    assert bibtex([f"network:{network}"]).count("@") >= 1


def test_a_row_may_hold_its_own_entry(monkeypatch: pytest.MonkeyPatch) -> None:
    entry = "@article{doe2026, title = {Own}}"
    monkeypatch.setitem(LOSSES, "own", replace(LOSSES["affinity"], bibtex=entry))  # type: ignore[arg-type]
    assert bibtex(["loss:own"]) == entry


def test_keywords_name_what_exists() -> None:
    text = files("segdistill.reporting").joinpath("references.bib").read_text(encoding="utf-8")
    for words in re.findall(r"keywords = \{([^}]*)\}", text):
        for word in re.split(r",\s*", words):
            kind, _, name = word.partition(":")
            assert kind in ("loss", "dataset", "network", "study", "search"), word
            if kind in ("loss", "dataset"):
                assert name in (LOSSES if kind == "loss" else DATASETS), word


def test_entries_are_whole_and_unique() -> None:
    text = files("segdistill.reporting").joinpath("references.bib").read_text(encoding="utf-8")
    keys = re.findall(r"^@\w+\{([^,]+),$", text, flags=re.MULTILINE)
    assert len(keys) == len(set(keys)) == text.count("\n@") > 30
    assert text.count("{") == text.count("}")


def test_a_backbone_is_cited_by_the_beginning_of_its_name() -> None:
    found = bibtex(["network:mobilenetv2_035"])
    assert "@inproceedings{sandler2018mobilenetv2," in found
    assert "keywords" not in found
    assert found.count("@") == 1
    assert bibtex(["network:resnet101.a1_in1k"]).count("@") == 1
    assert bibtex(["network:unheard_of", "dataset:None"]) == ""


def test_a_report_cites_losses_data_and_networks(tmp_path: Path) -> None:
    names = used(read_runs(make_cohort(tmp_path)))
    assert {"loss:pixelwise_kl", "loss:layer_angular", "dataset:camvid"} <= set(names)
    assert {"network:deeplabv3", "network:mobilenetv2_035"} <= set(names)
    assert len(names) == len(set(names))

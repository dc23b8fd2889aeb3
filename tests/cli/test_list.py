"""list: complete, from the tables, and the taps of a config's networks."""

import json

import pytest

from segdistill.catalogue.analyses import ANALYSES
from segdistill.catalogue.datasets import DATASETS
from segdistill.catalogue.formats import FORMATS
from segdistill.catalogue.losses import LOSSES
from segdistill.catalogue.networks import HEADS, NETWORKS, SOURCES, TEACHERS

from .conftest import Cli

COMPLETE = {
    "losses": set(LOSSES),
    "networks": {*NETWORKS, *TEACHERS, *(f"{source}:" for source in SOURCES)},
    "heads": set(HEADS),
    "datasets": set(DATASETS),
    "analyses": set(ANALYSES),
    "formats": set(FORMATS),
}


@pytest.mark.parametrize("kind", COMPLETE)
def test_every_row_is_listed_with_what_it_is(kind: str, cli: Cli) -> None:
    rows = json.loads(cli("list", kind, "--json").out)
    assert set(rows) == COMPLETE[kind]
    assert all(rows.values())
    lines = cli("list", kind).out.splitlines()
    assert [line.split()[0] for line in lines] == list(rows)


@pytest.mark.parametrize("kind", COMPLETE)
def test_verbose_adds_settings(kind: str, cli: Cli) -> None:
    more = "packages: " if kind == "formats" else "settings:\n"
    assert f"    {more}" in cli("list", kind, "--verbose").out
    rows = json.loads(cli("list", kind, "--verbose", "--json").out)
    for row in rows.values():
        assert all(setting["takes"] and setting["help"] for setting in row["settings"].values())


def test_settings_read_as_a_config_writes_them(cli: Cli) -> None:
    out = cli("list", "networks", "deeplabv3", "-v").out
    assert "      pretrained=false: initialise the backbone" in out
    assert "      width=256: " in out
    out = cli("list", "losses", "pixelwise_kl", "-v").out
    assert "      tap=logits: " in out
    assert "      temperature=1.0: temperature of the softmax over both maps" in out
    assert "Takes a number above 0." in out
    assert "      root: folder that holds leftImg8bit/. Takes a path." in (
        cli("list", "datasets", "cityscapes", "-v").out
    )


def test_a_datasets_layout_licence_and_colours_are_told(cli: Cli) -> None:
    out = cli("list", "datasets", "cityscapes", "--verbose").out
    for part in ("leftImg8bit/", "licence: non-commercial", "splits: train, val, test", "road=#"):
        assert part in out, part
    assert "number of classes: 19" in out
    assert "classes: the files decide" in cli("list", "datasets", "folder", "-v").out
    assert "classes: none" in cli("list", "datasets", "images", "-v").out
    rows = json.loads(cli("list", "datasets", "--verbose", "--json").out)
    for name in ("source", "licence", "layout below root", "ignored labels", "splits"):
        assert all(name in row for row in rows.values())
    assert rows["ade20k"]["number of classes"] == len(rows["ade20k"]["classes"]) == 150


def test_backbones_are_filtered_by_part_of_their_name(cli: Cli) -> None:
    names = list(json.loads(cli("list", "backbones", "MobileNetV2", "--json").out))
    assert {"mobilenetv2_035", "mobilenetv2_130"} <= set(names)
    assert all("mobilenetv2" in name for name in names)


def test_a_name_that_nothing_contains_is_refused(cli: Cli) -> None:
    done = cli("list", "losses", "pixelwise_lk")
    assert (done.code, done.out) == (2, "")
    assert "did you mean 'pixelwise_kl'?" in done.err


def test_taps_have_width_and_stride_and_can_be_tapped(cli: Cli) -> None:
    taps = json.loads(cli("list", "taps", "tiny.yaml", "--json").out)
    assert set(taps) == {"teacher", "student"}
    assert taps["teacher"]["backbone"] == {"channels": 512, "stride": 16, "size": [2, 3]}
    assert list(taps["student"])[:3] == ["backbone", "head", "logits"]
    path = next(path for path in taps["student"] if path.endswith("bn1"))
    assert f"  {path} " in cli("list", "taps", "tiny.yaml").out


def test_a_mistyped_tap_does_not_keep_the_taps_from_being_listed(cli: Cli) -> None:
    words = ["teacher.taps={early: backbone.body.layer1, late: backbone.body.layer9}", "--json"]
    done = cli("list", "taps", "tiny.yaml", *words)
    assert done.code == 0, done.err
    teacher = json.loads(done.out)["teacher"]
    assert next(iter(teacher)) == "early"
    assert teacher["early"] == teacher["backbone.body.layer1"]
    assert "late" not in teacher

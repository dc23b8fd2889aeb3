"""The papers' networks: our counts are theirs, or the difference is explained by arithmetic."""

import pytest
from torch import nn

from segdistill.export import count, count_as_cirkd
from segdistill.models import build_network
from segdistill.models.heads.blocks import conv_bn_relu

from .published import PAGE, Row, close, page, rows

ROWS = rows()


def name(row: Row) -> str:
    return f"{row.source}: {row.network} {'x'.join(map(str, row.size))}"


@pytest.mark.parametrize("row", [row for row in ROWS if not row.explanation], ids=name)
def test_is_within_one_percent_of_the_paper(row: Row) -> None:
    ours = row.ours
    assert close(ours.params_m, row.params_m)
    assert close(row.figure(ours), row.flops_g)


@pytest.mark.parametrize("row", [row for row in ROWS if row.counting == "cirkd"], ids=name)
def test_cirkds_own_counting_meets_its_printed_digits(row: Row) -> None:
    given = count_as_cirkd(build_network(row.settings, classes=row.classes), row.size)
    if not row.explanation:
        assert given.gmacs == pytest.approx(float(row.flops_g), rel=2e-4, abs=0.051)
    assert given.params_m == pytest.approx(float(row.params_m), abs=0.05)


@pytest.mark.parametrize(
    ("backbone", "network", "width", "gmacs"),
    [
        ("resnet101_deep", "deeplabv3", 256, 384.4),
        ("resnet18_deep", "deeplabv3", 128, 86.0),
        ("resnet18_deep", "pspnet", 128, 67.5),
    ],
)
def test_cirkds_third_table_is_of_another_size(
    backbone: str, network: str, width: int, gmacs: float
) -> None:
    settings: dict[str, object] = {"network": network, "backbone": backbone, "width": width}
    if network == "deeplabv3":
        settings["refine"] = True
    built = build_network({**settings, "output_stride": 8, "auxiliary": True}, classes=21)
    assert count_as_cirkd(built, (512, 512)).gmacs == pytest.approx(gmacs, abs=0.051)


def test_the_transposed_convolutions_explain_espnet() -> None:
    network = build_network({"network": "espnet"}, classes=19)
    transposed = [
        each.weight.numel() for each in network.modules() if isinstance(each, nn.ConvTranspose2d)
    ]
    # In the order of the decoder: each position of its input, at stride 8, 4 and 2.
    positions = [64 * 128, 128 * 256, 256 * 512]
    without = sum(a * b for a, b in zip(transposed, positions, strict=True)) / 1e9
    ours = count(network, (512, 1024)).gmacs
    assert ours - without == pytest.approx(4.422, abs=5e-4)


def test_a_decoder_explains_the_parameters_of_knowledge_adaptations_teacher() -> None:
    row = next(row for row in ROWS if row.network == "DeepLabV3, ResNet-50")
    decoder = nn.Sequential(
        conv_bn_relu(256, 48),
        conv_bn_relu(304, 256, kernel=3, separable=True),
        conv_bn_relu(256, 256, kernel=3, separable=True),
    )
    extra = sum(each.numel() for each in decoder.parameters()) / 1e6
    assert row.ours.params_m + extra == pytest.approx(26.82, abs=0.005)


def test_skds_public_code_builds_what_we_build() -> None:
    row = next(row for row in ROWS if row.network == "PSPNet, ResNet-18" and "SKD" in row.source)
    ours = row.ours
    assert ours.params_m == pytest.approx(13.07, abs=0.005)
    assert ours.gmacs == pytest.approx(125.8, rel=0.001)


@pytest.mark.parametrize(
    ("backbone", "half", "parameters", "gmacs"),
    [("resnet18", 1, 15.24, 128.2), ("resnet18_half", 2, 3.835, 33.35)],
)
def test_a_plain_stem_and_a_wider_head_come_near_skds_printed_students(
    backbone: str, half: int, parameters: float, gmacs: float
) -> None:
    settings = {
        "network": "pspnet",
        "backbone": backbone,
        "width": 384 // half,
        "branch_width": 128 // half,
        "auxiliary": True,
        "auxiliary_width": 128 // half,
    }
    ours = count(build_network(settings, classes=19), (512, 1024), auxiliary=True)
    assert ours.params_m == pytest.approx(parameters, rel=0.004)
    assert ours.gmacs == pytest.approx(gmacs, rel=0.004)


def test_the_page_is_in_step() -> None:
    assert PAGE.read_text(encoding="utf-8") == page()

"""The papers' networks: our counts are theirs, or the difference is explained by arithmetic."""

import pytest
from torch import nn

from segdistill.config.loading import load_configs, read, recipe_files
from segdistill.delivery.cost import count, count_as_cirkd
from segdistill.models import build_network

from .published import PAGE, RECIPES, Row, close, page, recipe_row, rows

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
    assert without == pytest.approx(0.248, abs=5e-4)
    ours = count(network, (512, 1024)).gmacs
    assert ours - without == pytest.approx(4.422, abs=5e-4)


# Knowledge adaptation's ResNet-50 teacher: maps of a 513x513 image by stride.
POSITIONS = {4: 129**2, 8: 65**2, 16: 33**2}


def striding_gmacs(network: nn.Module) -> float:
    """Return what is saved when a stage's last block strides, and not the next one's first."""
    saved = 0
    for stage, stride in ((1, 4), (2, 8)):
        last = network.get_submodule(f"backbone.body.layer{stage}")[-1]
        first = network.get_submodule(f"backbone.body.layer{stage + 1}")[0]
        weights = (last.conv2.weight, last.conv3.weight, first.conv1.weight)
        saved += sum(each.numel() for each in weights) * (POSITIONS[stride] - POSITIONS[2 * stride])
    return saved / 1e9


def dilation_gmacs(network: nn.Module) -> float:
    """Return what padding adds where a dilated convolution is cut into undilated ones.

    At dilation r TensorFlow pads a map by r on each side, and on to a multiple of r, and
    convolves its r by r interleaved parts without padding. It dilates the first block of the
    last stage too, timm from the second on.
    """
    added = 0
    first = network.get_submodule("backbone.body.layer4")[0].conv2
    for module in network.modules():
        if isinstance(module, nn.Conv2d) and (module.dilation[0] > 1 or module is first):
            rate = 2 if module is first else module.dilation[0]
            part = -(-(33 + 2 * rate) // rate) - 2
            added += module.weight.numel() * ((rate * part) ** 2 - POSITIONS[16])
    return added / 1e9


def test_knowledge_adaptations_teacher_has_a_decoder() -> None:
    row = next(row for row in ROWS if row.network == "DeepLabV3+, ResNet-50")
    assert row.ours.params_m == pytest.approx(26.82, abs=0.005)
    decoder = row.settings | {"network": "deeplabv3", "separable": True}
    without = count(build_network(decoder, classes=row.classes, seed=0), row.size)
    assert row.ours.params_m - without.params_m == pytest.approx(0.163, abs=5e-4)


def test_striding_and_padding_explain_its_operations() -> None:
    row = next(row for row in ROWS if row.network == "DeepLabV3+, ResNet-50")
    network = build_network(row.settings, classes=row.classes, seed=0)
    assert striding_gmacs(network) == pytest.approx(2.15, abs=0.005)
    assert dilation_gmacs(network) == pytest.approx(0.49, abs=0.005)
    gmacs = row.ours.gmacs + dilation_gmacs(network) - striding_gmacs(network)
    assert 2 * gmacs == pytest.approx(90.06, abs=0.005)
    assert close(2 * gmacs, row.flops_g)


def test_skds_public_code_builds_what_we_build() -> None:
    row = next(row for row in ROWS if row.network == "PSPNet, ResNet-18" and "SKD" in row.source)
    ours = row.ours
    assert ours.params_m == pytest.approx(13.07, abs=0.005)
    assert ours.gmacs == pytest.approx(125.8, rel=0.001)


@pytest.mark.parametrize(
    ("backbone", "half", "parameters", "gmacs"),
    [("resnet18", 1, 15.24, 128.2), ("resnet18_half", 2, 3.835, 33.35)],
)
@pytest.mark.parametrize("widths", [(384, 128, 128), (352, 128, 256), (448, 96, 128)])
def test_a_plain_stem_and_a_wider_head_come_near_skds_printed_students(
    backbone: str, half: int, parameters: float, gmacs: float, widths: tuple[int, int, int]
) -> None:
    settings = {
        "network": "pspnet",
        "backbone": backbone,
        "width": widths[0] // half,
        "branch_width": widths[1] // half,
        "auxiliary": True,
        "auxiliary_width": widths[2] // half,
    }
    ours = count(build_network(settings, classes=19), (512, 1024), auxiliary=True)
    assert ours.params_m == pytest.approx(parameters, rel=0.004)
    assert ours.gmacs == pytest.approx(gmacs, rel=0.004)


def test_skds_half_network_has_half_of_every_width() -> None:
    whole, half = (
        row.settings
        for row in ROWS
        if row.network.startswith("PSPNet, ResNet-18") and "SKD" in row.source
    )
    for key in ("width", "branch_width", "auxiliary_width"):
        assert whole[key] == 2 * half[key]
    trunks = [build_network(each, classes=19, seed=0).backbone for each in (whole, half)]
    pairs = zip(*(each.features for each in trunks), strict=True)
    assert all(one.channels == 2 * other.channels for one, other in pairs)


def test_every_recipe_of_a_paper_is_held_against_a_published_network() -> None:
    recipes = {name for name in recipe_files() if name.startswith("papers/")}
    assert {f"papers/{name}" for name in RECIPES} == recipes


@pytest.mark.parametrize("part", ["teacher", "student"])
@pytest.mark.parametrize("recipe", sorted(RECIPES))
def test_a_recipe_builds_the_counted_network(recipe: str, part: str) -> None:
    published = RECIPES[recipe][("teacher", "student").index(part)]
    row = recipe_row(read(f"papers/{recipe}")[part], published)
    if row is None:
        assert published.endswith(("counts no network", "count no network"))
        return
    own, theirs = (
        next(r for r in ROWS if f"{r.source}: {r.network}" == published).ours,
        row.ours,
    )
    assert own.params_m == pytest.approx(theirs.params_m, rel=1e-9), "the network on the page"
    if not row.explanation:
        assert close(row.ours.params_m, row.params_m)
        assert close(row.figure(row.ours), row.flops_g)


@pytest.mark.parametrize("recipe", sorted(RECIPES))
def test_a_recipe_says_how_it_treats_padding(recipe: str) -> None:
    text = recipe_files()[f"papers/{recipe}"].read_text(encoding="utf-8")
    for config in load_configs(f"papers/{recipe}").values():
        kinds = {term.padding for term in config.distill}
        assert "padding: counted" in text if "counted" in kinds else "counted" not in text


def test_the_page_is_in_step() -> None:
    assert PAGE.read_text(encoding="utf-8") == page()

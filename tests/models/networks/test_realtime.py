"""The real-time families: one contract for all, and what is particular to each."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torch.testing import assert_close
from torch.utils.flop_counter import FlopCounterMode

from segdistill.delivery.cost import count
from segdistill.models import build_network
from segdistill.models.context import DeepAggregation, ParallelAggregation
from segdistill.models.networks.pidnet import BoundaryGuided, PixelAttention, ThreeBranches
from segdistill.models.networks.pp_liteseg import AttentionFusion
from segdistill.models.networks.regseg import DilatedBlock
from segdistill.models.networks.seaformer import AxialAttention
from segdistill.models.networks.segnext import StripAttention, factorised, segnext
from segdistill.models.segmenter import Segmenter
from segdistill.models.stdc import DenseModule, ShortTermDense
from segdistill.models.taps import TapShape, describe

Settings = dict[str, object]

STRIDES = {
    "pidnet": 8,
    "ddrnet": 8,
    "stdc": 8,
    "pp_liteseg": 8,
    "bisenetv2": 8,
    "fast_scnn": 8,
    "regseg": 4,
    "segnext": 8,
    "topformer": 8,
    "seaformer": 8,
}
TRAINED_WITH_MORE: list[Settings] = [
    {"network": "pidnet", "variant": "small"},
    {"network": "ddrnet", "variant": "23_slim"},
    {"network": "stdc", "variant": "stdc1"},
    {"network": "pp_liteseg", "variant": "tiny"},
    {"network": "bisenetv2", "width": 64},
    {"network": "fast_scnn"},
]
"""Networks with a head for training alone."""
NETWORKS: list[Settings] = [
    *TRAINED_WITH_MORE,
    {"network": "regseg"},
    {"network": "segnext", "variant": "tiny"},
    {"network": "topformer", "variant": "tiny"},
    {"network": "seaformer", "variant": "tiny"},
]
LARGER: list[Settings] = [
    {"network": "pidnet", "variant": "medium"},
    {"network": "ddrnet", "variant": "23"},
    {"network": "stdc", "variant": "stdc2"},
    {"network": "pp_liteseg", "variant": "base"},
    {"network": "topformer", "variant": "small"},
    {"network": "seaformer", "variant": "large"},
]
SHALLOW: list[Settings] = [
    {"network": "fpn", "backbone": "mobilenetv2_035", "pyramid": 16, "width": 8},
    {"network": "upernet", "backbone": "mobilenetv2_035", "width": 8},
    {"network": "segformer", "backbone": "mit_b0", "width": 8},
]
SIZE = (192, 224)


def build(settings: Settings) -> Segmenter:
    network = build_network(settings, classes=5, seed=0)
    assert isinstance(network, Segmenter)
    return network


def name(settings: Settings) -> str:
    return "-".join(str(settings[key]) for key in ("network", "variant") if key in settings)


@pytest.mark.parametrize("settings", NETWORKS + LARGER, ids=name)
@pytest.mark.parametrize("size", [SIZE, (197, 231)])
def test_logits_come_at_the_networks_own_stride(settings: Settings, size: tuple[int, int]) -> None:
    network = build(settings).eval()
    with torch.no_grad():
        output = network(torch.rand(1, 3, *size))
    stride = STRIDES[str(settings["network"])]
    assert network.stride == stride
    assert output.auxiliary is None
    assert output.logits.shape == (1, 5, -(-size[0] // stride), -(-size[1] // stride))


@pytest.mark.parametrize("settings", NETWORKS + SHALLOW, ids=name)
def test_every_parameter_learns_and_taps_are_named(settings: Settings) -> None:
    network = build(settings).train()
    output = network(torch.rand(2, 3, *SIZE))
    loss = output.logits.square().mean()
    if output.auxiliary is not None:
        assert output.auxiliary.shape[:2] == output.logits.shape[:2]
        loss = loss + output.auxiliary.square().mean()
    loss.backward()
    for parameter, value in network.named_parameters():
        assert value.grad is not None, parameter
    shapes = describe(network, ["backbone", "head", "logits"], SIZE)
    last = network.backbone.features[-1]
    assert shapes["backbone"] == TapShape(last.channels, last.stride)
    assert shapes["head"] == TapShape(network.head.out_channels, network.stride)
    assert shapes["logits"] == TapShape(5, network.stride)


@pytest.mark.parametrize("settings", TRAINED_WITH_MORE, ids=name)
def test_the_training_head_is_on_unless_it_is_turned_off_and_never_counted(
    settings: Settings,
) -> None:
    assert build(settings).auxiliary is not None
    without = build({**settings, "auxiliary": False})
    assert without.auxiliary is None
    assert without.train()(torch.rand(2, 3, *SIZE)).auxiliary is None
    assert count(build(settings), SIZE) == count(without, SIZE)


@pytest.mark.parametrize("settings", TRAINED_WITH_MORE, ids=name)
def test_refuses_a_training_batch_of_one_image(settings: Settings) -> None:
    with pytest.raises(ValueError, match="at least 2 images in a training batch"):
        build(settings).train()(torch.rand(1, 3, *SIZE))


@pytest.mark.parametrize(("network", "smallest"), [("pp_liteseg", 97), ("fast_scnn", 161)])
def test_refuses_an_image_smaller_than_the_heads_grids(network: str, smallest: int) -> None:
    built = build({"network": network}).eval()
    assert built.smallest_image == smallest
    with torch.no_grad():
        assert built(torch.zeros(1, 3, smallest, smallest)).logits.shape[1] == 5
        with pytest.raises(ValueError, match=f"at least {smallest} pixels per side.*larger crop$"):
            built(torch.zeros(1, 3, smallest - 1, 224))


def test_four_blocks_explain_the_printed_figure_of_pidnet_m() -> None:
    trunk = ThreeBranches(64, blocks=4)
    longer = Segmenter(trunk, BoundaryGuided(trunk.features), classes=19)
    cost = count(longer, (1024, 2048))
    assert cost.params_m == pytest.approx(34.4, abs=0.05)
    assert cost.gmacs == pytest.approx(197.4, rel=0.01)


def test_the_norms_explain_the_printed_figure_of_fast_scnn() -> None:
    network = build_network({"network": "fast_scnn", "auxiliary": False}, classes=19)
    norms = [module for module in network.modules() if isinstance(module, nn.BatchNorm2d)]
    every = sum(weight.numel() for weight in network.parameters())
    of_norms = sum(weight.numel() for norm in norms for weight in norm.parameters())
    assert (every - of_norms) / 1e6 == pytest.approx(1.11, abs=0.005)


@pytest.mark.parametrize(("variant", "printed"), [("tiny", 6.6), ("small", 15.9)])
def test_norms_and_resizes_explain_the_printed_figure_of_segnext(
    variant: str, printed: float
) -> None:
    network = segnext(150, variant).eval().to("meta")  # type: ignore[arg-type]
    values = {nn.BatchNorm2d: 0, nn.LayerNorm: 0, nn.GroupNorm: 0}
    for module in network.modules():
        if type(module) in values:
            module.register_forward_hook(
                lambda norm, _, maps: values.update({type(norm): values[type(norm)] + maps.numel()})
            )
    logits = network(torch.zeros(1, 3, 512, 512, device="meta")).logits
    deep = sum(feature.channels for feature in network.backbone.features[2:])
    resized = deep * logits.shape[2] * logits.shape[3] + 150 * 512 * 512
    norms = 2 * values[nn.BatchNorm2d] + 5 * (values[nn.LayerNorm] + values[nn.GroupNorm])
    built = build_network({"network": "segnext", "variant": variant}, classes=150)
    total = count(built, (512, 512)).gmacs
    assert total + (norms + 4 * resized) / 1e9 == pytest.approx(printed, abs=0.05)


def test_attention_by_strips_is_the_equation_of_the_paper() -> None:
    torch.manual_seed(0)
    block = StripAttention(4).double()
    maps = torch.randn(2, 4, 25, 27, dtype=torch.float64)
    gated = F.gelu(F.conv2d(maps, block.enter[0].weight, block.enter[0].bias))
    near = F.conv2d(gated, block.near.weight, block.near.bias, padding=2, groups=4)
    seen = near
    for side, strip in zip((7, 11, 21), block.strips, strict=True):
        # One depthwise convolution of the whole square, the outer product of the two strips.
        row, column = strip[0], strip[1]
        square = column.weight * row.weight
        bias = row.bias * column.weight.sum(dim=(1, 2, 3)) + column.bias
        whole = F.conv2d(near, square, bias, padding=side // 2, groups=4)
        inside = (slice(None), slice(None), slice(10, -10), slice(10, -10))
        assert_close(strip(near)[inside], whole[inside])
        seen = seen + strip(near)
    mixed = F.conv2d(seen, block.mix.weight, block.mix.bias) * gated
    assert_close(block(maps), maps + F.conv2d(mixed, block.leave.weight, block.leave.bias))


def test_factors_come_nearer_and_stay_non_negative() -> None:
    torch.manual_seed(0)
    values = torch.rand(2, 12, 5, dtype=torch.float64) @ torch.rand(2, 5, 40, dtype=torch.float64)
    bases = F.normalize(torch.rand(12, 8, dtype=torch.float64), dim=0)
    products = [factorised(values, bases, steps) for steps in (0, 3, 50)]
    errors = [float((product - values).norm() / values.norm()) for product in products]
    assert errors == sorted(errors, reverse=True)
    assert errors[-1] < 0.05
    assert all((product >= 0).all() for product in products)


def test_the_bases_of_segnext_are_drawn_with_its_weights() -> None:
    settings = {"network": "segnext", "variant": "tiny"}
    first, again, other = (
        build_network(settings, classes=2, seed=seed).get_buffer("head.bases") for seed in (1, 1, 2)
    )
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_a_pyramids_pooling_is_the_adaptive_one_where_64_divides_the_image() -> None:
    maps = torch.randn(1, 3, 16, 32)  # of an image of 128x256 at stride 8
    ours = F.avg_pool2d(maps, 8, ceil_mode=True, count_include_pad=False)
    assert_close(ours, F.adaptive_avg_pool2d(maps, (2, 4)))


@pytest.mark.parametrize(
    ("backbone", "params_m", "gmacs"), [("stdc1", 8.44, 0.813), ("stdc2", 12.47, 1.446)]
)
def test_the_backbone_of_stdc_has_the_published_size_with_its_classifier(
    backbone: str, params_m: float, gmacs: float
) -> None:
    # The classifier: a 1x1 convolution and a linear layer of 1024 with norms, 1000 classes.
    with torch.device("meta"):
        trunk = ShortTermDense(backbone).eval()
        with FlopCounterMode(display=False) as counter, torch.no_grad():
            trunk(torch.zeros(1, 3, 224, 224))
    weights = sum(weight.numel() for weight in trunk.parameters())
    weights += 2 * (1024 * 1024 + 2 * 1024) + 1024 * 1000
    products = counter.get_total_flops() / 2 + 1024 * 1024 * (7 * 7 + 1) + 1024 * 1000
    assert weights / 1e6 == pytest.approx(params_m, abs=0.005)
    assert products / 1e9 == pytest.approx(gmacs, rel=0.01)


def test_a_dense_module_gives_its_four_maps_side_by_side() -> None:
    module = DenseModule(6, 16).eval()
    maps = torch.randn(2, 6, 5, 7)
    with torch.no_grad():
        first = module.first(maps)
        second = module.rest[0](first)
        third = module.rest[1](second)
        fourth = module.rest[2](third)
        assert_close(module(maps), torch.cat([first, second, third, fourth], dim=1))
    assert [part.shape[1] for part in (first, second, third, fourth)] == [8, 4, 2, 2]
    assert DenseModule(6, 16, stride=2).eval()(maps).shape == (2, 16, 3, 4)


def test_context_is_one_value_where_the_map_has_one_position() -> None:
    maps = torch.randn(3, 8, 1, 1)
    for module in (DeepAggregation(8, 4, 6), ParallelAggregation(8, 4, 6)):
        assert module.eval()(maps).shape == (3, 6, 1, 1)


def test_parallel_aggregation_mixes_each_window_apart() -> None:
    module = ParallelAggregation(8, 4, 6)
    assert isinstance(module.mix[-1], nn.Conv2d)
    assert module.mix[-1].groups == 4
    assert len(DeepAggregation(8, 4, 6).mix) == 4


@pytest.mark.parametrize(("logit", "share"), [(30.0, 1.0), (-30.0, 0.0), (0.0, 0.5)])
def test_pixel_attention_takes_the_coarse_map_where_the_two_agree(
    logit: float, share: float
) -> None:
    attention = PixelAttention(2, 2, 1).eval()
    fine, coarse = torch.full((1, 2, 4, 6), 3.0), torch.full((1, 2, 2, 3), 5.0)
    with torch.no_grad():
        for embed, value in ((attention.embed_fine, 1.0), (attention.embed_coarse, logit)):
            embed[0].weight.zero_()
            embed[1].bias.fill_(value)
        thin = attention.thin(coarse)[0, 0, 0, 0]
        expected = share * thin + (1 - share) * 3.0
        assert_close(attention(fine, coarse)[:, 0], expected.expand(1, 4, 6))


def test_a_fusion_of_equal_maps_does_not_depend_on_its_weight() -> None:
    fusion = AttentionFusion(2, 4, 3).eval()
    fine = torch.randn(1, 2, 4, 6)
    with torch.no_grad():
        deep = fusion.thin(fine)
        assert_close(fusion(fine, deep), fusion.project(deep))


def test_parts_of_a_dilated_block_look_as_far_as_they_say() -> None:
    block = DilatedBlock(32, 32, dilations=(1, 14))
    assert [(part.dilation, part.groups) for part in block.parts] == [((1, 1), 1), ((14, 14), 1)]
    assert block.eval()(torch.randn(1, 32, 5, 7)).shape == (1, 32, 5, 7)
    assert DilatedBlock(32, 48, stride=2).eval()(torch.randn(1, 32, 5, 7)).shape == (1, 48, 3, 4)


def test_axial_attention_looks_from_mean_to_mean_of_rows_and_of_columns() -> None:
    torch.manual_seed(0)
    attention = AxialAttention(6, 3, 2).eval()
    for axis in (attention.rows, attention.columns):
        nn.init.normal_(axis.project[2].weight)  # which starts at 0
    maps = torch.randn(1, 6, 5, 4)
    with torch.no_grad():
        query, key, value = (
            part(maps) for part in (attention.query, attention.key, attention.value)
        )
        rows = torch.empty(1, 12, 5)
        for head in range(2):
            keys, values = slice(3 * head, 3 * head + 3), slice(6 * head, 6 * head + 6)
            position = [
                F.interpolate(each[:, keys], size=5, mode="linear")[0]
                for each in (attention.rows.query_positions, attention.rows.key_positions)
            ]
            q = query[0, keys].mean(2) + position[0]
            k = key[0, keys].mean(2) + position[1]
            seen = (q.T @ k / 3**0.5).softmax(1)  # of each row, how much it looks at the others
            rows[0, values] = (seen @ value[0, values].mean(2).T).T
        expected = attention.rows.project(rows[..., None])[..., 0]
        found = attention.rows(query.mean(3), key.mean(3), value.mean(3))
        assert_close(found, expected)
        turned = attention(maps.mT)
        attention.rows, attention.columns = attention.columns, attention.rows
        filters = attention.details[0][0].weight
        filters.copy_(filters.mT.clone())
        assert_close(attention(maps), turned.mT)

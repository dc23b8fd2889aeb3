"""Surfaces of a drawn scene: sky, skyline, ground and the two walls along the street."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from segdistill.data.scenes.canvas import (
    BUILDING,
    FENCE,
    ROAD,
    SIDEWALK,
    SKY,
    VEGETATION,
    Canvas,
    noise,
    single,
)

WALL_END = 110.0
"""Length of the street, m; beyond it is the skyline."""

_FACADES = np.array(
    [
        (0.55, 0.48, 0.38),
        (0.42, 0.20, 0.14),
        (0.35, 0.35, 0.36),
        (0.62, 0.60, 0.55),
        (0.30, 0.33, 0.24),  # olive plaster: the colour of a hedge
        (0.20, 0.27, 0.36),
        (0.50, 0.33, 0.20),
        (0.24, 0.22, 0.21),
    ],
    dtype=np.float32,
)
_LEAVES = np.array(
    [(0.10, 0.22, 0.05), (0.16, 0.24, 0.07), (0.34, 0.20, 0.06), (0.08, 0.14, 0.06)],
    dtype=np.float32,
)


_MIX = (0.55, 0.15, 0.2, 0.1)
_MIX_BEHIND = (0.55, 0.25, 0.0, 0.2)


@dataclass(frozen=True)
class _Wall:
    """One side of the street: segments of buildings, hedges, fences and gaps.

    Attributes:
        ends: distance at which each segment ends, m.
        kinds: class of each segment; SKY is a gap.
        heights: of each segment, m.
        colors: of each segment, ``(n, 3)``.
        styles: four numbers in 0 to 1 a segment that vary its texture.
    """

    ends: np.ndarray
    kinds: np.ndarray
    heights: np.ndarray
    colors: np.ndarray
    styles: np.ndarray


def leaf_color(rng: np.random.Generator) -> np.ndarray:
    """Draw the colour of one plant, from dark green to autumn."""
    return single(_LEAVES[rng.integers(len(_LEAVES))] * rng.uniform(0.7, 1.4, 3))


def draw_street(canvas: Canvas, rng: np.random.Generator) -> None:
    """Paint sky, skyline, ground and walls, back to front."""
    _draw_sky(canvas, rng)
    _draw_skyline(canvas, rng)
    _draw_ground(canvas, rng)
    street = canvas.street
    for setback in (9.0, 0.0):
        for side in (-1, 1):
            offset = street.road + street.walk + setback
            _draw_wall(canvas, _plan_wall(rng, setback), side, offset, rng)


def _draw_sky(canvas: Canvas, rng: np.random.Generator) -> None:
    street = canvas.street
    top = street.haze * rng.uniform((0.35, 0.5, 0.8), (0.95, 1.0, 1.1))
    height = np.clip(canvas.up / 0.5, 0, 1)[..., None] ** 0.7
    canvas.color[:] = street.haze * (1 - height) + top.astype(np.float32) * height
    rise = np.maximum(canvas.up, 0.02)
    drift = rng.integers(0, 256, 2)
    # Clouds lie on a plane overhead, so they flatten towards the horizon.
    cloud = noise(drift[0] + 14 / rise, drift[1] + 14 * canvas.right / rise, cell=16)
    cover = np.clip(cloud * 1.2 + rng.uniform(-0.9, 0.4), 0, 1) * np.clip(canvas.up * 6, 0, 1)
    white = np.float32(rng.uniform(0.75, 1.05)) * street.haze.max()
    canvas.color += (white - canvas.color) * (0.7 * cover)[..., None]


def _draw_skyline(canvas: Canvas, rng: np.random.Generator) -> None:
    steps = rng.uniform(0.01, 0.10, 24) * (rng.random(24) < 0.7)
    place = np.clip((canvas.right[0] + 1.2) * 10, 0, 23).astype(int)
    everywhere = (slice(None), slice(None))
    color = _FACADES[rng.integers(len(_FACADES))]
    canvas.paint(everywhere, (canvas.up >= 0) & (canvas.up < steps[place]), color, BUILDING, 130.0)
    drift = rng.integers(0, 256)
    trees = 0.025 + 0.02 * noise(np.full(1, drift), canvas.right * 220, cell=16)
    lush = rng.uniform(-0.03, 0.02)
    mask = (canvas.up >= 0) & (canvas.up < trees + lush)
    canvas.paint(everywhere, mask, leaf_color(rng), VEGETATION, 120.0)


def _draw_ground(canvas: Canvas, rng: np.random.Generator) -> None:
    street = canvas.street
    first = int(np.searchsorted(-canvas.up[:, 0], 1e-3))
    window = (slice(first, None), slice(None))
    depth = street.eye / -canvas.up[first:]
    x = canvas.right * depth
    z = np.broadcast_to(depth, x.shape)
    drift = rng.integers(0, 256, 2)
    fine = noise(x * 22 + drift[0], depth * 22, cell=1) * np.exp(-depth / 12)
    rough = noise(x * 6 + drift[1], depth * 6, cell=16)
    light = _shadow_of_walls(canvas, x, depth)

    grey = rng.uniform(0.10, 0.24)
    road = np.float32(grey) * (1 + 0.16 * fine + 0.16 * rough)
    road[_markings(x, depth, street.road, rng)] = rng.uniform(0.45, 0.75)
    on_road = np.abs(x) < street.road
    color = (road * light)[on_road][:, None] * single(rng.uniform(0.92, 1.08, 3))
    canvas.fill(window, on_road, color, ROAD, z[on_road])

    # The sidewalk may be as dark as the road: then only its place and its curb tell.
    grey *= rng.uniform(0.85, 1.9)
    slab = np.float32(rng.uniform(0.5, 1.5))
    joints = ((x % slab < 0.06) | (depth % slab < 0.06)) * np.exp(-depth / 10)
    walk = np.float32(grey) * (1 + 0.14 * fine + 0.12 * rough - 0.35 * joints) * light
    walk[np.abs(x) < street.road + 0.16] *= rng.uniform(0.7, 1.7)
    color = walk[~on_road][:, None] * single(rng.uniform(0.9, 1.1, 3))
    canvas.fill(window, ~on_road, color, SIDEWALK, z[~on_road])
    if rng.random() < 0.4:
        side = rng.choice([-1, 1])
        strip = (side * x > street.road + 0.5 * street.walk) & (rough + fine > -0.9)
        grass = ((1 + 0.35 * fine + 0.3 * rough) * light)[strip][:, None] * leaf_color(rng)
        canvas.fill(window, strip, grass, VEGETATION, z[strip])


def _markings(x: np.ndarray, z: np.ndarray, road: float, rng: np.random.Generator) -> np.ndarray:
    lines = (np.abs(x) < 0.08) & (z % 6 < rng.choice([3.0, 6.0]))
    if rng.random() < 0.6:
        lines |= np.abs(np.abs(x) - road + 2.2) < 0.06
    if rng.random() < 0.4:
        start = rng.uniform(7, 25)
        lines |= (z > start) & (z < start + 3) & (x % 1.0 < 0.5) & (np.abs(x) < road - 0.4)
    worn: np.ndarray = lines & (noise(x * 20, z * 20, cell=4) > rng.uniform(-1.0, -0.4))
    return worn


def _shadow_of_walls(canvas: Canvas, x: np.ndarray, z: np.ndarray) -> np.ndarray:
    """Return how much light the ground keeps beside the wall on the sun's side."""
    street = canvas.street
    if not street.sun:
        return np.ones((1, 1), dtype=np.float32)
    reach = (3.0 + 5.0 * noise(np.zeros(1), z * 2, cell=16)).clip(0.5)
    inside = street.road + street.walk - street.sun * x < reach
    return np.where(inside, np.float32(0.38), np.float32(1))


def _plan_wall(rng: np.random.Generator, setback: float) -> _Wall:
    """Draw the segments of one side, from the camera to the end of the street."""
    front = setback == 0
    count = 20
    ends = np.minimum(np.cumsum(rng.uniform(*((4, 16) if front else (10, 30)), count)), WALL_END)
    kinds = rng.choice((BUILDING, VEGETATION, FENCE, SKY), count, p=_MIX if front else _MIX_BEHIND)
    heights = rng.uniform(5, 16, count)
    heights = np.where(kinds == VEGETATION, rng.uniform(1.2, 6, count), heights)
    heights = np.where(kinds == FENCE, rng.uniform(1.4, 3.0, count), heights)
    colors = _FACADES[rng.integers(len(_FACADES), size=count)] * rng.uniform(0.75, 1.25, (count, 3))
    leaves = np.stack([leaf_color(rng) for _ in range(count)])
    colors = np.where((kinds == VEGETATION)[:, None], leaves, colors)
    return _Wall(ends, kinds, single(heights), single(colors), single(rng.random((count, 4))))


def _draw_wall(
    canvas: Canvas, wall: _Wall, side: int, offset: float, rng: np.random.Generator
) -> None:
    street = canvas.street
    columns = np.flatnonzero(side * canvas.right[0] > offset / WALL_END)
    if not len(columns):
        return
    window = (slice(None), slice(columns[0], columns[-1] + 1))
    z = offset / (side * canvas.right[:, window[1]])
    y = canvas.up * z + street.eye
    segment = np.searchsorted(wall.ends, z[0]).clip(max=len(wall.ends) - 1)
    kinds = wall.kinds[segment]
    drift = int(rng.integers(256))
    wobble = np.where(kinds == VEGETATION, 0.35 * noise(np.full(1, drift), z[0] * 9, cell=16), 0)
    there = (y >= 0) & (y < wall.heights[segment] * (1 + wobble))
    light = 0.45 if side == street.sun else 1.15 if street.sun else 0.85
    for kind, texture in ((BUILDING, _facade), (VEGETATION, _hedge), (FENCE, _slats)):
        mask = there & (kinds == kind)
        column = np.nonzero(mask)[1]
        if not len(column):
            continue
        # From here on one row per painted pixel, which are a small part of the window.
        high, deep = y[mask], z[0, column]
        base = wall.colors[segment[column]] * np.float32(light)
        grain = noise(high * 12 + drift, deep * 12, cell=4)
        color = texture(base, grain, high, deep, wall.styles[segment[column]])
        canvas.fill(window, mask, color, kind, deep)


def _facade(
    base: np.ndarray, grain: np.ndarray, y: np.ndarray, z: np.ndarray, styles: np.ndarray
) -> np.ndarray:
    """Windows by floor and bay, shops at street level, bricks."""
    bay, floor = 1.4 + 1.8 * styles[:, 0], 2.7 + 0.8 * styles[:, 1]
    bays, floors = z / bay, y / floor
    across, up = np.abs(bays % 1 - 0.5), floors % 1
    shop = (y < 3.0) & (styles[:, 3] > 0.5)
    window = (across < 0.16 + 0.2 * styles[:, 2]) & (np.abs(up - 0.5) < 0.26)
    glass = np.where(shop, (across < 0.42) & (y > 0.5) & (y < 2.3), window)
    lit = noise(floors.astype(np.int32) * 7, bays.astype(np.int32) * 5, cell=1)
    pane = np.where(lit > 0.55, np.float32(1.9), np.where(lit < -0.3, np.float32(0.22), 0.45))
    gain = np.where(glass, 0.6 * pane, 1 + 0.16 * grain)
    color = base * gain[:, None]
    color += np.where(glass, 0.06 * pane, 0)[:, None]
    # Shop boards in loud colours: looks like a sign, is a building.
    board = shop & (y > 2.35) & (y < 2.9)
    color[board] = styles[board, :3] * np.array((0.7, 0.4, 0.7), dtype=np.float32)
    return color


def _hedge(
    base: np.ndarray, grain: np.ndarray, y: np.ndarray, z: np.ndarray, styles: np.ndarray
) -> np.ndarray:
    clumps = noise(y * 30, z * 30, cell=16)
    leaves: np.ndarray = base * (1 + 0.45 * grain + 0.35 * clumps).clip(0.15)[:, None]
    return leaves


def _slats(
    base: np.ndarray, grain: np.ndarray, y: np.ndarray, z: np.ndarray, styles: np.ndarray
) -> np.ndarray:
    pitch = 0.18 + 0.3 * styles[:, 0]
    gaps = np.where(styles[:, 1] < 0.5, z % pitch < 0.35 * pitch, y % pitch < 0.25 * pitch)
    boards: np.ndarray = base * ((1 + 0.12 * grain) * (1 - 0.6 * gaps * np.exp(-z / 15)))[:, None]
    return boards

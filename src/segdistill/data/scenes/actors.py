"""Things that stand or move in a drawn scene: trees, poles, signs, cars, people, cyclists."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from segdistill.data.scenes.canvas import (
    CAR,
    CYCLIST,
    PERSON,
    POLE,
    ROAD,
    SIDEWALK,
    SIGN,
    VEGETATION,
    Canvas,
    Window,
    noise,
)
from segdistill.data.scenes.street import leaf_color

_PAINTS = np.array(
    [
        (0.02, 0.02, 0.02),
        (0.65, 0.65, 0.65),
        (0.30, 0.31, 0.33),
        (0.42, 0.03, 0.03),
        (0.03, 0.08, 0.32),
        (0.12, 0.13, 0.15),
        (0.04, 0.16, 0.10),
        (0.55, 0.42, 0.10),
    ],
    dtype=np.float32,
)
_PLATES = np.array([(0.6, 0.03, 0.03), (0.03, 0.15, 0.55), (0.75, 0.5, 0.03), (0.7, 0.7, 0.7)])
_SKIN = np.array([(0.55, 0.33, 0.22), (0.30, 0.16, 0.09), (0.12, 0.06, 0.04)])

Actor = Callable[[Canvas, np.random.Generator, float, float], None]


def draw_actors(canvas: Canvas, rng: np.random.Generator) -> None:
    """Draw the numbers and places of all actors, and paint them far to near."""
    road, walk = canvas.street.road, canvas.street.walk
    curb = road + 0.5
    cast: list[tuple[float, float, Actor]] = []

    def add(
        actor: Actor, mean: float, near: float, far: float, *places: tuple[float, float]
    ) -> None:
        for _ in range(rng.poisson(mean)):
            low, high = places[rng.integers(len(places))]
            # Uniform in picture size rather than in metres, or most would be specks.
            z = 1 / rng.uniform(1 / far, 1 / near)
            cast.append((z, rng.uniform(low, high), actor))

    walks = ((-road - walk + 0.3, -road - 0.4), (road + 0.4, road + walk - 0.3))
    curbs = ((-curb - 0.2, -curb), (curb, curb + 0.2))
    add(_tree, 1.6, 9, 60, *curbs, *walks)
    add(_pole, 3.0, 5.5, 40, *curbs)
    add(_signpost, 2.4, 5.5, 25, *curbs)
    add(_car, 2.2, 8, 55, (-road + 1.0, -road + 1.3), (road - 1.3, road - 1.0))
    add(_car, 1.3, 9, 60, (-0.5 * road, -0.35 * road), (0.35 * road, 0.5 * road))
    add(_person, 4.0, 4.5, 25, *walks, *walks, (-road, road))
    add(_cyclist, 1.6, 5, 22, (-road + 0.4, -road + 1.8), (road - 1.8, road - 0.4))
    for z, x, actor in sorted(cast, key=lambda item: -item[0]):
        actor(canvas, rng, x, z)


def _tree(canvas: Canvas, rng: np.random.Generator, x: float, z: float) -> None:
    middle, wide, tall = rng.uniform(3.2, 5.0), rng.uniform(1.1, 2.4), rng.uniform(1.3, 2.6)
    window = canvas.window(x, z, wide + 0.4, middle + tall + 0.4)
    if window is None:
        return
    a, b = canvas.local(window, x, z)
    bark = rng.uniform(0.03, 0.12) * np.array((1.2, 1.0, 0.8))
    canvas.paint(window, (np.abs(a) < 0.14) & (b > 0) & (b < middle), bark, VEGETATION, z)
    drift = rng.integers(0, 256, 2)
    clumps = noise(a * 14 + drift[0], b * 14 + drift[1], cell=16)
    leaves = noise(a * 20 + drift[1], b * 20, cell=4)
    edge = (a / wide) ** 2 + ((b - middle) / tall) ** 2 + 0.32 * clumps + 0.12 * leaves
    # Lit from above; clumps give depth.
    light = 0.75 + 0.3 * (b - middle) / tall + 0.35 * clumps + 0.3 * leaves
    color = leaf_color(rng) * light.clip(0.12)[..., None]
    canvas.paint(window, edge < 1, color, VEGETATION, z)


def _pole(canvas: Canvas, rng: np.random.Generator, x: float, z: float) -> None:
    top, half = rng.uniform(3.0, 8.0), rng.uniform(0.07, 0.14)
    arm = rng.uniform(0.8, 2.2) * (rng.random() < 0.6)
    window = canvas.window(x, z, arm + 0.2, top + 0.1)
    if window is None:
        return
    a, b = canvas.local(window, x, z)
    side = -1 if x > 0 else 1
    mask = (np.abs(a) < half) & (b > 0) & (b < top)
    mask |= (side * a > 0) & (side * a < arm) & (np.abs(b - top + 0.1) < 0.06)
    color = rng.uniform(0.03, 0.4) * (1.15 - 2.5 * np.abs(a)).clip(0.5)[..., None]
    canvas.paint(window, mask, color * np.ones(3), POLE, z)
    if rng.random() < 0.25 and top > 4:
        _lights(canvas, rng, x, z)


def _lights(canvas: Canvas, rng: np.random.Generator, x: float, z: float) -> None:
    """Draw a traffic light, which counts as a sign."""
    window = canvas.window(x, z, 0.3, 3.6)
    if window is None:
        return
    a, b = canvas.local(window, x, z)
    canvas.paint(window, (np.abs(a) < 0.2) & (b > 2.4) & (b < 3.4), 0.02, SIGN, z)
    on = int(rng.integers(3))
    for place, color in enumerate(((0.9, 0.05, 0.03), (0.9, 0.5, 0.03), (0.05, 0.7, 0.25))):
        lamp = a**2 + (b - 3.2 + 0.3 * place) ** 2 < 0.015
        canvas.paint(window, lamp, np.array(color) * (1.0 if on == place else 0.12), SIGN, z)


def _signpost(canvas: Canvas, rng: np.random.Generator, x: float, z: float) -> None:
    high, size = rng.uniform(2.0, 3.0), rng.uniform(0.35, 0.6)
    window = canvas.window(x, z, 2 * size, high + size + 0.1)
    if window is None:
        return
    a, b = canvas.local(window, x, z)
    canvas.paint(window, (np.abs(a) < 0.06) & (b > 0) & (b < high), 0.25, POLE, z)
    color, c = _PLATES[rng.integers(len(_PLATES))], b - high
    shape = rng.integers(4)
    radius: np.ndarray
    if shape == 0:
        radius = np.sqrt(a**2 + c**2) / size
    elif shape == 1:
        radius = np.maximum(np.abs(a), np.abs(c)) / (0.85 * size)
    elif shape == 2:
        radius = np.maximum(-c, 0.5 * c + 0.87 * np.abs(a)) / (0.5 * size)
    else:
        radius = np.maximum(np.abs(a) / 1.8, np.abs(c) * 1.2) / size
    canvas.paint(window, radius < 1, color, SIGN, z)
    inner = np.array(rng.choice([0.75, 0.05])) * np.ones(3)
    canvas.paint(window, radius < rng.uniform(0.4, 0.75), inner, SIGN, z)


def _car(canvas: Canvas, rng: np.random.Generator, x: float, z: float) -> None:
    """Draw a box in perspective: the flank towards the camera's axis, then front or rear."""
    half, roof, length = rng.uniform(0.82, 0.98), rng.uniform(1.35, 1.9), rng.uniform(3.6, 5.0)
    belt = rng.uniform(0.8, 0.95)
    paint = _PAINTS[rng.integers(len(_PAINTS))] * rng.uniform(0.8, 1.2)
    _shadow(canvas, x, z, 1.15 * half, 0.35)
    inner = x - half if x > 0 else x + half
    if abs(inner) > 0.3 and abs(x) > half:
        _flank(canvas, paint, inner, z, length, (belt, roof))
    window = canvas.window(x, z, half, roof)
    if window is None:
        return
    a, b = canvas.local(window, x, z)
    slope = np.where(b < belt, half, half - 0.25 * (b - belt) / (roof - belt))
    body = (np.abs(a) < slope) & (b > 0.28) & (b < roof)
    wheels = (np.abs(np.abs(a) - half + 0.16) < 0.13) & (b > 0) & (b < 0.4)
    shade = (0.75 + 0.3 * b / roof)[..., None]
    canvas.paint(window, wheels, 0.012, CAR, z)
    canvas.paint(window, body, paint * shade, CAR, z)
    glass = (np.abs(a) < slope - 0.14) & (b > belt + 0.06) & (b < roof - 0.12)
    canvas.paint(window, glass, 0.05 + 0.25 * (b[..., None] - belt) * np.ones(3), CAR, z)
    lamps = (np.abs(np.abs(a) - half + 0.2) < 0.13) & (np.abs(b - belt + 0.14) < 0.08)
    lamp = (0.55, 0.02, 0.02) if rng.random() < 0.6 else (0.9, 0.88, 0.75)
    canvas.paint(window, lamps, np.array(lamp), CAR, z)
    canvas.paint(window, (np.abs(a) < 0.26) & (np.abs(b - 0.52) < 0.06), 0.6, CAR, z)


def _flank(
    canvas: Canvas,
    paint: np.ndarray,
    x: float,
    z: float,
    length: float,
    heights: tuple[float, float],
) -> None:
    belt, roof = heights
    far = z + length
    first, last = sorted((canvas.street.center + x * canvas.street.focal / d) for d in (z, far))
    columns = slice(max(0, int(first)), min(canvas.label.shape[1], int(last) + 1))
    if columns.start >= columns.stop:
        return
    right = canvas.right[:, columns]
    depth = x / np.where(right == 0, 1e-6, right)
    y = canvas.up * depth + canvas.street.eye
    along = (depth - z) / length
    inside = (along > 0) & (along < 1)
    cabin = np.interp(along, (0.0, 0.04, 0.12, 0.6, 0.78, 1.0), (0.6, 0.95, 1, 1, 0.05, 0)) ** 0.8
    top = belt + (roof - belt) * cabin
    wheels = np.zeros(y.shape, dtype=bool)
    for axle in (0.2, 0.8):
        wheels |= ((along - axle) * length) ** 2 + (y - 0.32) ** 2 < 0.1
    window: Window = (slice(None), columns)
    canvas.paint(window, inside & (y > 0.28) & (y < top), 0.62 * paint + 0.01, CAR, depth)
    glass = inside & (y > belt + 0.05) & (y < top - 0.12) & (np.abs(along - 0.36) > 0.025)
    canvas.paint(window, glass, 0.04, CAR, depth)
    canvas.paint(window, wheels & inside, 0.012, CAR, depth)


def _person(canvas: Canvas, rng: np.random.Generator, x: float, z: float) -> None:
    tall = rng.choice([rng.uniform(1.55, 1.95), rng.uniform(1.0, 1.4)], p=[0.85, 0.15])
    window = canvas.window(x, z, 0.6 * tall / 1.75, tall)
    if window is None:
        return
    _shadow(canvas, x, z, 0.28, 0.5)
    a, b = (part * (1.75 / tall) for part in canvas.local(window, x, z))
    stride = rng.uniform(0.02, 0.2)
    for leg in (-1, 1):
        middle = leg * (0.08 + stride * (0.85 - b).clip(0))
        mask = (np.abs(a - middle) < 0.085) & (b > 0) & (b < 0.88)
        canvas.paint(window, mask, _cloth(rng) if leg < 0 else _cloth(rng) * 0.7, PERSON, z)
    _torso(canvas, rng, window, (a, b), z, PERSON)


def _torso(
    canvas: Canvas,
    rng: np.random.Generator,
    window: Window,
    local: tuple[np.ndarray, np.ndarray],
    z: float,
    label: int,
) -> None:
    a, b = local
    coat = _cloth(rng)
    swing = rng.uniform(-0.12, 0.12)
    long = rng.uniform(0.5, 0.85)
    canvas.paint(window, (np.abs(a) < 0.2) & (b > long) & (b < 1.45), coat, label, z)
    arms = np.abs(np.abs(a + swing * (1.4 - b)) - 0.25) < 0.06
    canvas.paint(window, arms & (b > 0.8) & (b < 1.42), coat * 0.75, label, z)
    skin = _SKIN[rng.integers(len(_SKIN))]
    canvas.paint(window, (a / 0.11) ** 2 + ((b - 1.6) / 0.14) ** 2 < 1, skin, label, z)
    hair = (a / 0.12) ** 2 + ((b - 1.66) / 0.11) ** 2 < 1
    canvas.paint(window, hair & (b > 1.6), rng.uniform(0.01, 0.2) * np.ones(3), label, z)


def _cyclist(canvas: Canvas, rng: np.random.Generator, x: float, z: float) -> None:
    side_on = rng.random() < 0.55
    window = canvas.window(x, z, 1.1, 1.9)
    if window is None:
        return
    _shadow(canvas, x, z, 0.7 if side_on else 0.3, 0.5)
    a, b = canvas.local(window, x, z)
    dark = rng.uniform(0.01, 0.1) * np.ones(3)
    bike = np.zeros(np.broadcast(a, b).shape, dtype=bool)
    if side_on:
        for axle in (-0.52, 0.52):
            bike |= np.abs(np.sqrt((a - axle) ** 2 + (b - 0.34) ** 2) - 0.3) < 0.045
        bike |= (np.abs(b - 0.62 + 0.15 * a) < 0.035) & (np.abs(a) < 0.45)
        bike |= (np.abs(a - 0.48 + 0.2 * (b - 0.34)) < 0.03) & (b > 0.34) & (b < 1.0)
    else:
        bike |= (np.abs(a) < 0.05) & (b > 0) & (b < 0.7)
        bike |= (np.abs(a) < 0.3) & (np.abs(b - 1.0) < 0.035)
    canvas.paint(window, bike, dark, CYCLIST, z)
    lean = 0.28 * (b - 0.85) if side_on else 0.0 * b
    legs = (np.abs(np.abs(a) - 0.09) < 0.075) & (b > 0.25) & (b < 0.95)
    canvas.paint(window, legs, _cloth(rng), CYCLIST, z)
    _torso(canvas, rng, window, (a - lean, b - 0.1), z, CYCLIST)


def _cloth(rng: np.random.Generator) -> np.ndarray:
    """Return the colour of a garment: mostly dark and grey, sometimes bright."""
    if rng.random() < 0.65:
        return rng.uniform(0.015, 0.25) * rng.uniform(0.85, 1.15, 3)
    return rng.uniform(0.02, 0.6, 3)


def _shadow(canvas: Canvas, x: float, z: float, half: float, strength: float) -> None:
    """Darken the ground under an actor; its labels do not change."""
    street = canvas.street
    scale = street.focal / z
    row, column = street.horizon + street.eye * scale, street.center + x * scale
    wide, tall = max(1.0, half * scale), max(1.0, 0.3 * half * street.eye * scale / z * 4)
    height, width = canvas.label.shape
    rows = slice(max(0, int(row - tall)), min(height, int(row + tall) + 1))
    columns = slice(max(0, int(column - wide)), min(width, int(column + wide) + 1))
    if rows.start >= rows.stop or columns.start >= columns.stop:
        return
    v = (np.arange(rows.start, rows.stop)[:, None] - row) / tall
    h = (np.arange(columns.start, columns.stop)[None, :] - column) / wide
    label = canvas.label[rows, columns]
    under = (h**2 + v**2 < 1) & ((label == ROAD) | (label == SIDEWALK))
    canvas.color[rows, columns][under] *= strength

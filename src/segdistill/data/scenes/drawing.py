"""Draws one street scene: conditions, then things from far to near, then the exposure."""

from __future__ import annotations

import numpy as np

from segdistill.data.scenes.actors import draw_actors
from segdistill.data.scenes.canvas import Canvas, Street, single
from segdistill.data.scenes.street import draw_street

_HAZES = np.array(
    [(0.62, 0.72, 0.85), (0.72, 0.74, 0.76), (0.85, 0.66, 0.48), (0.42, 0.48, 0.60)],
    dtype=np.float32,
)


def draw_scene(rng: np.random.Generator, height: int, width: int) -> tuple[np.ndarray, np.ndarray]:
    """Draw one street scene with its mask.

    The scene is drawn at twice the size; a pixel is the mean of its four samples, and its
    class is the one that most of them have.

    Args:
        rng: source of all that varies.
        height: of the result, px.
        width: of the result, px.

    Shape:
        Results uint8 ``(height, width, 3)`` and uint8 ``(height, width)``.

    Returns:
        RGB image and class ids.
    """
    street = _draw_conditions(rng, 2 * height, 2 * width)
    canvas = Canvas(2 * height, 2 * width, street)
    draw_street(canvas, rng)
    draw_actors(canvas, rng)
    return _expose(canvas.color, rng), _majority(canvas.label)


def _draw_conditions(rng: np.random.Generator, height: int, width: int) -> Street:
    haze = _HAZES[rng.choice(len(_HAZES), p=[0.35, 0.3, 0.15, 0.2])]
    return Street(
        focal=width * rng.uniform(0.8, 1.15),
        center=width * rng.uniform(0.3, 0.7),
        horizon=height * rng.uniform(0.36, 0.54),
        eye=rng.uniform(1.4, 2.2),
        road=rng.uniform(2.8, 5.0),
        walk=rng.uniform(1.8, 4.2),
        sun=int(rng.choice([-1, 0, 1])),
        haze=(haze * rng.uniform(0.85, 1.1)).astype(np.float32),
        sight=float(np.exp(rng.uniform(np.log(60), np.log(500)))),
    )


def _expose(color: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Turn linear light into the bytes of a small camera: balance, lens, gamma, noise."""
    height, width = color.shape[0] // 2, color.shape[1] // 2
    rows = color[::2] + color[1::2]
    light = (rows[:, ::2] + rows[:, 1::2]) / 4
    if rng.random() < 0.35:
        light = _soften(light, rng.uniform(0.1, 0.3))
    exposure = float(np.exp(rng.normal(0.05, 0.3)))
    balance = rng.uniform(0.88, 1.12, 3)
    down = np.linspace(-1, 1, height)[:, None, None] ** 2
    across = np.linspace(-1, 1, width)[None, :, None] ** 2
    vignette = 1 - rng.uniform(0.0, 0.25) * (down + across) / 2
    light = (light * single(exposure * balance * vignette)).clip(0)
    # Shot noise grows with light, read noise does not.
    strength = np.float32(rng.uniform(0.004, 0.03))
    grain = rng.standard_normal(light.shape, dtype=np.float32)
    light = (light + grain * strength * np.sqrt(light + 0.02)).clip(0)
    tone = light * 1.1 / (1 + 0.25 * light)
    picture: np.ndarray = 255 * tone.clip(0, 1) ** (1 / rng.uniform(1.9, 2.3)) + 0.5
    return picture.astype(np.uint8)


def _soften(light: np.ndarray, share: float) -> np.ndarray:
    """Move a share of each pixel's light to each side, along both axes."""
    for axis in (0, 1):
        padded = np.pad(light, [(1, 1) if i == axis else (0, 0) for i in range(3)], mode="edge")
        size = light.shape[axis]
        before, after = (padded.take(range(s, s + size), axis=axis) for s in (0, 2))
        light = (1 - 2 * share) * light + share * (before + after)
    return light


def _majority(label: np.ndarray) -> np.ndarray:
    """Return the most frequent class of each 2×2 block; the first of them in a tie."""
    a, b, c, d = (label[row::2, column::2] for row in (0, 1) for column in (0, 1))
    # With four votes, a loses only if b, c or d has a partner and a has none.
    alone = (a != b) & (a != c) & (a != d)
    paired = np.where((b == c) | (b == d), b, np.where(c == d, c, a))
    result: np.ndarray = np.where(alone, paired, a)
    return result

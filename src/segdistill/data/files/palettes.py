"""Display colours of classes: by rule, from hex, or made up where a dataset gives none."""

from __future__ import annotations

import colorsys

Color = tuple[int, int, int]


def distinct_colors(count: int) -> tuple[Color, ...]:
    """Return colours of which neighbours are far apart on the colour wheel."""
    colors = []
    for label in range(count):
        # The golden ratio spreads any number of hues; the value alternates for close ones.
        hue, value = label * 0.618034 % 1.0, (0.95, 0.7)[label % 2]
        red, green, blue = colorsys.hsv_to_rgb(hue, 0.65, value)
        colors.append((round(255 * red), round(255 * green), round(255 * blue)))
    return tuple(colors)


def voc_colors(count: int) -> tuple[Color, ...]:
    """Return the colours of Pascal VOC: the bits of the id, dealt to red, green and blue in turn.

    Source:
        VOCdevkit, ``VOCcode/VOClabelcolormap.m``.
    """
    colors = []
    for label in range(count):
        red = green = blue = 0
        for level in range(8):
            bits = label >> (3 * level)
            red |= (bits & 1) << (7 - level)
            green |= (bits >> 1 & 1) << (7 - level)
            blue |= (bits >> 2 & 1) << (7 - level)
        colors.append((red, green, blue))
    return tuple(colors)


def hex_colors(words: str) -> tuple[Color, ...]:
    """Return the colours of six-digit hex numbers that are separated by spaces."""
    return tuple((int(w[:2], 16), int(w[2:4], 16), int(w[4:], 16)) for w in words.split())

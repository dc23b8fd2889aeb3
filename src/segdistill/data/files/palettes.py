"""Display colours of classes: by rule, from hex, or made up where a dataset gives none."""

from __future__ import annotations

import colorsys

Color = tuple[int, int, int]


def distinct_colors(count: int) -> tuple[Color, ...]:
    """Return colours with neighbours far apart on the colour wheel."""
    colors = []
    for place in range(count):
        # The golden ratio spreads any number of hues; value alternates for close ones.
        hue, value = place * 0.618034 % 1.0, (0.95, 0.7)[place % 2]
        red, green, blue = colorsys.hsv_to_rgb(hue, 0.65, value)
        colors.append((round(255 * red), round(255 * green), round(255 * blue)))
    return tuple(colors)


def voc_colors(count: int) -> tuple[Color, ...]:
    """Return the colours of Pascal VOC, whose bits are those of the id, dealt to RGB.

    Source:
        VOCdevkit, ``VOCcode/VOClabelcolormap.m``.
    """
    colors = []
    for place in range(count):
        red = green = blue = 0
        for level in range(8):
            bits = place >> (3 * level)
            red |= (bits & 1) << (7 - level)
            green |= (bits >> 1 & 1) << (7 - level)
            blue |= (bits >> 2 & 1) << (7 - level)
        colors.append((red, green, blue))
    return tuple(colors)


def hex_colors(words: str) -> tuple[Color, ...]:
    """Return the colours of six-digit hex numbers with spaces between them."""
    return tuple((int(w[:2], 16), int(w[2:4], 16), int(w[4:], 16)) for w in words.split())

"""Colours by category id: stable, since ids are never reused, and told apart at a glance where ids are small."""

import colorsys

Colour = tuple[int, int, int]  # red, green, blue; 0 to 255

BACKGROUND: Colour = (0, 0, 0)
# Chosen by hand to differ in hue and lightness, on grey and on black, most different first.
FIRST: tuple[Colour, ...] = (
    (230, 57, 70),
    (67, 170, 255),
    (255, 190, 11),
    (46, 196, 120),
    (190, 100, 255),
    (255, 120, 20),
    (0, 210, 210),
    (255, 105, 180),
    (160, 200, 30),
    (90, 90, 230),
    (170, 110, 60),
    (255, 170, 150),
    (0, 130, 110),
    (180, 30, 110),
    (150, 200, 255),
    (120, 130, 20),
)
# Steps along hue, saturation and value that fill a cube evenly, however many are taken (the R3 sequence).
STEPS = (0.8191725133961645, 0.6710436067037893, 0.5497004779019703)


def colour(category_id: int) -> Colour:
    """The colour of a category; 0 is the background."""
    if category_id == 0:
        return BACKGROUND
    if category_id <= len(FIRST):
        return FIRST[category_id - 1]
    hue, saturation, value = (category_id * step % 1.0 for step in STEPS)
    red, green, blue = colorsys.hsv_to_rgb(hue, 0.4 + 0.6 * saturation, 0.5 + 0.5 * value)
    return round(red * 255), round(green * 255), round(blue * 255)


def palette(highest: int) -> bytes:
    """Red, green, blue of the values 0 to `highest`, as a PNG's palette wants them (`highest` at most 255)."""
    return bytes(channel for value in range(highest + 1) for channel in colour(value))

"""Chart and thumbnails: what they show, read by another program, and that they stay small."""

import io

import numpy as np
import pytest
from PIL import Image
from pycocotools import mask as pycoco

from encord_dagster.formats import png
from encord_dagster.formats.chart import ClassBar, chart
from encord_dagster.formats.forms import Rle
from encord_dagster.formats.palette import colour
from encord_dagster.formats.thumbnail import GROUND, Scene, Shape, strip
from encord_dagster.geometry import Ring

BOX: Ring = (25.0, 10.0, 75.0, 10.0, 75.0, 40.0, 25.0, 40.0)


def opened(data: bytes) -> np.ndarray:
    """The colours of a picture, [y, x, channel], as Pillow sees them."""
    return np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))


def colours(data: bytes) -> set[tuple[int, ...]]:
    """Which colours a picture has."""
    return {tuple(int(one) for one in pixel) for pixel in opened(data).reshape(-1, 3)}


@pytest.mark.parametrize(("highest", "width"), [(3, 7), (15, 8), (16, 7), (255, 9)])
def test_a_small_picture_is_read_by_another_program(highest: int, width: int) -> None:
    """With half a byte a pixel, where widths are odd, and with a whole one."""
    pixels = (np.arange(5 * width, dtype=np.int64) % (highest + 1)).astype(np.uint8).reshape(5, width)
    palette = bytes(channel for value in range(highest + 1) for channel in (value, 255 - value, 7))

    read = opened(png.write_small(pixels, palette))

    assert (read[..., 0] == pixels).all()
    assert (read[..., 1] == 255 - pixels).all()


def test_bars_are_as_long_as_counts_and_in_the_colours_of_the_masks() -> None:
    """So a class looks the same in the chart, the previews and the masks."""
    read = opened(chart([ClassBar(1, "Car", 100), ClassBar(2, "Truck", 50)]))

    car, truck = ((read == colour(number)).all(axis=2).any(axis=0).sum() for number in (1, 2))
    assert car == 2 * truck > 0


def test_a_class_that_is_gone_has_a_grey_bar_alone() -> None:
    """It is what people must see first."""
    assert colour(3) not in colours(chart([ClassBar(1, "Car", 5, 5), ClassBar(3, "Lane", 0, 9)]))


def test_a_name_without_letters_of_ours_is_a_number() -> None:
    """Nothing breaks, and nothing is drawn that a terminal could take for more than letters."""
    strange = chart([ClassBar(7, "車\n\x1b[31m", 1)])

    assert opened(strange).tolist() == opened(chart([ClassBar(7, "category 7", 1)])).tolist()


def test_empty_counts_make_a_picture() -> None:
    """A version may hold classes without objects."""
    assert opened(chart([ClassBar(1, "Car", 0)])).shape[0] > 0


def test_a_shape_is_where_it_was_labelled() -> None:
    """Scaled to the size of the preview, faint inside and full on its edge."""
    read = opened(strip([Scene(100, 50, (Shape(1, (BOX,)),))], high=25, wide=50))

    assert read.shape == (25, 50, 3)
    assert tuple(read[5, 25]) == colour(1)
    assert tuple(read[12, 25]) == tuple((one + other) // 2 for one, other in zip(colour(1), GROUND, strict=True))
    assert tuple(read[2, 2]) == GROUND


def test_a_mask_is_drawn_as_the_outline_that_it_is_of() -> None:
    """Without a mask as large as its image being made."""
    made = pycoco.frPyObjects([list(BOX)], 50, 100)[0]
    runs = Rle((50, 100), made["counts"].decode())

    one, other = (opened(strip([Scene(100, 50, (Shape(1, given),))], high=25, wide=50)) for given in ((BOX,), runs))

    assert (one != other).any(axis=2).mean() < 0.05


def test_points_and_lines_are_drawn_and_joints_that_are_not_there_are_not() -> None:
    """COCO gives them no area."""
    line = Scene(100, 50, (Shape(2, (), polyline=(0.0, 25.0, 99.0, 25.0)),))
    joints = Scene(100, 50, (Shape(1, (), keypoints=(50.0, 25.0, 2.0, 80.0, 5.0, 0.0)),))

    assert (opened(strip([line], high=50, wide=100)) == colour(2)).all(axis=2).any(axis=0).all()
    assert (opened(strip([joints], high=50, wide=100)) == colour(1)).all(axis=2).sum() == 4


def test_many_classes_share_what_a_palette_holds() -> None:
    """More than it has colours for."""
    shapes = tuple(Shape(number, (BOX,)) for number in range(1, 400))

    assert len(colours(strip([Scene(100, 50, shapes)], high=50, wide=100))) > 1


def test_pictures_of_other_heights_stand_side_by_side() -> None:
    """Upright ones and wide ones."""
    scenes = [Scene(100, 50, (Shape(1, (BOX,)),)), Scene(50, 100, (Shape(1, (BOX,)),))]

    assert opened(strip(scenes, high=60, wide=60)).shape == (60, 60 + 4 + 30, 3)

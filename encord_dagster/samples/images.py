"""Rows of cameras: images, image groups, image sequences and videos of streets."""

from collections.abc import Mapping, Sequence

import msgspec

from encord_dagster.samples import scenes, stamps
from encord_dagster.samples.bodies import Body, Draft, raw
from encord_dagster.samples.document import DataUnit, Labels
from encord_dagster.samples.labels import RowLabels, classify, label
from encord_dagster.samples.scenes import Drawn

SIZES = ((1280, 720), (720, 1280), (641, 481), (1024, 576))
VIDEO_FRAMES = (0, 1, 2, 3, 4, 10, 20, 30, 48)
EMPTY_VIDEO_FRAME = 49


def image(draft: Draft) -> Body:
    """A street, its classifications as entries on the frame."""
    return _one_image(draft, by_range=False)


def image_by_range(draft: Draft) -> Body:
    """A street, its classifications in the newer encoding."""
    return _one_image(draft, by_range=True)


def _one_image(draft: Draft, *, by_range: bool) -> Body:
    width, height = draft.size
    street = scenes.street(draft.random)
    labels = _labelled({0: tuple(scenes.draw_street(street, width=width, height=height))}, draft, by_range=by_range)
    title = f"{stamps.DRIVER_NAME}_front_{draft.random.randrange(10**6):06}.jpg"
    return Body("image", title, [_file(draft.data_hash, title, 0, draft.size, labels.frames[0])], labels)


def unlabelled_image(draft: Draft) -> Body:
    """An image nobody has labelled yet."""
    title = f"{stamps.DRIVER_NAME}_rear_{draft.random.randrange(10**6):06}.png"
    unit = _file(draft.data_hash, title, 0, draft.size, Labels([], []), mime="image/png")
    return Body("image", title, [unit], label({}, random=draft.random, at=draft.start))


def image_group(draft: Draft) -> Body:
    """Three images of different sizes and streets, of which the last has no labels."""
    drawn: dict[int, Sequence[Drawn]] = {}
    for number, (width, height) in enumerate(SIZES[:2]):
        scene = scenes.draw_street(scenes.street(draft.random), width=width, height=height)
        drawn[number] = [msgspec.structs.replace(item, track=f"{number} {item.track}") for item in scene]
    labels = _labelled({**drawn, 2: ()}, draft, by_range=False)
    units = [
        _file(stamps.uuid4(draft.random), f"{stamps.DRIVER_NAME}_{n}.png", n, SIZES[n], frame, mime="image/png")
        for n, frame in labels.frames.items()
    ]
    return Body("img_group", f"{stamps.DRIVER_NAME} walk", units, labels, is_image_sequence=False)


def image_sequence(draft: Draft) -> Body:
    """Four images of one size that follow one another, with tracks across them."""
    size = (1024, 576)
    street = scenes.street(draft.random)
    drawn = {n: tuple(scenes.draw_street(street, width=size[0], height=size[1], time=5 * n)) for n in range(4)}
    labels = _labelled(drawn, draft, by_range=True)
    units = [
        _file(stamps.uuid4(draft.random), f"{stamps.DRIVER_NAME}_{n:04}.jpg", n, size, frame)
        for n, frame in labels.frames.items()
    ]
    link = stamps.link("videos", f"image-sequence-{draft.data_hash[:8]}.mp4")
    return Body("img_group", f"{stamps.DRIVER_NAME} drive", units, labels, is_image_sequence=True, video_link=link)


def video(draft: Draft) -> Body:
    """A video of two seconds with some labelled frames and an empty one."""
    width, height = draft.size
    street = scenes.street(draft.random)
    drawn = {n: tuple(scenes.draw_street(street, width=width, height=height, time=n)) for n in VIDEO_FRAMES}
    labels = _labelled({**drawn, EMPTY_VIDEO_FRAME: ()}, draft, by_range=False)
    classify(labels, "Image quality", by_range=True, random=draft.random, at=draft.start)
    title, link = f"{stamps.DRIVER_NAME}_dashcam.mp4", stamps.link("videos", draft.data_hash)
    unit = DataUnit(
        data_hash=draft.data_hash,
        data_title=title,
        data_type="video/mp4",
        data_sequence=0,
        labels=raw(labels.frames),
        data_fps=25.0,
        data_duration=2.0,
        data_link=link,
        width=width,
        height=height,
    )
    return Body("video", title, [unit], labels, video_link=link)


def _labelled(drawn: Mapping[int, Sequence[Drawn]], draft: Draft, *, by_range: bool) -> RowLabels:
    labels = label(drawn, random=draft.random, at=draft.start)
    classify(labels, "Weather", by_range=by_range, random=draft.random, at=draft.start)
    classify(labels, "Hazards", by_range=by_range, random=draft.random, at=draft.start)
    return labels


def _file(
    data_hash: str, title: str, number: int, size: tuple[int, int], labels: Labels, *, mime: str = "image/jpeg"
) -> DataUnit:
    return DataUnit(
        data_hash=data_hash,
        data_title=title,
        data_type=mime,
        data_sequence=number,
        labels=raw(labels),
        data_link=stamps.link("images", data_hash),
        width=size[0],
        height=size[1],
    )

"""Labels of some images, drawn."""

from collections.abc import Iterable, Mapping, Sequence

import msgspec

from encord_dagster.page.markup import Html, chip, element, none, picture, section, text


class Picture(msgspec.Struct, frozen=True, kw_only=True):
    """Labels of one image, drawn; of two versions where `before` has something."""

    png: bytes
    label_hash: str
    file_name: str
    classes: tuple[int, ...]
    before: bytes = b""


def samples(found: Sequence[Picture], names: Mapping[int, str]) -> Html:
    """Labels of some images. The images themselves are not at hand."""
    if not found:
        return section("Samples", none("images that can be drawn"))
    words = element(
        "p", text("Labels of some images, on grey: the images themselves are not in the lake."), kind="faint"
    )
    return section("Samples", words, legend(found, names), samples_of(found))


def legend(found: Iterable[Picture], names: Mapping[int, str]) -> Html:
    """The classes of some pictures, in their colours."""
    ids = sorted({one for seen in found for one in seen.classes})
    return element(
        "p", *(element("span", chip(one), text(names.get(one, f"category {one}"))) for one in ids), kind="legend"
    )


def samples_of(found: Iterable[Picture]) -> Html:
    """The pictures side by side."""
    return element("div", *map(_figure, found), kind="figures")


def _figure(one: Picture) -> Html:
    drawn = picture(one.png, "labels")
    both = element("div", picture(one.before, "labels before"), drawn, kind="pair") if one.before else drawn
    place = text(one.file_name or one.label_hash, most=120)
    return element("figure", both, element("figcaption", place))

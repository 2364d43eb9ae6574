"""Rows of a version for formats that are written at checkout: those on one data unit come together, others alone."""

import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from encord_dagster.config import LabelSetConfig
from encord_dagster.errors import IdClash
from encord_dagster.formats import writing
from encord_dagster.formats.labelled import merged
from encord_dagster.formats.selection import Selection
from encord_dagster.label_set import labelled, manifest
from encord_dagster.label_set.labelled import together
from tests import factories
from tests.lakes import Desk, exported_again, images_export, project_export
from tests.published import Json, coco_of
from tests.written import checked_out, desk_of


def groups(desk: Desk) -> Iterator[list[str]]:
    """The label hashes of rows that come together."""
    version = desk.label_set().version()
    for rows in together(version.lake, version.root):
        yield [row.images[0].encord.label_hash for row in rows]


def image_row(label_hash: str, *units: str) -> Json:
    """A row on some images, each with a box."""
    made = [factories.unit(one, "image/jpeg", factories.labels(factories.box())) for one in units]
    numbered = [one | {"data_sequence": place} for place, one in enumerate(made)]
    return factories.row("img_group", numbered, label_hash=label_hash)


def test_rows_on_one_data_unit_come_together() -> None:
    """Also where two have nothing in common but a third."""
    desk = desk_of(
        image_row("a", "one", "two"), image_row("b", "two", "three"), image_row("c", "three"), image_row("d", "four")
    )

    assert sorted(map(sorted, groups(desk))) == [["a", "b", "c"], ["d"]]


def test_rows_stand_in_the_order_of_their_identity() -> None:
    """As in the COCO file, so that later ones lie on top in all formats alike."""
    desk = desk_of(*(image_row(f"row-{n}", "one") for n in range(9)))

    (found,) = groups(desk)

    order = list(dict.fromkeys(one["encord"]["label_hash"] for one in coco_of(desk)["annotations"]))
    assert found == order


def test_data_units_that_are_called_alike_wait_for_each_other_and_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    """Eight bytes stand for a data hash; two hashes of the same eight bytes change nothing."""
    desk = desk_of(*(image_row(f"row-{n}", f"data-{n}") for n in range(5)))
    before = sorted(groups(desk))

    monkeypatch.setattr(labelled, "_name", lambda data_hash: 7)

    assert sorted(groups(desk)) == before == [[f"row-{n}"] for n in range(5)]


def test_every_record_comes_through_as_it_is_published() -> None:
    """Of all data types, after a second export: images and annotations are those of the COCO file."""
    desk = Desk()
    data = project_export(10)
    desk.bring("one.json", data)
    desk.bring("two.json", exported_again(data, changed=2))
    version = desk.label_set().version()

    images = [one for rows in together(version.lake, version.root) for one in merged(rows)]

    coco = coco_of(desk)
    assert {one.image.id for one in images} == {one["id"] for one in coco["images"]}
    assert sum(len(one.annotations) for one in images) == len(coco["annotations"])


def test_an_id_of_two_images_is_refused() -> None:
    """As in the COCO file; the tables tell label rows apart."""
    desk = desk_of(image_row("a", "one"), image_row("b", "one"))
    version = desk.label_set().version()
    (rows,) = together(version.lake, version.root)
    (image,) = rows[1].images
    other = msgspec.structs.replace(image, encord=msgspec.structs.replace(image.encord, frame=9))

    with pytest.raises(IdClash):
        merged([rows[0], msgspec.structs.replace(rows[1], images=(other,))])


@pytest.mark.slow
def test_memory_is_that_of_a_bucket_and_of_the_names_of_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ten times as many rows, in more buckets of the same size, take no more than what the list of files does."""
    monkeypatch.setattr(manifest, "ROWS_PER_BUCKET", 8)
    monkeypatch.setattr(writing, "IN_MEMORY", 2**16)
    peaks, files = [], []
    for rows in (100, 1000):
        desk = Desk(config=LabelSetConfig(name="street", masks=False, inline_coco_bytes=0))
        desk.bring("rows.json", images_export(rows))
        version = desk.label_set().version()
        formats = ("coco", "yolo_segment", "youtube_vis")
        tracemalloc.start()
        written = version.checkout(tmp_path / str(rows), formats=formats, selection=Selection(negatives="drop"))
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
        files.append(len(written))

    annotations = (tmp_path / "1000" / "annotations" / "instances.json").stat().st_size
    assert peaks[1] - peaks[0] < 1000 * (files[1] - files[0])
    assert annotations > 2 * (peaks[1] - peaks[0])


def test_what_is_written_does_not_depend_on_the_order_of_exports(tmp_path: Path) -> None:
    """Two rows on one image, brought forth and back, give the same files."""
    one, two = image_row("a", "one"), image_row("b", "one", "two")
    written = []
    for name, rows in (("forth", (one, two)), ("back", (two, one))):
        desk = Desk()
        for number, row in enumerate(rows):
            desk.bring(f"{number}.json", factories.encode([row]))
        folder = checked_out(tmp_path / name, desk, "coco_panoptic", "yolo_segment", "mot", splits={"a": 0.5, "b": 0.5})
        ours = ("selection.json", "croissant.json", "prov.jsonld")
        files = (path for path in sorted(folder.rglob("*")) if path.is_file() and path.name not in ours)
        written.append({path.relative_to(folder): path.read_bytes() for path in files})

    assert written[0] == written[1]

"""The tables of what is chosen of a version: records of images, objects and answers that are left, as called now."""

from array import array
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from encord_dagster.formats import tables
from encord_dagster.formats.labelled import Labelled
from encord_dagster.formats.writing import Chosen, File

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Flags = NDArray[np.bool_]


class SelectedTables:
    """Remembers what was chosen, and then cuts the tables of the version down to that."""

    def __init__(self, chosen: Chosen) -> None:
        self._chosen = chosen
        self._images, self._annotations, self._categories = array("q"), array("q"), array("q")
        self._names: list[str] = []  # of images, where a template gives them
        self._links: list[str] = []  # likewise

    def write(self, images: Sequence[Labelled]) -> Iterator[File]:
        """Nothing is finished before the end."""
        selection = self._chosen.selection
        for one in images:
            self._images.append(one.image.id)
            if selection.file_name:
                self._names.append(one.image.file_name)
            if selection.coco_url:
                self._links.append(str(one.image.coco_url))
            self._annotations.extend(item.id for item in one.annotations)
            self._categories.extend(item.category_id for item in one.annotations)
        yield from ()

    def end(self) -> Iterator[File]:
        """Nothing: the tables are cut where they are at hand."""
        yield from ()

    def cut(self, name: str, table: pa.Table, *, rows_left_out: set[str]) -> pa.Table:
        """What is left of one table of the version, whose rows of another status are gone."""
        if name == "annotations":
            return self._objects(table)
        there = np.isin(_numbers(table["image_id"]), np.frombuffer(self._images, np.int64))
        if name == "images":
            return self._described(table.filter(pa.array(there & self._row_is_left(table, rows_left_out))))
        # of whole data units there is no image
        there = (there | _is_null(table["image_id"])) & self._row_is_left(table, rows_left_out)
        if name == "attributes":
            of_object = ~_is_null(table["annotation_id"])
            kept = np.isin(_numbers(table["annotation_id"]), np.frombuffer(self._annotations, np.int64))
            there = np.where(of_object, kept, there)
        return table.filter(pa.array(there))

    def _row_is_left(self, table: pa.Table, left_out: set[str]) -> "Flags":
        found: Flags = ~np.isin(np.array(table["row"].to_pylist(), dtype=np.str_), sorted(left_out))
        return found

    def _objects(self, table: pa.Table) -> pa.Table:
        """The annotations that are left, of their new classes; numbered as the masks of what is chosen are."""
        ids, categories = (np.frombuffer(held, np.int64) for held in (self._annotations, self._categories))
        order = np.argsort(ids)
        table = table.filter(pa.array(np.isin(_numbers(table["annotation_id"]), ids)))
        places = np.searchsorted(ids, _numbers(table["annotation_id"]), sorter=order)
        numbers = categories[order[places]].tolist()
        names = {one.id: one.name for one in self._chosen.categories}
        table = _with(table, "category_id", numbers)
        return tables.numbered(_with(table, "class_name", [names[number] for number in numbers]))

    def _described(self, table: pa.Table) -> pa.Table:
        """The images that are left, called as the templates call them."""
        numbers = _numbers(table["image_id"]).tolist()
        for column, values in (("file_name", self._names), ("link", self._links)):
            if values:
                named = dict(zip(self._images, values, strict=True))
                table = _with(table, column, [named[number] for number in numbers])
        return table

    def counted(self, images: pa.Table, annotations: pa.Table) -> pa.Table:
        """The images with the number of objects that each row has on them now."""
        held: dict[tuple[object, object], int] = {}
        for place in zip(annotations["row"].to_pylist(), annotations["image_id"].to_pylist(), strict=True):
            held[place] = held.get(place, 0) + 1
        places = zip(images["row"].to_pylist(), images["image_id"].to_pylist(), strict=True)
        return _with(images, "objects", [held.get(place, 0) for place in places])


def _numbers(column: "pa.ChunkedArray[pa.Int64Scalar]") -> "NDArray[np.int64]":
    """The numbers of a column, 0, which is no id, where there is none."""
    return tables.integers(pc.fill_null(column, 0))  # type: ignore[arg-type]  # the stubs know no scalar here


def _is_null(column: "pa.ChunkedArray[pa.Int64Scalar]") -> "Flags":
    return np.array(pc.is_null(column).to_pylist(), dtype=np.bool_)


def _with(table: pa.Table, column: str, values: Sequence[object]) -> pa.Table:
    place = table.schema.get_field_index(column)
    field = table.schema.field(place)
    return table.set_column(place, field, pa.array(values, field.type))

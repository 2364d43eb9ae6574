"""Which export brought the content that a version has for a row."""

from collections.abc import Iterable, Mapping

import msgspec
import pyarrow as pa
import pyarrow.compute as pc

from encord_dagster.encord.model import RowEvent
from encord_dagster.formats.arrays import array
from encord_dagster.label_set.events import event_of, order, read_events
from encord_dagster.label_set.manifest import ExportEntry
from encord_dagster.storage.protocol import ObjectStore

_COLUMNS = ("row", "status", *RowEvent.__struct_fields__)


class Decided(msgspec.Struct, frozen=True):
    """The event that stands for a row, and the export that carried it."""

    export_id: str
    event: RowEvent


def deciding(lake: ObjectStore, exports: Iterable[ExportEntry], wanted: Mapping[str, str]) -> dict[str, Decided]:
    """For wanted rows (identity -> fingerprint) the greatest event of these exports that carries that content.

    Of events no more is kept than those of wanted rows, one export at a time.
    """
    found: dict[str, Decided] = {}
    keys = array(sorted(wanted), pa.string())
    for entry in exports if wanted else ():
        table = read_events(lake, entry.events, _COLUMNS)
        accepted = pc.is_in(table["status"], value_set=array(["accepted"], pa.string()))
        took_part = pc.and_(accepted, pc.is_in(table["row"], value_set=keys))
        for record in table.filter(took_part).to_pylist():
            event, row = event_of(record), record["row"]
            if event.fingerprint == wanted[row] and (row not in found or order(event) > order(found[row].event)):
                found[row] = Decided(entry.id, event)
    return found

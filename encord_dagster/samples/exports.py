"""Exports of a made-up project: the first, and the same project exported again after some work."""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from random import Random

import msgspec

from encord_dagster.errors import UsageError
from encord_dagster.samples import catalogue, stamps
from encord_dagster.samples.document import ExportEvent, Row
from encord_dagster.samples.edits import delete_data, edit
from encord_dagster.samples.rows import KINDS, Dataset, Kind, row, sign_links

_PRETTY = b"[\n"


class Project(msgspec.Struct, frozen=True):
    """A project by its seed: the same description gives the same bytes.

    Without `kinds` the first eight rows are one of each kind, the rest mostly images. `first_row` numbers the rows,
    so that two descriptions of one seed can hold different rows of the same dataset. `pretty` indents the JSON.
    `history_holds_current`: whether `export_history` lists the current export too; real exports do either.
    """

    seed: int
    rows: int = 24
    kinds: tuple[Kind, ...] = ()
    first_row: int = 0
    started_at: datetime = datetime(2023, 9, 4, 8, 0, tzinfo=UTC)
    pretty: bool = True
    history_holds_current: bool = False

    @property
    def project_hash(self) -> str:
        """The project's id; exports carry it in their file name only."""
        return stamps.uuid4(Random(f"project {self.seed}"))

    @property
    def dataset(self) -> Dataset:
        """The dataset of all rows."""
        return Dataset(stamps.uuid4(Random(f"dataset {self.seed}")), stamps.DATASET_TITLE)


def large_project(rows: int, seed: int) -> Project:
    """A project of many image rows in compact JSON, written in a few milliseconds a row."""
    return Project(seed, rows, kinds=("image",), pretty=False)


def first_export(project: Project, *, exported_at: datetime) -> bytes:
    """The project exported for the first time; rows are exported one second after another."""
    return encoded(first_rows(project, exported_at=exported_at), pretty=project.pretty)


def first_rows(project: Project, *, exported_at: datetime) -> list[Row]:
    """The rows of `first_export`, to be spoilt or counted."""
    made: list[Row] = []
    for number in range(project.first_row, project.first_row + project.rows):
        one = row(
            _kind(project, number),
            dataset=project.dataset,
            random=Random(f"row {project.seed} {number}"),
            start=project.started_at + timedelta(minutes=11 * number),
            exported_at=stamps.utc(exported_at) + timedelta(seconds=len(made)),
        )
        if project.history_holds_current:
            one.export_history = [_event(one), *one.export_history]
        made.append(one)
    return made


def next_export(
    previous: bytes, *, seed: int, exported_at: datetime, changed: int, added: int = 0, deleted: int = 0
) -> bytes:
    """The project of `previous` exported again: every row is a new event, and only what is asked for has new labels.

    `changed` rows have edited labels, `added` rows come at the end, `deleted` rows become tombstones.

    Raises:
        UsageError: `previous` is not an export of this module, or has too few rows to change and delete.
    """
    random = Random(f"next {seed}")
    rows = _decoded(previous)
    edited, removed = _chosen(rows, changed=changed, deleted=deleted, random=random)
    for number, one in enumerate(rows):
        moment = stamps.utc(exported_at) + timedelta(seconds=number)
        if number in edited:
            edit(one, random=random, at=moment - timedelta(hours=2))
        if number in removed:
            delete_data(one)
        _export_again(one, random=random, at=moment)
    start = stamps.utc(exported_at) - timedelta(hours=5)
    rows += [
        row(
            KINDS[number % len(KINDS)],
            dataset=Dataset(rows[0].dataset_hash, rows[0].dataset_title),
            random=random,
            start=start + timedelta(minutes=number),
            exported_at=stamps.utc(exported_at) + timedelta(seconds=len(rows) + number),
        )
        for number in range(added)
    ]
    return encoded(rows, pretty=previous.startswith(_PRETTY))


def ontology(project: Project) -> bytes:
    """The ontology document of the project; all sample projects share one ontology."""
    return msgspec.json.format(msgspec.json.encode(catalogue.document()), indent=1)


def encoded(rows: Iterable[Row], *, pretty: bool) -> bytes:
    """Rows as an export file."""
    document = msgspec.json.encode(list(rows))
    return msgspec.json.format(document, indent=1) if pretty else document


def _kind(project: Project, number: int) -> Kind:
    if project.kinds:
        return project.kinds[number % len(project.kinds)]
    if number < len(KINDS):
        return KINDS[number]
    return KINDS[number // 4 % len(KINDS)] if number % 4 == 0 else "image"


def _decoded(previous: bytes) -> list[Row]:
    try:
        rows = msgspec.json.decode(previous, type=list[Row])
    except msgspec.DecodeError as error:
        raise UsageError(f"previous export: {error}: pass the bytes of first_export or next_export") from error
    if not rows:
        raise UsageError("previous export holds no rows: pass one with at least one row")
    return rows


def _chosen(rows: list[Row], *, changed: int, deleted: int, random: Random) -> tuple[set[int], set[int]]:
    """Numbers of the rows to edit and of those to delete; rows without objects or already deleted stay as they are."""
    live = [number for number, one in enumerate(rows) if one.data_type != "deleted" and one.object_answers]
    if changed + deleted > len(live):
        raise UsageError(
            f"{changed} changed + {deleted} deleted rows asked for, {len(live)} labelled rows there: ask for fewer"
        )
    numbers = random.sample(live, k=changed + deleted)
    return set(numbers[:changed]), set(numbers[changed:])


def _export_again(one: Row, *, random: Random, at: datetime) -> None:
    past = _event(one)
    holds_current = bool(one.export_history) and one.export_history[0].export_hash == one.export_hash
    one.export_hash, one.exported_at = stamps.uuid4(random), stamps.export_time(at)
    if holds_current:
        one.export_history = [_event(one), *one.export_history]
    else:
        one.export_history = [past, *one.export_history]
    sign_links(one, random=random, at=at)


def _event(one: Row) -> ExportEvent:
    return ExportEvent(one.export_hash, one.exported_at, stamps.EXPORTER)

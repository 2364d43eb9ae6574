"""What Dagster's database keeps of a materialization, measured in SQLite, and where pictures may be."""

import contextlib
import sqlite3
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest

from encord_dagster.findings import Finding, Location
from encord_dagster.formats.chart import ClassBar
from encord_dagster.formats.thumbnail import Scene, Shape
from encord_dagster.label_set.beside import Beside
from encord_dagster.label_set.fired import Fired
from encord_dagster.landing import Export
from encord_dagster.orchestration import latest, pictures
from encord_dagster.outcomes import Batch, ExportOutcome, Published
from encord_dagster.samples import Project, first_export, next_export
from tests.orchestration.conftest import newest
from tests.orchestration.hostile_names import NAMES
from tests.orchestration.test_runs import ASSETS
from tests.orchestration.world import NAME, FakeIngest, World

MOST = 12 * 1024  # bytes of one materialization, in all of SQLite's copies, without its pictures
MOST_PICTURES = 8 * 1024  # characters of base64: of an export and of the newest version together
MESSAGE = ""  # of findings; the tests set it
FIRST = first_export(Project(seed=3, rows=24), exported_at=datetime(2023, 10, 2, tzinfo=UTC))
NEXT = next_export(FIRST, seed=4, exported_at=datetime(2023, 10, 9, tzinfo=UTC), changed=6)


def stored(folder: Path) -> dict[tuple[str, str], tuple[int, int]]:
    """By asset and partition: bytes of its last materialization in all tables, and those of its pictures."""
    found: Counter[tuple[str, str]] = Counter()
    shown: Counter[tuple[str, str]] = Counter()
    for path in folder.rglob("*.db"):
        with contextlib.closing(sqlite3.connect(path)) as database:
            if not database.execute("select 1 from sqlite_master where name = 'event_logs'").fetchall():
                continue
            kind = "ASSET_MATERIALIZATION"
            query = "select asset_key, partition, event from event_logs where dagster_event_type = ?"
            for asset, partition, event in database.execute(query, (kind,)):
                key = (asset, partition or "")
                found[key] += len(event)
                shown[key] += sum(len(text) for text in _data_uris(event))
    return {key: (found[key], shown[key]) for key in found}


def test_a_range_run_stays_within_its_bytes_all_told(ticking: World, ingest: FakeIngest, tmp_path: Path) -> None:
    """The plan of the run, checks, indexes and empty pages too, by materialization."""
    keys = ticking.delivered(*(f"{number}.json" for number in range(40)))
    before = _all_bytes(tmp_path)

    assert ticking.run(keys=keys).success

    made = sum(len(ticking.materialized(asset)) for asset in ASSETS)
    assert made == 7 * 40
    assert (_all_bytes(tmp_path) - before) / made <= MOST


def _all_bytes(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def _data_uris(event: str) -> list[str]:
    return [part.partition(")")[0] for part in event.split("data:image/png;base64,")[1:]]


def copies(folder: Path) -> int:
    """How often SQLite keeps an event."""
    count = 0
    for path in folder.rglob("*.db"):
        with contextlib.closing(sqlite3.connect(path)) as database:
            if database.execute("select 1 from sqlite_master where name = 'event_logs'").fetchall():
                found = database.execute(
                    "select count(*) from event_logs where dagster_event_type = 'ASSET_MATERIALIZATION'"
                )
                count += int(found.fetchone()[0] > 0)
    return count


def test_a_version_of_samples_stays_within_its_bytes(ticking: World, tmp_path: Path) -> None:
    """With the real pipeline; pictures are on the two assets that stand for versions and nowhere else."""
    ticking.deliver("week-1.json", data=FIRST)
    for request in ticking.tick().requests:
        assert ticking.run(keys=[str(request.partition_key)]).success

    found = stored(tmp_path)

    assert copies(tmp_path) == 2
    assert {asset for (asset, _), (_, shown) in found.items() if shown} == {
        f'["{NAME}", "label_set"]',
        f'["{NAME}", "label_set_latest"]',
    }
    assert max(size - shown for size, shown in found.values()) <= MOST, found
    assert sum(shown for _, shown in found.values()) // copies(tmp_path) <= MOST_PICTURES


@pytest.mark.parametrize("message", ["車" * 2000, "x" * 60, "車 " * 8])
def test_the_worst_version_stays_within_its_bytes(
    message: str, ticking: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Hundreds of classes with long and hostile names, thousands of findings, many exports in one record."""
    monkeypatch.setattr("tests.orchestration.test_growth.MESSAGE", message)
    monkeypatch.setattr("encord_dagster.pipeline.ingest", _worst_ingest)
    monkeypatch.setattr(latest, "newest", lambda lake, name: _worst_newest())
    monkeypatch.setattr(latest, "findings_by_rule", lambda lake, name: _worst_fired())
    monkeypatch.setattr(latest, "fired_before", lambda lake, name: ())
    (key,) = ticking.delivered("week-1.json")

    assert ticking.run(keys=[key]).success

    found = stored(tmp_path)
    assert len(found) == 8
    assert {key: size for key, (size, shown) in found.items() if size - shown > MOST} == {}
    assert sum(shown for _, shown in found.values()) // 2 <= MOST_PICTURES


def test_only_the_last_export_of_a_version_shows_its_pictures(ticking: World, tmp_path: Path) -> None:
    """A range of a hundred exports makes one version."""
    ticking.deliver("week-1.json", data=FIRST)
    ticking.deliver("week-2.json", data=NEXT)
    ticking.deliver("week-3.json", data=b"[]")
    ticking.deliver("week-4.json", data=b"{")
    (request,) = ticking.tick().requests
    ticking.run(
        keys=[request.tags[tag] for tag in ("dagster/asset_partition_range_start", "dagster/asset_partition_range_end")]
    )

    shown = [event for event in ticking.materialized("label_set").values() if "encord/preview" in event.metadata]

    assert len(ticking.materialized("label_set")) > 1
    assert len(shown) == 1


@pytest.mark.parametrize(("size", "drawn"), [(1, 3), (10, 3), (40, 3), (4000, 1)])
def test_pictures_fit_or_are_left_out(size: int, drawn: int) -> None:
    """However busy the images are: smaller ones, fewer of them, or none."""
    scenes = tuple(Scene(4000, 3000, tuple(_spot(number, seed) for number in range(size))) for seed in range(3))
    found = Beside(
        before=1,
        after=2,
        rows={"added": 1, "removed": 0, "changed": 0, "converted": 0},
        whole=True,
        classes=_bars(30),
        scenes=scenes,
    )

    shown = {name: str(value.value) for name, value in pictures.preview(found).items()}

    whole = "".join(shown.values())
    assert len(whole) <= pictures.MOST_BYTES
    assert whole.count("data:image/png;base64,") == drawn
    assert len(shown.get("encord/labels", "")) < 1000
    assert "evil" not in whole


def test_a_version_without_objects_has_no_pictures() -> None:
    """And no empty entry."""
    nothing = Beside(
        before=0,
        after=1,
        rows={"added": 1, "removed": 0, "changed": 0, "converted": 0},
        whole=True,
        classes=(),
        scenes=(),
    )

    assert pictures.preview(nothing) == {}


def _spot(number: int, seed: int) -> Shape:
    x, y = (number * 7919 + seed * 101) % 3900, (number * 6007 + seed * 53) % 2900
    return Shape(1 + number % 60, ((float(x), float(y), x + 90.0, float(y), x + 40.0, y + 90.0),))


def _names() -> list[str]:
    return [f"{name} 車両 {number}" * 6 for number in range(40) for name in NAMES]


def _bars(count: int) -> tuple[ClassBar, ...]:
    return tuple(ClassBar(number, name, 10**9 - number, 7) for number, name in enumerate(_names()[:count], 1))


def _findings() -> tuple[Finding, ...]:
    where = Location(row="r" * 36, object=MESSAGE[:200])
    return tuple(Finding(f"rule_{number}", "error", where, MESSAGE) for number in range(200))


def _worst_ingest(exports: list[Export], **given: object) -> Batch:
    outcomes = tuple(
        ExportOutcome(
            export=export,
            status="published",
            sha256="b" * 64,
            named={f"part_{number}": "車" * 500 for number in range(2)},
            rows=10**6,
            rows_quarantined=10**6,
            images=10**9,
            objects_in=10**9,
            objects_published=10**9,
            objects_quarantined=10**9,
            objects_excluded={f"reason_{number}": 10**9 for number in range(99)},
            classes=dict.fromkeys(_names(), 10**9),
            rules={f"rule_{number}": 10**9 for number in range(200)},
            findings=_findings(),
            export_hashes=tuple("h" * 36 + str(number) for number in range(100)),
            export_hash_count=10**6,
            exported_from="2024-01-01T00:00:00+00:00",
            exported_to="2024-01-01T00:00:00+00:00",
            uris=dict.fromkeys(("raw", "events", "quarantine", "coco", "masks", "tables"), "s3://bucket/" + "x" * 160),
        )
        for export in exports
    )
    return Batch(outcomes=outcomes, published=_worst_published())


def _worst_published() -> Published:
    return Published(
        seq=10**9,
        version=10**9,
        op="publish",
        content_digest="c" * 64,
        manifest_digest="d" * 64,
        rows=10**9,
        images=10**9,
        annotations=10**9,
        classes=dict.fromkeys(_names(), 10**9),
        losses={f"masks:loss_{number}": 10**9 for number in range(99)},
        findings=_findings(),
        uri="s3://bucket/" + "x" * 160,
        coco_uri="s3://bucket/" + "x" * 160,
    )


def _worst_newest() -> latest.Newest:
    (first, second), state = newest().records, newest()
    entry = msgspec.structs.replace(first.exports[0], export_hashes=tuple("h" * 99 for _ in range(100)))
    record = msgspec.structs.replace(second, exports=(entry,) * 100, findings=_findings())
    scenes = (Scene(4000, 3000, tuple(_spot(number, 0) for number in range(40))),) * 3
    found = Beside(
        before=1,
        after=2,
        rows={"added": 10**9, "removed": 10**9, "changed": 10**9, "converted": 10**9},
        whole=False,
        classes=_bars(300),
        scenes=scenes,
    )
    return msgspec.structs.replace(
        state,
        records=[first, *[record] * 9],
        classes=dict.fromkeys(_names(), 10**9),
        exports="s3://bucket/" + "x" * 100,
        beside=found,
    )


def _worst_fired() -> dict[str, Fired]:
    from encord_dagster.validation import RULES

    return {rule.name: Fired(10**9, _findings()[0], "exports/" + "x" * 100) for rule in RULES}

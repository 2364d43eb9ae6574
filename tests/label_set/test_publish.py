"""What publishing promises: content decides versions, events never do."""

from pathlib import Path

import msgspec
import pytest

from encord_dagster.config import LabelSetConfig, Thresholds
from encord_dagster.formats import losses
from encord_dagster.label_set import accounted, history
from encord_dagster.label_set.accounted import Accounted
from encord_dagster.label_set.described import FILES
from encord_dagster.label_set.manifest import Root
from encord_dagster.label_set.verify import verify
from encord_dagster.pipeline import ingest
from encord_dagster.samples import bad_row
from tests import factories as make
from tests.lakes import DAY, Desk, exported_again, images_export, project_export

WITHOUT_MASKS = LabelSetConfig(name="street", masks=False)
UNHELD = LabelSetConfig(name="street", hold_back=())  # a suspicious version is published all the same


def digests(desk: Desk) -> list[str]:
    """The content digests of the log."""
    return [record.content_digest for record in desk.label_set().log()]


def test_a_first_export_becomes_version_one() -> None:
    """An export in the landing prefix becomes a published version with all its objects."""
    desk = Desk()

    batch = desk.bring("one.json", project_export())

    assert batch.published is not None
    assert (batch.published.seq, batch.published.version, batch.published.op) == (1, 1, "publish")
    outcome = batch.outcomes[0]
    assert outcome.status == "published"
    assert outcome.objects_in == outcome.objects_published + outcome.objects_quarantined + sum(
        outcome.objects_excluded.values()
    )
    assert batch.published.annotations == outcome.objects_published > 0
    assert verify(desk.lake, "street").problems == []


def test_the_same_bytes_under_another_name_are_a_second_source() -> None:
    """The same export under another key changes nothing and is accounted for as a second source."""
    desk = Desk()
    data = project_export()
    desk.bring("one.json", data)

    again = desk.bring("copy-of-one.json", data)

    assert again.outcomes[0].status == "observed"
    assert len(desk.label_set().log()) == 1
    assert len(desk.label_set().accounted()) == 2


def test_the_same_export_twice_is_no_new_record() -> None:
    """Running a partition again finds everything published."""
    desk = Desk()
    export = desk.deliver("one.json", project_export())
    desk.ingest(export)
    before = desk.written()

    again = desk.ingest(export)

    assert again.outcomes[0].status == "observed"
    assert again.published is not None
    assert again.published.version == 1
    assert desk.written() == before


def test_two_exports_in_either_order_give_the_same_content() -> None:
    """Two exports, each with a class that the other lacks, converge whatever comes first."""
    first = images_export(6, seed=3)
    other = bad_row(seed=4, exported_at=DAY)
    forth, back, together = Desk(), Desk(), Desk()

    forth.bring("a.json", first)
    forth.bring("b.json", other)
    back.bring("b.json", other)
    back.bring("a.json", first)
    together.ingest(together.deliver("a.json", first), together.deliver("b.json", other))

    assert digests(forth)[-1] == digests(back)[-1] == digests(together)[-1]
    assert set(forth.label_set().version().classes) == set(back.label_set().version().classes)


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (1, 2, 0), (2, 0, 1), (0, 2, 1), (1, 0, 2)])
def test_exports_of_one_project_converge_in_any_order(order: tuple[int, ...]) -> None:
    """Late and out-of-order exports of one project end in the content of the newest."""
    first = images_export(8)
    second = exported_again(first, changed=3)
    third = exported_again(second, days=2)
    exports = (first, second, third)
    sound = Desk()
    for number, data in enumerate(exports):
        sound.bring(f"{number}.json", data)

    desk = Desk()
    for number in order:
        desk.bring(f"{number}.json", exports[number])

    assert digests(desk)[-1] == digests(sound)[-1]


def test_an_unchanged_project_exported_again_is_observed() -> None:
    """Every export hash is new and no label changed: one observe, no version, no fragment, no bucket."""
    desk = Desk(config=WITHOUT_MASKS)
    data = images_export(1000)
    desk.bring("one.json", data)
    content = desk.written("label_sets/street/objects/")

    again = desk.bring("two.json", exported_again(data))

    assert desk.written("label_sets/street/objects/") == content
    assert [record.op for record in desk.label_set().log()] == ["publish", "observe"]
    assert again.published is not None
    assert again.published.version == 1
    assert again.outcomes[0].fragments_converted == 0
    lineage = desk.label_set().version().exports()
    assert len(lineage) == 2
    hashes = [set(desk.label_set().export_hashes(entry)) for entry in lineage.values()]
    assert [len(found) for found in hashes] == [1000, 1000]
    assert not hashes[0] & hashes[1]

    third = desk.bring("three.json", exported_again(exported_again(data), changed=10, days=2))

    assert third.published is not None
    assert third.published.version == 2
    assert third.outcomes[0].fragments_converted == 10
    assert desk.label_set().log()[-1].fragments == 10
    assert desk.label_set().log()[-1].buckets <= 10


def test_a_deleted_data_unit_leaves_coco_and_stays_in_lineage() -> None:
    """A tombstone takes its images out of the version and is still one of its rows."""
    desk = Desk()
    data = images_export(8)
    desk.bring("one.json", data)
    images = desk.label_set().version().images

    desk.bring("two.json", exported_again(data, deleted=1))

    version = desk.label_set().version()
    assert version.rows == 8
    assert version.root.tombstones == 1
    assert version.images == images - 1
    assert verify(desk.lake, "street").problems == []


def test_buckets_split_without_changing_content() -> None:
    """A set that grows splits its buckets; its content digest is that of a set built at once."""
    grown, at_once = Desk(config=WITHOUT_MASKS), Desk(config=WITHOUT_MASKS)
    small, large = images_export(100), images_export(300)

    grown.bring("small.json", small)
    grown.bring("large.json", exported_again(large))
    at_once.bring("large.json", exported_again(large))

    assert grown.label_set().version(1).root.prefix_length == 0
    assert grown.label_set().version().root.prefix_length == 1
    assert digests(grown)[-1] == digests(at_once)[-1]
    assert verify(grown.lake, "street").problems == []


def test_bytes_are_deterministic() -> None:
    """Two lakes given the same exports hold the same objects, byte for byte."""
    one, two = Desk(), Desk()

    for desk in (one, two):
        desk.bring("one.json", project_export())

    keys = one.written("label_sets/street/objects/")
    assert keys == two.written("label_sets/street/objects/")
    assert all(one.lake.get(key) == two.lake.get(key) for key in keys)


def test_a_bad_export_stops_only_itself() -> None:
    """In one batch the bad exports are quarantined with a reason and the good ones published."""
    desk = Desk()
    good = project_export()
    exports = [
        desk.deliver("good.json", good),
        desk.deliver("cut.json", good[: len(good) // 2]),
        desk.deliver("page.json", b"<!doctype html><html><body>Sign in</body></html>"),
        desk.deliver("empty.json", b""),
        desk.deliver("objects.json", bad_row(seed=3, exported_at=DAY)),
    ]

    batch = desk.ingest(*exports)

    outcomes = {outcome.export.key: outcome for outcome in batch.outcomes}
    assert {key: outcome.status for key, outcome in outcomes.items()} == {
        "good.json": "published",
        "cut.json": "quarantined",
        "page.json": "quarantined",
        "empty.json": "quarantined",
        "objects.json": "published",
    }
    assert outcomes["objects.json"].objects_quarantined == 3
    reasons = {outcomes[key].findings[0].rule for key in ("cut.json", "page.json", "empty.json")}
    assert reasons == {"truncated_json", "html_not_json", "empty_file"}
    assert desk.label_set().accounted() == {export.id for export in exports}
    assert verify(desk.lake, "street").problems == []


def test_another_configuration_converts_everything_again() -> None:
    """A choice that changes content makes a new version of all rows, out of the raw copies."""
    desk = Desk()
    desk.bring("one.json", images_export(5))
    desk.config = LabelSetConfig(name="street", masks=False)

    batch = desk.bring("two.json", exported_again(images_export(5, seed=9)))

    assert batch.published is not None
    assert batch.published.version == 2
    assert desk.label_set().log()[-1].fragments == 10
    assert all("masks" not in bucket.shards for bucket in desk.label_set().version().buckets())


def test_a_checkpoint_gives_the_same_lineage_as_the_log(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a checkpoint says is accounted for is what all records say."""
    monkeypatch.setattr(accounted, "CHECKPOINT_EVERY", 2)
    desk = Desk()
    data = images_export(3)
    for number in range(5):
        desk.bring(f"{number}.json", exported_again(data, days=number + 1))

    head = history.head(desk.lake, "street")
    with_checkpoint = Accounted(desk.lake, "street", head).all()
    monkeypatch.setattr(accounted, "CHECKPOINT_EVERY", 1000)

    assert any("checkpoints" in key for key in desk.written())
    assert with_checkpoint == Accounted(desk.lake, "street", head).all()
    assert len(with_checkpoint) == 5


def test_a_race_is_lost_and_won_again() -> None:
    """Two publishers on one head: one commits, the other joins again on top, and both exports are in."""
    desk = Desk()
    first, second = desk.deliver("a.json", images_export(3)), desk.deliver("b.json", images_export(3, seed=8))
    create = desk.lake.create
    raced: list[str] = []

    def create_after_a_rival(key: str, data: bytes) -> object:
        if "/log/" in key and not raced:
            raced.append(key)
            Desk.ingest(rival, second)
        return create(key, data)

    rival = Desk(desk.lake)
    rival.landing = desk.landing
    desk.lake.create = create_after_a_rival  # type: ignore[method-assign, assignment]

    batch = desk.ingest(first)

    assert batch.published is not None
    assert batch.published.version == 2
    assert desk.label_set().accounted() == {first.id, second.id}
    assert desk.label_set().version().rows == 6


@pytest.mark.parametrize("what", ["flipped", "missing", "record"])
def test_verify_names_what_is_damaged(what: str) -> None:
    """A flipped bit, a missing object and an altered record are each named."""
    desk = Desk()
    desk.bring("one.json", images_export(3))
    desk.bring("two.json", exported_again(images_export(3), changed=1))
    key = sorted(desk.written("label_sets/street/objects/"))[0]
    if what == "record":
        key = "label_sets/street/log/000000000001.json"
    data = desk.lake.get(key) or b""
    desk.lake.delete(key)
    if what != "missing":
        desk.lake.create(key, data[:-2] + bytes([data[-2] ^ 1]) + data[-1:])

    problems = verify(desk.lake, "street").problems

    assert any(key in problem for problem in problems)


def test_content_digest_is_the_same_however_rows_are_bucketed() -> None:
    """The tree digest of all rows equals the one joined from buckets of one and two digits."""
    from encord_dagster.label_set.manifest import BucketRef, BucketRow, ObjectRef, content_digest, sha256, tree_digest

    for count in (0, 1, 2, 3, 17, 300):
        rows = sorted(
            (
                BucketRow(row=key, label_hash="l", branch_name="main", fingerprint="f", fragment="f")
                for key in (sha256(str(n).encode()) for n in range(count))
            ),
            key=lambda row: row.row,
        )
        found = set()
        for length in (0, 1, 2):
            cut: dict[str, list[BucketRow]] = {}
            for row in rows:
                cut.setdefault(row.row[:length], []).append(row)
            refs = {
                prefix: BucketRef(
                    ref=ObjectRef("", "", 0), rows=len(part), digest=tree_digest(part, length), coco_size=0
                )
                for prefix, part in cut.items()
            }
            found.add(content_digest(refs, "config"))
        assert len(found) == 1


def test_manifests_hold_no_time_and_no_key_of_an_export() -> None:
    """Root and buckets are content only: neither export ids, nor landing keys, nor times are in them."""
    desk = Desk()
    export = desk.deliver("a-landing-key.json", images_export(3))
    desk.ingest(export)
    version = desk.label_set().version()

    text = msgspec.json.encode(version.root) + b"".join(msgspec.json.encode(bucket) for bucket in version.buckets())

    for forbidden in (export.id, "a-landing-key", export.last_modified, "exported_at"):
        assert forbidden.encode() not in text


LATER = "Mon, 22 Jul 2024 09:20:25 UTC"


def of_rows(*rows: make.Json, later: bool = False) -> bytes:
    """An export of these rows; a later one of the same rows has another hash and time."""
    changes = {"export_hash": "later", "exported_at": LATER} if later else {}
    return make.encode([row | changes for row in rows])


def lines_and_points(lines: int, points: int, label_hash: str = "row-1") -> make.Json:
    """A row of one image with so many polylines and points."""
    drawn = [make.polyline(object_hash=f"line{number}") for number in range(lines)]
    drawn += [make.point(object_hash=f"point{number}") for number in range(points)]
    return make.image_row(*drawn, label_hash=label_hash, data_hash=label_hash)


def test_losses_of_a_version_are_those_of_its_rows() -> None:
    """Rows that come, change, go and stay: the sum that is kept up to date is the sum of all rows."""
    desk = Desk()
    desk.bring("one.json", of_rows(lines_and_points(2, 1), lines_and_points(1, 0, "row-2")))
    first = desk.label_set().version().losses
    desk.bring("two.json", of_rows(lines_and_points(1, 4), later=True))
    second = desk.label_set().version()
    gone = lines_and_points(1, 0, "row-2") | {"data_type": "deleted"}
    desk.bring("three.json", of_rows(gone, later=True))
    third = desk.label_set().version()

    assert first == {"masks:point": 1, "masks:polyline": 3, "tables:outline": 3}
    assert second.losses == {"masks:point": 4, "masks:polyline": 2, "tables:outline": 2}
    assert third.losses == {"masks:point": 4, "masks:polyline": 1, "tables:outline": 1}
    assert third.losses == losses.total(row.losses for row in third.label_rows())
    assert desk.label_set().version(1).losses == first


def test_losses_are_counted_anew_with_another_configuration() -> None:
    """Without masks nothing is lost by them, and nothing is counted twice."""
    desk = Desk()
    desk.bring("one.json", of_rows(lines_and_points(2, 1)))
    desk.config = WITHOUT_MASKS

    desk.bring("two.json", of_rows(lines_and_points(1, 1, "row-2")))

    assert desk.label_set().version().losses == {"tables:outline": 3}


def test_a_version_has_its_loss_report_as_a_file(tmp_path: Path) -> None:
    """Also where it is too large for a plain COCO file; a checkout holds the same bytes, whatever the formats."""
    desk = Desk(config=LabelSetConfig(name="street", inline_coco_bytes=0))
    desk.bring("one.json", of_rows(lines_and_points(2, 1)))
    version = desk.label_set().version()

    version.checkout(tmp_path / "out", formats=["tables"])

    assert set(version.root.files) == {losses.FILE, *FILES}
    data = desk.lake.get(version.root.files[losses.FILE].key)
    assert (tmp_path / "out" / losses.FILE).read_bytes() == data == losses.report(version.losses)
    assert verify(desk.lake, "street").problems == []


def test_an_export_that_is_not_published_has_a_loss_report_too() -> None:
    """Beside its other converted files."""
    desk = Desk()
    export = desk.deliver("one.json", of_rows(lines_and_points(2, 1)))

    (outcome,) = ingest([export], landing=desk.landing, lake=desk.lake, config=desk.config, publish=False).outcomes

    data = desk.lake.get(outcome.uris["losses"].removeprefix(f"{desk.lake.url}/"))
    assert data == losses.report({"masks:polyline": 2, "masks:point": 1, "tables:outline": 2})


def test_manifests_of_before_there_were_losses_and_findings_are_read() -> None:
    """Without either, roots, buckets and records have the form that they always had."""
    desk = Desk()
    batch = desk.bring("one.json", of_rows(make.image_row(make.box())))
    version = desk.label_set().version()

    root = msgspec.json.decode(msgspec.json.encode(version.root))
    record = msgspec.json.decode(desk.lake.get("label_sets/street/log/000000000001.json") or b"")

    assert "losses" not in root
    assert "findings" not in record
    assert msgspec.convert(root, Root).losses == {}
    assert [row.losses for row in version.label_rows()] == [{}]
    assert batch.published is not None
    assert (batch.published.losses, batch.published.findings) == ({}, ())


def test_what_is_suspicious_about_a_version_stands_in_its_record() -> None:
    """In the record, in what the run returns, among the version's findings, and again in every observe of it."""
    desk = Desk(config=UNHELD)
    both = of_rows(make.image_row(make.box(), make.point()))
    desk.bring("one.json", both)

    batch = desk.bring("two.json", of_rows(make.image_row(make.box()), later=True))
    desk.bring("three.json", of_rows(make.image_row(make.box()) | {"export_history": []}, later=True))

    first, second, third = desk.label_set().log()
    assert [finding.rule for finding in second.findings] == ["class_vanished", "annotations_dropped"]
    assert (first.findings, third.op, third.findings) == ((), "observe", second.findings)
    assert batch.published is not None
    assert batch.published.findings == second.findings
    latest = desk.label_set().version()
    assert latest.findings()[:2] == list(second.findings)
    assert latest.table("findings")["rule"].to_pylist()[:2] == ["class_vanished", "annotations_dropped"]
    assert [finding.rule for finding in desk.label_set().version(1).findings()] == ["ontology_missing"]
    assert verify(desk.lake, "street").problems == []


def test_suspicion_follows_the_configuration() -> None:
    """Thresholds and severities are those of the label set, and change no content."""
    desk = Desk()
    desk.bring("one.json", of_rows(make.image_row(make.box(), make.point())))
    desk.config = LabelSetConfig(
        name="street", severities={"class_vanished": "info"}, thresholds=Thresholds(annotations_dropped=0.5)
    )

    desk.bring("two.json", of_rows(make.image_row(make.box()), later=True))

    record = desk.label_set().log()[-1]
    assert [(finding.rule, finding.severity) for finding in record.findings] == [("class_vanished", "info")]
    assert record.fragments == 1


def test_a_version_of_another_configuration_is_compared_with_the_one_that_readers_see() -> None:
    """Everything is converted again, and what is gone is noticed all the same."""
    desk = Desk()
    desk.bring("one.json", of_rows(make.image_row(make.box(), make.point())))
    desk.config = msgspec.structs.replace(UNHELD, masks=False)

    desk.bring("two.json", of_rows(make.image_row(make.box()), later=True))

    assert [finding.rule for finding in desk.label_set().log()[-1].findings] == [
        "class_vanished",
        "annotations_dropped",
    ]

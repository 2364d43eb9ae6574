"""What publishing promises: content decides versions, events never do."""

import msgspec
import pytest

from encord_dagster.config import LabelSetConfig
from encord_dagster.label_set import history
from encord_dagster.label_set.verify import verify
from encord_dagster.samples import bad_row
from tests.lakes import DAY, Desk, exported_again, images_export, project_export

WITHOUT_MASKS = LabelSetConfig(name="street", masks=False)


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
    monkeypatch.setattr(history, "CHECKPOINT_EVERY", 2)
    desk = Desk()
    data = images_export(3)
    for number in range(5):
        desk.bring(f"{number}.json", exported_again(data, days=number + 1))

    head = history.head(desk.lake, "street")
    with_checkpoint = history.accounted(desk.lake, "street", head)
    monkeypatch.setattr(history, "CHECKPOINT_EVERY", 1000)

    assert any("checkpoints" in key for key in desk.written())
    assert with_checkpoint == history.accounted(desk.lake, "street", head)
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

"""One case run through the whole pipeline between two good exports; what is wrong with the outcome, in words."""

import contextlib
import functools
import io
import itertools
import json
import logging
import tempfile
import traceback
import warnings
from collections import Counter
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import msgspec

from encord_dagster import layout
from encord_dagster.label_set import manifest, quarantine
from encord_dagster.label_set.read import open_label_set
from encord_dagster.label_set.verify import verify
from encord_dagster.landing import exports_in
from encord_dagster.outcomes import Batch, ExportOutcome
from encord_dagster.pipeline import ingest
from encord_dagster.storage.local import LocalStore
from encord_dagster.storage.memory import MemoryStore
from tests.hostile.case import Case, Delivery, Expected
from tests.lakes import DAY, Desk, images_export
from tests.published import leaks, texts

UNSEEN = ("\0", "\x1b", "\u202e", "\u2066", "\\u0000", "\\u001b", "\\u202e", "\\u2066")


def complaints(case: Case) -> list[str]:
    """Everything about a case that is not as it must be; nothing where it survived."""
    deliveries = case.make()
    if case.together:
        return _complaints(case, deliveries)
    return [
        f"delivery {number}: {wrong}" for number, one in enumerate(deliveries) for wrong in _complaints(case, [one])
    ]


def _complaints(case: Case, deliveries: Sequence[Delivery]) -> list[str]:
    said = io.StringIO()
    with _world(case, deliveries) as desk, _listening(said):
        try:
            outcomes = _ingested(case, deliveries, desk, said)
        except (Exception, SystemExit) as error:  # noqa: BLE001 - whatever it is, it is what is looked for
            frame = traceback.extract_tb(error.__traceback__)[-1]
            return [f"crash: {type(error).__name__}: {error} ({Path(frame.filename).name}:{frame.lineno})"]
        found = [
            f"{outcome.export.key}: {wrong}"
            for delivery, outcome in zip(deliveries, outcomes[1:-1], strict=True)
            for wrong in (*_of_outcome(delivery.expected, outcome), *_of_raw(delivery, outcome, desk))
        ]
        found += _of_good((outcomes[0], outcomes[-1]), outcomes[1:-1], desk)
        found += [f"verify: {problem}" for problem in verify(desk.lake, desk.config.name).problems]
        found += _of_texts(case, deliveries, outcomes, desk, said.getvalue())
        found += case.then(desk, outcomes[1:-1]) if case.then else []
    return found


@contextlib.contextmanager
def _world(case: Case, deliveries: Sequence[Delivery]) -> Any:
    """A landing prefix whose clock moves on with each export, and a lake, both in memory where that is possible."""
    clock = (DAY + timedelta(minutes=minute) for minute in itertools.count())
    desk = Desk(config=case.config)
    desk.landing = MemoryStore(now=lambda: next(clock))
    if not any(delivery.sparse for delivery in deliveries):
        yield desk
        return
    with tempfile.TemporaryDirectory() as folder:
        desk.landing, desk.lake = LocalStore(Path(folder) / "landing"), LocalStore(Path(folder) / "lake")
        yield desk


@contextlib.contextmanager
def _listening(said: io.StringIO) -> Any:
    """Write down all that is logged, warned of or printed."""
    handler = logging.StreamHandler(said)
    root = logging.getLogger()
    level = root.level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
            warnings.simplefilter("always")
            yield
    finally:
        root.removeHandler(handler)
        root.setLevel(level)


def _ingested(case: Case, deliveries: Sequence[Delivery], desk: Desk, said: io.StringIO) -> list[ExportOutcome]:
    """A good export, the case's own in as many runs as it asks for, and a good one, in the first and last run."""
    last = max(delivery.batch for delivery in deliveries)
    before, after = good_exports()
    planned = [(0, "first.json", before, 0)]
    planned += [(one.batch, f"hostile-{n:03}.json", one.data, one.sparse) for n, one in enumerate(deliveries)]
    planned += [(last, "last.json", after, 0)]
    outcomes: dict[str, ExportOutcome] = {}
    for number in range(last + 1):
        keys = [_put(desk, key, data, sparse) for batch, key, data, sparse in planned if batch == number]
        exports = [export for export in exports_in(desk.landing) if export.key in keys]
        done = ingest(
            exports,
            landing=desk.landing,
            lake=desk.lake,
            config=desk.config,
            progress=lambda line: print(line, file=said),
        )
        outcomes |= {outcome.export.key: outcome for outcome in done.outcomes}
        if case.absent or case.id[0] in "NP":
            said.write(_shown_by_dagster(done))
    return [outcomes[key] for _, key, _, _ in planned]


def _put(desk: Desk, key: str, data: bytes, sparse: int) -> str:
    if sparse and isinstance(desk.landing, LocalStore):
        with (desk.landing.root / key).open("wb") as file:
            file.truncate(sparse)
    else:
        desk.landing.create(key, data)
    return key


def _shown_by_dagster(batch: Batch) -> str:
    """Every metadata value that Dagster would show of a batch."""
    from encord_dagster.orchestration import metadata

    shown = [
        {name: repr(value) for name, value in build(outcome, batch.published).items()}
        for outcome in batch.outcomes
        for build in metadata.BUILDERS.values()
    ]
    shown += [
        {name: repr(value) for name, value in metadata.check([outcome], {outcome.export.id: why}, total=1).items()}
        for outcome in batch.outcomes
        for why in [outcome.error or outcome.status]
    ]
    shown += (
        [{name: repr(value) for name, value in metadata.version(batch.published).items()}] if batch.published else []
    )
    return json.dumps(shown, ensure_ascii=False)


def _of_outcome(expected: Expected, outcome: ExportOutcome) -> list[str]:
    """How an outcome differs from what was expected of it."""
    errors = {finding.rule for finding in outcome.findings if finding.severity == "error"}
    accounted = outcome.objects_published + outcome.objects_quarantined + sum(outcome.objects_excluded.values())
    compared: list[tuple[str, object, object]] = [
        ("status", expected.status, outcome.status),
        ("rows quarantined", len(expected.rows), outcome.rows_quarantined),
    ]
    if expected.refused:
        reason = outcome.findings[0].rule if outcome.findings else outcome.error
        compared += [("reason", True, reason in expected.refused)]
        found = [f"reason {reason}, expected one of {sorted(expected.refused)}"] * (reason not in expected.refused)
    else:
        found = []
        compared += [
            ("objects published", expected.published, outcome.objects_published),
            ("objects quarantined", len(expected.objects), outcome.objects_quarantined),
            ("objects excluded", dict(expected.excluded), outcome.objects_excluded),
            ("objects accounted for", outcome.objects_in, accounted),
            ("errors", sorted({*expected.rows, *expected.objects}), sorted(errors - expected.findings)),
            ("findings missing", [], sorted(expected.findings - outcome.rules.keys())),
        ]
    found += [f"{what}: expected {wanted}, got {got}" for what, wanted, got in compared if wanted != got]
    if found:
        found.append(f"(its findings: {[str(finding)[:200] for finding in outcome.findings[:8]]}; {outcome.error})")
    return found


def _of_raw(delivery: Delivery, outcome: ExportOutcome, desk: Desk) -> list[str]:
    """The raw copy is the delivery, and the quarantine points into it with the expected reasons."""
    if delivery.sparse:
        return []
    digest = manifest.sha256(delivery.data)
    raw = desk.lake.get(layout.raw(digest))
    found = [] if raw == delivery.data else ["the raw copy is not the export's bytes"]
    held = [one for one in quarantine.read(desk.lake, desk.config.name) if one.export.id == outcome.export.id]
    reasons = Counter(item.reason for record in held for item in record.items)
    expected = delivery.expected
    for reason in (*expected.rows, *expected.objects):
        reasons[reason] -= 1
    reasons -= Counter(reasons.keys() & expected.refused)
    if any(reasons.values()):
        found.append(f"in quarantine for other reasons than expected: {dict(reasons)}")
    return found


def _of_good(good: Sequence[ExportOutcome], hostile: Sequence[ExportOutcome], desk: Desk) -> list[str]:
    """The good exports came through whole: all objects, and the same content digest as without the bad one."""
    found = [f"a good export was {one.status}: {one.error}" for one in good if one.status != "published"]
    version = open_label_set(desk.lake, desk.config.name).version()
    digest, rows, objects = good_alone(msgspec.json.encode(desk.config))
    kept = [row for row in version.label_rows() if row.row in rows]
    own = f"{desk.config.digest()}\0{manifest.tree_digest(kept)}"
    if manifest.sha256(own.encode()) != digest or {row.row: row.fragment for row in kept} != rows:
        found.append("the rows of the good exports do not have the content digest that they have alone")
    if all(one.status == "quarantined" for one in hostile) and version.record.content_digest != digest:
        found.append("the content digest is not that of the good exports")
    if sum(one.objects_published for one in good) != objects:
        found.append("the good exports lost objects")
    return found


def _of_texts(
    case: Case, deliveries: Sequence[Delivery], outcomes: Sequence[ExportOutcome], desk: Desk, said: str
) -> list[str]:
    """What is written outside raw/, printed, or shown: no planted text, and no key made of any text."""
    found = [f"odd key {key}" for key in desk.written() if not msgspec.convert(key, str).isascii() or " " in key]
    if not (case.absent or case.id[0] in "NP"):
        return found
    version = open_label_set(desk.lake, desk.config.name).version()
    places = texts(desk.lake)
    spelt = {place: text for place, text in places.items() if text[:1] in ("{", "[")}  # no Parquet, no pictures
    tables = ("annotations", "classifications", "attributes", "row_events", "findings")
    spelt |= {name: json.dumps(version.table(name).to_pylist(), ensure_ascii=False) for name in tables}
    spelt |= {"coco": version.coco().decode(), "said": said}
    spelt |= {"outcomes": msgspec.json.encode(outcomes).decode(), "errors": str([one.error for one in outcomes])}
    places |= spelt
    found += [f"{secret!r} stands in {place}" for place, secret in leaks(places, case.absent)]
    found += [f"{mark!r} stands in {place}" for place, mark in leaks(spelt, UNSEEN) if case.id[0] == "N"]
    wanted = [text for one in deliveries for text in one.seen]
    found += [f"{text!r} is not in the COCO file" for text in wanted if text not in places["coco"]]
    planted = [text for text in case.absent if text.isascii() and len(text) > 3]
    found += [f"{text!r} is in key {key}" for key in desk.written() for text in planted if text in key]
    return found


@functools.cache
def good_exports() -> tuple[bytes, bytes]:
    """Two exports of other rows of one project."""
    return images_export(1, seed=3), images_export(1, seed=4)


@functools.cache
def good_alone(config: bytes) -> tuple[str, dict[str, str | None], int]:
    """Content digest, fragments by row identity, and objects of a label set of the good exports and nothing else."""
    from encord_dagster.config import LabelSetConfig

    desk = Desk(config=msgspec.json.decode(config, type=LabelSetConfig))
    clock = (DAY + timedelta(minutes=minute) for minute in itertools.count())
    desk.landing = MemoryStore(now=lambda: next(clock))
    batch = desk.ingest(*[desk.deliver(f"good-{n}.json", data) for n, data in enumerate(good_exports())])
    assert batch.published
    rows = {row.row: row.fragment for row in desk.label_set().version().label_rows()}
    return batch.published.content_digest, rows, sum(one.objects_published for one in batch.outcomes)

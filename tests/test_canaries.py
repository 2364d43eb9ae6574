"""What of an export reaches whoever reads the lake, place by place: the promised texts, and nothing else."""

import hashlib
import hmac
import logging
import re
from typing import Any

import msgspec
import pytest

from encord_dagster.config import LabelSetConfig
from encord_dagster.label_set.verify import verify
from encord_dagster.landing import exports_in
from encord_dagster.pipeline import ingest
from encord_dagster.reports import batch_text, log_entries, log_text, version_text
from tests import factories as make
from tests.canaries import Found, Planter, coco_export, deliveries, label_rows
from tests.lakes import Desk
from tests.published import texts

KEY = "0f2a9c, a key of many characters"
VARIABLE = "CANARY_PSEUDONYM_KEY"
TEXT_ANSWERS = {
    *("classifications.answers", "actions.answers", "<answers>.<answer>"),
    *("answers.to", "answers.<key>", "answers.<unknown>", "answers.reviews"),  # the JSON of a relation
}
NAMES = {  # people choose these: they are published without addresses, queries, logins and keys
    *("objects.name", "skeleton.name", "classifications.name", "classification_answers.name"),
    *("actions.name", "answers.name", "attributes.name", "options.label", "options.name"),
    *("row.label_status", "row.annotation_task_status", "workflow_graph_node.title"),
    *("categories.name", "<answers>.<ticked>", "<answers>.<list>"),
}
TITLES = {"data_units.data_title", "child_info.file_name", "images.image_title", "images.video_title"}
LINKS = {"data_units.data_link", "metadata.file_uri", "images.coco_url"}
ENTRIES = ("objects", "classifications", "classification_answers")  # that have authors and times
USERS = {f"{entry}.{key}" for entry in ENTRIES for key in ("createdBy", "lastEditedBy")} | {"export_history.user_email"}
TIMES = {f"{entry}.{key}" for entry in ENTRIES for key in ("createdAt", "lastEditedAt")}


PUBLISHED = {(kind, place) for place in NAMES | TEXT_ANSWERS for kind in ("word", "path")} | {("word", "export.name")}
NOTHING: Found = set()

SWITCHES = [
    pytest.param({}, NOTHING, NOTHING, id="nothing"),
    pytest.param(
        {"publish": ("titles",)}, {(kind, place) for place in TITLES for kind in ("word", "path")}, NOTHING, id="titles"
    ),
    pytest.param({"publish": ("links",)}, {("path", place) for place in LINKS}, NOTHING, id="links"),
    pytest.param({"publish": ("times",)}, {("time", place) for place in TIMES}, NOTHING, id="times"),
    pytest.param(
        {"publish": ("people",), "pseudonym_key_variable": VARIABLE},
        {("pseudonym", place) for place in USERS},
        NOTHING,
        id="people",
    ),
    pytest.param(
        {"free_text": False},
        NOTHING,
        {(kind, place) for place in TEXT_ANSWERS for kind in ("word", "path")},
        id="texts",
    ),
]


@pytest.mark.parametrize(("options", "more", "less"), SWITCHES)
def test_each_switch_publishes_what_it_promises_and_nothing_else(
    options: dict[str, Any], more: Found, less: Found, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Every file, log line, finding, outcome and report: no address, login, query or key, and words only of names."""
    monkeypatch.setenv(VARIABLE, KEY)
    caplog.set_level(logging.DEBUG)
    planter = Planter()
    desk = Desk(config=LabelSetConfig(name="street", name_pattern="(?P<project>.*)", **options))

    shown = _everything(desk, deliveries(planter)) + caplog.text

    assert len(planter.places) > 1500
    assert planter.found(shown) | _people(planter, shown) == (PUBLISHED | more) - less
    assert KEY not in shown


def test_the_planted_rows_are_read() -> None:
    """Of each export all rows count but one, and all shapes that can be converted are: the canaries are not idle."""
    desk, planter = Desk(), Planter()

    rows = desk.bring("rows.json", make.encode(label_rows(planter, "row"))).outcomes[0]
    coco = desk.bring("coco.json", make.encode(coco_export(planter))).outcomes[0]

    assert (rows.rows, rows.rows_quarantined, rows.objects_quarantined) == (12, 1, 1)
    assert rows.objects_excluded == {"deleted": 1, "unsupported_shape": 1, "unsupported_modality": 3}
    assert rows.objects_published == 10 + 2 + 2 + 1 + 1 + 1
    assert (coco.rows, coco.rows_quarantined, coco.objects_published) == (3, 0, 3)


def _everything(desk: Desk, exports: dict[str, dict[str, bytes]]) -> str:
    """All that is written outside raw/, said and shown of some deliveries."""
    shown: list[str] = []
    for folder, files in exports.items():
        for name, data in files.items():
            desk.landing.create(f"{folder}/{name}", data)
        export = next(export for export in exports_in(desk.landing) if export.key.startswith(folder))
        batch = ingest([export], landing=desk.landing, lake=desk.lake, config=desk.config, progress=shown.append)
        shown += [batch_text(batch), _without_keys(desk, msgspec.json.encode(batch).decode())]
    label_set = desk.label_set()
    version = label_set.version()
    shown += [version_text(version), log_text(log_entries(label_set)), repr(verify(desk.lake, "street"))]
    shown += [repr(version.findings()), repr(desk.config)]
    for key, text in texts(desk.lake).items():
        assert not re.search("[zi]TXt|eXIf", text), "compressed texts in pictures are not searched"
        shown += [key, _without_keys(desk, text) if "/sources/" in key or "/quarantine/" in key else text]
    return "\n".join(shown)


def _people(planter: Planter, shown: str) -> Found:
    return {("pseudonym", place) for address, place in planter.people.items() if pseudonym(address) in shown}


def pseudonym(address: str) -> str:
    """What a person is called where people are published."""
    return "p-" + hmac.new(KEY.encode(), address.casefold().encode(), hashlib.sha256).hexdigest()[:16]


def _without_keys(desk: Desk, text: str) -> str:
    """A record of where an export lies names it as it is, or nobody could find it again."""
    for info in desk.landing.list():
        text = text.replace(info.key, "")
    return text

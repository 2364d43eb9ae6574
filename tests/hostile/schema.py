"""S: JSON that is not, or not quite, a label row."""

from tests import factories as make
from tests.factories import Json
from tests.hostile.case import (
    Case,
    Delivery,
    Expected,
    accepted,
    beside,
    edited,
    neighbour,
    one,
    refused,
    row_quarantined,
)

HASH = "625aea31-6d63-4623-b9aa-ed8d89f1db1"


def row(**changes: object) -> Json:
    """An image row with one box; ... removes a key."""
    return edited(make.image_row(make.box()), **changes)


def history(*entries: tuple[str, str]) -> list[Json]:
    """An export history of hashes and times."""
    return [{"export_hash": key, "exported_at": time, "user_email": "a@example.com"} for key, time in entries]


def of_row(expected: Expected, **changes: object) -> Delivery:
    """An export of one changed row and its neighbour."""
    return Delivery(data=beside(row(**changes)), expected=expected)


def no_objects() -> list[Delivery]:
    """Values that are no object, as the only row and beside a good one."""
    values: list[object] = [5, "text", True, None, 0.5]
    alone = [Delivery(data=make.encode([value]), expected=refused("not_label_rows")) for value in values]
    return [*alone, *(Delivery(data=beside(value), expected=row_quarantined("row_unreadable")) for value in values)]


def lists_of_rows() -> list[Delivery]:
    """A list of rows where a row should be."""
    nested = [row(), row(label_hash="row-2")]
    return [
        Delivery(data=make.encode([nested]), expected=refused("not_label_rows")),
        Delivery(data=beside(nested), expected=row_quarantined("row_unreadable")),
        Delivery(data=beside([]), expected=row_quarantined("row_unreadable")),
    ]


def missing() -> list[Delivery]:
    """Each key that a row cannot do without, and each that it can."""
    video = make.video_row({0: [make.box()], 3: [make.point()]})
    unit: Json = dict(make.unit("data-0", "image/jpeg", make.labels(make.box())))
    without = {key: {name: value for name, value in unit.items() if name != key} for key in unit}
    nothing = without["labels"]
    return [
        of_row(row_quarantined("no_identity"), label_hash=..., data_hash=...),
        of_row(row_quarantined("no_data_units"), data_units=...),
        of_row(row_quarantined("no_data_units"), data_units=None),
        of_row(accepted(2, "label_hash_missing"), label_hash=...),
        of_row(accepted(1, "unknown_data_type", excluded={"unsupported_modality": 1}), data_type=...),
        of_row(accepted(1, "unlabelled_row"), data_units={"data-0": nothing}),
        Delivery(data=beside(edited(video, data_hash=...)), expected=accepted(3)),
        *[
            of_row(accepted(2), **{key: ...})
            for key in (
                "data_hash", "dataset_hash", "data_title", "branch_name", "label_status", "export_hash", "exported_at",
                "export_history", "object_answers", "classification_answers", "object_actions", "last_edited_at",
            )
        ],
        *[
            of_row(accepted(2), data_units={"data-0": without[key]})
            for key in ("data_hash", "data_title", "data_type", "data_sequence", "data_link")
        ],
        *[
            of_row(Expected(objects=("no_frame_size",), published=1), data_units={"data-0": without[key]})
            for key in ("width", "height")
        ],
    ]  # fmt: skip


def wrong_types() -> list[Delivery]:
    """Keys with values of another kind: the row goes where everything hangs on them, else the value does."""
    return [
        Delivery(data=beside(row(**{key: value})), expected=Expected(rows=(reason,), published=1))
        for key, value, reason in (
            ("label_hash", [], "row_unreadable"),
            ("label_hash", 5, "bad_hash"),
            ("label_hash", True, "bad_hash"),
            ("label_hash", "x y", "bad_hash"),
            ("data_hash", {}, "row_unreadable"),
            ("data_hash", 0.5, "bad_hash"),
            ("branch_name", 7, "row_unreadable"),
            ("branch_name", ["main"], "row_unreadable"),
            ("data_type", [], "row_unreadable"),
            ("data_units", 5, "no_data_units"),
            ("data_units", "units", "no_data_units"),
            ("data_units", [], "no_data_units"),
            ("data_units", {"data-0": 5}, "unit_unreadable"),
            ("data_units", {"data-0": []}, "unit_unreadable"),
            ("data_units", [5], "unit_unreadable"),
            ("data_units", {"data-0": {"labels": 5}}, "unit_unreadable"),
            ("data_units", {"data-0": {"labels": {"objects": 5}}}, "unit_unreadable"),
            ("data_units", {"x y": {"labels": {}}}, "bad_hash"),
            ("object_answers", 5, "row_unreadable"),
            ("classification_answers", "x", "row_unreadable"),
            ("object_actions", True, "row_unreadable"),
            ("spaces", 5, "row_unreadable"),
        )
    ] + [
        of_row(accepted(2, *findings), **{key: value})
        for key, value, findings in (
            ("dataset_hash", 5, ("bad_hash",)),
            ("data_title", {"a": 1}, ()),
            ("dataset_title", [1], ()),
            ("label_status", 5, ()),
            ("exported_at", 5, ("bad_time",)),
            ("last_edited_at", "yesterday", ("bad_time",)),
            ("is_image_sequence", "maybe", ()),
            ("workflow_graph_node", [1], ()),
            ("video_link", {}, ()),
            ("export_history", [5, "x", {}], ("bad_history",)),
            ("object_answers", {"object01": 5}, ("bad_answer",)),
            ("object_actions", {"object01": []}, ("bad_answer",)),
            ("classification_answers", {"classif1": 5}, ("bad_classification",)),
            ("client_metadata", [[[]]], ()),
        )
    ]


def nulls() -> list[Delivery]:
    """Null, and the words for it, in every key at once but those that nothing stands in for."""
    kept = ("label_hash", "data_units", "data_type")
    rows = [
        {key: value if key in kept else empty for key, value in row().items()} for empty in (None, "null", "None", "")
    ]
    nothing: dict[str, object] = dict.fromkeys(row(), None)
    maps = ("object_answers", "classification_answers", "object_actions", "export_history")
    rows[1:] = [one_ | dict.fromkeys(maps) for one_ in rows[1:]]
    entry = make.box() | {"confidence": None, "name": None, "value": None, "isDeleted": None, "manualAnnotation": None}
    return [
        *[Delivery(data=beside(one_), expected=accepted(2)) for one_ in rows],
        Delivery(data=beside(nothing), expected=row_quarantined("no_identity")),
        Delivery(data=beside(make.image_row(entry)), expected=accepted(2)),
        Delivery(
            data=beside(make.image_row(dict.fromkeys(make.box()))),
            expected=Expected(objects=("bad_hash",), published=1),
        ),
        Delivery(data=beside(None), expected=row_quarantined("row_unreadable")),
        Delivery(data=b"null", expected=refused("not_label_rows", "not_json")),
    ]


def endless_history() -> list[Delivery]:
    """A history of 100,000 entries, in a row with a label."""
    entries = history(*((f"hash-{n}", f"2023-{1 + n % 12:02}-01 00:00:{n % 60:02}") for n in range(100_000)))
    return one(beside(row(export_history=entries)), accepted(2))


def reversed_history() -> list[Delivery]:
    """Oldest first, in no order, keyed by index, and with times that cannot be read."""
    entries = history(*((f"{HASH}{n}", f"2023-0{n}-01 10:00:00") for n in range(1, 9)))
    mixed = entries[::2] + entries[1::2]
    keyed = {str(n): entry for n, entry in enumerate(entries)}
    timeless = [entry | {"exported_at": "some day"} for entry in entries]
    return [
        of_row(accepted(2), export_history=entries),
        of_row(accepted(2), export_history=entries[::-1]),
        of_row(accepted(2), export_history=mixed),
        of_row(accepted(2), export_history=keyed),
        of_row(accepted(2, "bad_time"), export_history=timeless),
    ]


def cycle() -> list[Delivery]:
    """Two exports of one row whose histories hold each other: the later one by its own time is taken."""
    first, second = f"{HASH}1", f"{HASH}2"
    early, late = "2023-12-01 10:00:00", "2023-12-02 10:00:00"
    one_ = row(export_hash=first, exported_at=early, export_history=history((second, late)))
    other = row(export_hash=second, exported_at=late, export_history=history((first, early)))
    other = edited(other, data_units=make.image_row(make.box(), make.point())["data_units"])
    return [
        Delivery(data=make.encode([other]), expected=accepted(2)),
        Delivery(data=make.encode([one_]), expected=accepted(1, "history_disagrees", status="observed"), batch=1),
    ]


def newer_schema() -> list[Delivery]:
    """Unknown keys at every level, an unknown shape, and states that no release has known."""
    extra: Json = {"schema_version": 99, "hologram": {"a": [1, {"b": None}]}}
    shape = make.entry("hologram", {"hologram": {"x": 0.5}}, "future01")
    labels = make.labels(make.box() | extra, shape | extra) | extra
    unit: Json = {**make.unit("data-0", "image/jxl", labels), **extra}
    newer = {**row(label_status="DREAMT", data_units={"data-0": unit}), **extra}
    wrapped = {"labels": [row(label_hash="wrapped"), neighbour()], "ontology": {}, **extra}
    return [
        Delivery(
            data=beside(newer),
            expected=accepted(2, "unknown_status", "unknown_shape", excluded={"unsupported_shape": 1}),
        ),
        Delivery(data=make.encode(wrapped), expected=accepted(2)),
    ]


def unit_keys() -> list[Delivery]:
    """A data unit filed under another hash, under its place in a list, and in a list."""
    unit = make.unit("data-0", "image/jpeg", make.labels(make.box()))
    return [
        of_row(accepted(2, "data_hash_differs"), data_units={"other-0": unit}),
        of_row(accepted(2), data_units={"0": unit}),
        of_row(accepted(2), data_units=[unit]),
        of_row(accepted(2, "data_hash_differs"), data_units={"a key of words, ünbound": unit}),
    ]


def no_units() -> list[Delivery]:
    """An object, list or null without units; a deleted asset needs none."""
    empty: tuple[object, ...] = ({}, [], None)
    return [
        *[of_row(row_quarantined("no_data_units"), data_units=nothing) for nothing in empty],
        of_row(accepted(1), data_units={}, data_type="deleted"),
    ]


def unknown_types() -> list[Delivery]:
    """Objects of a row that nothing is known of are counted, not converted."""
    return [
        of_row(accepted(1, "unknown_data_type", excluded={"unsupported_modality": 1}), data_type="hologram"),
        of_row(accepted(1, "unknown_data_type", excluded={"unsupported_modality": 1}), data_type="x" * 100_000),
        of_row(accepted(2), data_type="IMAGE"),
    ]


def unknown_ontology() -> list[Delivery]:
    """Classes that no ontology is known for: they are taken from the labels; a class of two names is told of."""
    strange = [make.box(featureHash="Foreign1", name="alien"), make.box(object_hash="object02", featureHash="Foreign1")]
    return [
        Delivery(data=beside(make.image_row(make.box(featureHash="NeverS33"))), expected=accepted(2)),
        Delivery(data=beside(make.image_row(*strange)), expected=accepted(3, "class_name_differs")),
        Delivery(
            data=beside(make.image_row(make.box(featureHash=None))),
            expected=Expected(objects=("bad_hash",), published=1),
        ),
    ]


CASES = (
    Case(id="S01", name="not an object", make=no_objects),
    Case(id="S02", name="list of rows where a row should be", make=lists_of_rows),
    Case(id="S03", name="keys missing, one by one", make=missing),
    Case(id="S04", name="values of the wrong type, one by one", make=wrong_types),
    Case(id="S05", name="nulls", make=nulls),
    Case(
        id="S06",
        name="export_hash empty",
        make=lambda: [of_row(accepted(2), export_hash=""), of_row(accepted(2), export_hash=" \t")],
    ),
    Case(
        id="S07",
        name="export_hash that is no uuid",
        make=lambda: [
            of_row(accepted(2), export_hash="not-a-uuid"),
            of_row(accepted(2, "bad_history"), export_hash="../../secret"),
            of_row(accepted(2, "bad_history"), export_hash="two words"),
            of_row(accepted(2, "bad_history"), export_hash=5),
        ],
    ),
    Case(
        id="S08",
        name="export_hash of 1 MB",
        make=lambda: one(beside(row(export_hash="a" * 2**20)), accepted(2, "bad_history")),
    ),
    Case(
        id="S09",
        name="export_history missing",
        make=lambda: [of_row(accepted(2), export_history=...), of_row(accepted(2), export_history=[])],
    ),
    Case(
        id="S10",
        name="export_history that is no list",
        make=lambda: [of_row(accepted(2, "bad_history"), export_history=value) for value in (5, "x", True, {"a": 5})],
    ),
    Case(
        id="S11",
        name="export_history that holds itself",
        make=lambda: one(
            beside(
                row(
                    export_hash=f"{HASH}1",
                    exported_at="2023-12-01 10:00:00",
                    export_history=history((f"{HASH}1", "2023-12-01 10:00:00"), (f"{HASH}2", "2023-11-01 10:00:00")),
                )
            ),
            accepted(2),
        ),
    ),
    Case(
        id="S12",
        name="duplicates in export_history",
        make=lambda: one(
            beside(row(export_history=history(*[(f"{HASH}1", f"2023-12-0{n} 10:00:00") for n in range(1, 9)] * 50))),
            accepted(2),
        ),
    ),
    Case(id="S13", name="two exports in each other's history", make=cycle, together=True),
    Case(id="S14", name="export_history in another order", make=reversed_history),
    Case(id="S15", name="export_history of 100,000 entries", make=endless_history, heavy=True),
    Case(id="S16", name="unknown data type", make=unknown_types),
    Case(id="S17", name="no data units", make=no_units),
    Case(id="S18", name="unit key that is not the data hash", make=unit_keys),
    Case(id="S19", name="labels of an unknown ontology", make=unknown_ontology),
    Case(id="S20", name="a newer schema than is known", make=newer_schema),
)

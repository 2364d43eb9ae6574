"""P: persons and credentials planted in exports: after reading they stand nowhere but in the raw copy."""

from tests import factories as make
from tests.factories import Json
from tests.hostile.case import Case, Delivery, accepted, beside, edited, image, object_quarantined, refused

ADDRESS = "jane.canary@hospital.example.org"
PERSON = "Canary^Jane^1971"
UID = "1.2.840.99999.4711.42"
TITLE = "Canary title of Jane"
KEY = "AKIACANARY7SECRET123"
S3 = (
    "https://bucket.s3.amazonaws.com/scan.png?X-Amz-Algorithm=AWS4-HMAC-SHA256"
    "&X-Amz-Credential=CanaryCred&X-Amz-Signature=CanarySig0"
)
GCS = "https://storage.googleapis.com/bucket/scan.png?X-Goog-Credential=CanaryCred&X-Goog-Signature=CanarySig0"
AZURE = "https://acc.blob.core.windows.net/box/scan.png?sv=2022-11-02&sr=b&se=2030-01-01&sp=r&sig=CanarySig0%3D"


def in_texts(secret: str) -> list[Delivery]:
    """A secret in every text that is published, in links, in a bad object's fields, and in keys."""
    told = f"see {secret} there"
    answers = [
        make.answer(told, told, "AttrText"),
        make.answer([make.option(told, "OptionA1")], told, "AttrRadi"),
        make.answer(told, told, "not a hash " + secret),
    ]
    shapes = [
        make.box(name=told, value=told, createdBy=secret, confidence=secret),
        make.skeleton([make.joint(0.2, 0.2, told, "JointClA")]),
        make.entry(told, {"hologram": {}}, "object08"),
    ]
    row = image(*shapes, classifications=[make.classification(name=told)], label_status=told, video_link=secret)
    row |= {
        "object_answers": {"object01": {"objectHash": "object01", "classifications": answers}},
        "object_actions": {"object01": {"actions": [make.action(told, [[0, 0]], told, "AttrDyna")]}},
        "classification_answers": {"classif1": {"classifications": answers}, told: {"classifications": answers}},
        "workflow_graph_node": {"title": told},
        "exported_at": told,
        secret: secret,
    }
    bad = make.box(y=6204, object_hash=told, name=told)
    refused_row = edited(make.image_row(make.box()), label_hash=told)
    odd_unit = edited(make.image_row(make.box()), data_units={told: {"data_hash": told}})
    return [
        Delivery(
            data=beside(row),
            expected=accepted(4, "personal_data_removed", excluded={"unsupported_shape": 1}),
        ),
        Delivery(data=beside(image(bad)), expected=object_quarantined("bad_hash")),
        Delivery(data=beside(refused_row, odd_unit), expected=accepted(1, rows=["bad_hash", "bad_hash"])),
        Delivery(data=beside(row)[:-40] + told.encode(), expected=refused("not_json", "truncated_json")),
        Delivery(data=f"<html>{told}</html>".encode(), expected=refused("html_not_json")),
    ]


def in_links(link: str) -> list[Delivery]:
    """A signed link in every link field of a row, in keys and free texts, and in fields of the wrong type."""
    unit = make.unit("data-0", "image/png", make.labels(make.box()), data_link=link, data_links=[link])
    row = make.row("image", [unit], video_link=link, image_sequence_link=link, data_title=link)
    return [Delivery(data=beside(row), expected=accepted(2)), *in_texts(link)]


def in_history() -> list[Delivery]:
    """The users of export_history, also where an entry cannot be read, or is the wrong way up."""
    entry: Json = {"export_hash": "hash-1", "exported_at": "2023-12-01 10:00:00", "user_email": ADDRESS}
    odd: list[object] = [
        entry,
        {"user_email": ADDRESS},
        ADDRESS,
        {**entry, "export_hash": ADDRESS, "exported_at": ADDRESS},
    ]
    rows = [make.image_row(make.box(), export_history=value) for value in ([entry], odd, {ADDRESS: entry}, ADDRESS)]
    findings = ((), ("bad_history",), (), ("bad_history",))
    return [Delivery(data=beside(row), expected=accepted(2, *found)) for row, found in zip(rows, findings, strict=True)]


def in_editors() -> list[Delivery]:
    """Authors and editors of objects, answers, classifications and reviews; the assignee of the task."""
    people: Json = {"createdBy": ADDRESS, "lastEditedBy": ADDRESS, "reviews": [{"createdBy": ADDRESS}]}
    row = image(make.box() | people, classifications=[make.classification() | people], assigned_user_email=ADDRESS)
    row["classification_answers"] = {"classif1": {"classifications": [make.answer("sunny") | people], **people}}
    far = make.box(y=6204, object_hash="faraway1") | people
    return [
        Delivery(data=beside(row), expected=accepted(3)),
        Delivery(data=beside(image(far)), expected=object_quarantined("outside_image")),
    ]


def in_titles() -> list[Delivery]:
    """Titles of data, data units and datasets, and the metadata of clients, are dropped whole."""
    unit = make.unit("data-0", "image/png", make.labels(make.box()), data_title=TITLE)
    row = make.row("image", [unit], data_title=TITLE, dataset_title=TITLE, client_metadata={"patient": TITLE})
    wrong = edited(row, label_hash="wrong-titles", data_title=[TITLE], dataset_title={TITLE: TITLE})
    return [Delivery(data=beside(row, wrong), expected=accepted(3))]


def in_dicom(patient: str, uid: str) -> list[Delivery]:
    """A series with the patient's name and the study's, series' and slices' uids in all their places."""
    slices = {0: make.dicom_slice(make.box(), uid=uid), 1: make.dicom_slice(make.point(), uid=f"{uid}.1", multiframe=1)}
    row = make.dicom_row(slices)
    units: Json = dict(row["data_units"])  # type: ignore[call-overload]  # free JSON
    metadata = {"patient_id": patient, "patient_name": patient, "study_uid": uid, "series_uid": uid}
    units["dicom-0"] = units["dicom-0"] | {"metadata": metadata, "data_links": [f"bucket/{patient}/{uid}"]}  # type: ignore[operator]  # free JSON
    good = edited(row, data_units=units)
    twice = make.dicom_row({0: make.dicom_slice(make.box(), uid=uid), 1: make.dicom_slice(uid=uid)})
    odd = make.dicom_row({0: make.dicom_slice(make.box(), uid=f"{uid} {patient}", multiframe=patient)})
    return [
        Delivery(data=beside(good), expected=accepted(3)),
        Delivery(data=beside(twice), expected=accepted(2, "bad_slice")),
        Delivery(data=beside(odd), expected=accepted(2, "bad_slice")),
    ]


SIGNED = ("CanaryCred", "CanarySig0", "X-Amz-", "X-Goog-", "sig=Canary")
CASES = (
    Case(id="P01", name="e-mail in the history", make=in_history, absent=(ADDRESS, "jane.canary")),
    Case(id="P02", name="e-mail of an editor", make=in_editors, absent=(ADDRESS, "jane.canary")),
    Case(id="P03", name="person in a title", make=in_titles, absent=(TITLE,)),
    Case(id="P04", name="e-mail in free text", make=lambda: in_texts(ADDRESS), absent=(ADDRESS, "jane.canary")),
    Case(id="P05", name="signed S3 link", make=lambda: in_links(S3), absent=SIGNED),
    Case(id="P06", name="signed GCS link", make=lambda: in_links(GCS), absent=SIGNED),
    Case(id="P07", name="signed Azure link", make=lambda: in_links(AZURE), absent=SIGNED),
    Case(id="P08", name="access key", make=lambda: in_texts(KEY), absent=(KEY,)),
    Case(id="P09", name="DICOM patient name", make=lambda: in_dicom(PERSON, "1.2.3"), absent=(PERSON, "Canary^Jane")),
    Case(id="P10", name="DICOM uid", make=lambda: in_dicom("P-1", UID), absent=(UID,)),
)

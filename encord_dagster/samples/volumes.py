"""Rows of scanners: DICOM series and NIfTI volumes of bodies."""

from encord_dagster.samples import scenes, stamps
from encord_dagster.samples.bodies import Body, Draft, raw
from encord_dagster.samples.document import DataUnit, Labels, SeriesMetadata, SliceMetadata
from encord_dagster.samples.labels import RowLabels, classify, label

_UID = "1.2.826.0.1.3680043.8.498"


def dicom(draft: Draft) -> Body:
    """Four slices: the third has a size of its own, the last no labels."""
    slice_sizes = ((512, 400), (512, 400), (600, 440), (512, 400))
    labels = _organs(draft, {n: slice_sizes[n] for n in range(3)})
    labels.frames[3] = Labels([], [])
    series = f"{_UID}.{draft.random.randrange(10**9)}"
    links = [stamps.link("dicoms", stamps.uuid4(draft.random)) for _ in slice_sizes]
    for number, (width, height) in enumerate(slice_sizes):
        instance = f"{series}.{number + 1}"
        labels.frames[number].metadata = SliceMetadata(instance, None, links[number], width, height)
    title = f"{stamps.PATIENT_NAME} CT abdomen"
    unit = DataUnit(
        data_hash=draft.data_hash,
        data_title=title,
        data_type="application/dicom",
        data_sequence=0,
        labels=raw(labels.frames),
        metadata=SeriesMetadata(stamps.PATIENT_ID, f"{_UID}.{draft.random.randrange(10**9)}", series),
        data_links=links,
        width=512,
        height=400,
    )
    return Body("dicom", title, [unit], labels)


def nifti(draft: Draft) -> Body:
    """A volume with labels on two slices."""
    labels = _organs(draft, {127: (512, 400), 128: (512, 400)})
    title = f"{stamps.PATIENT_NAME}_chestct.nii.gz"
    unit = DataUnit(
        data_hash=draft.data_hash,
        data_title=title,
        data_type="application/nifti1",
        data_sequence=0,
        labels=raw(labels.frames),
        data_link=stamps.link("nifti", draft.data_hash),
        width=512,
        height=400,
    )
    return Body("nifti", title, [unit], labels)


def _organs(draft: Draft, sizes: dict[int, tuple[int, int]]) -> RowLabels:
    ward = scenes.ward(draft.random)
    drawn = {
        number: tuple(scenes.draw_ward(ward, width=width, height=height, time=time))
        for time, (number, (width, height)) in enumerate(sizes.items())
    }
    labels = label(drawn, random=draft.random, at=draft.start)
    classify(labels, "Remark", by_range=False, random=draft.random, at=draft.start)
    return labels

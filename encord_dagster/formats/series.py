"""DICOM series among what is written, each as a volume out of the headers that the user gave, or refused with a reason.

A version holds no SOP instance uid, but ids of images are made of them: so the slice of a header is known by its id.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence, Set

import msgspec

from encord_dagster import identity
from encord_dagster.errors import UsageError
from encord_dagster.formats.dicom_headers import Header, Headers, read_headers
from encord_dagster.formats.labelled import Labelled, sequences
from encord_dagster.formats.stacks import Stack, stack
from encord_dagster.formats.writing import Chosen

BACKGROUND = "background"  # what lists of labels call value 0, and so no class
ONE_FRAME = ("-", "0", "1")  # what a file of one frame can be called: without number, or counted from 0 or 1


class Volume(msgspec.Struct, frozen=True):
    """A series whose geometry is known; `frames` are the images of slices in the export, by place in the stack."""

    data_hash: str
    stack: Stack
    frames: dict[int, Labelled]


class Refused(msgspec.Struct, frozen=True):
    """A series that is no volume: the loss it is counted as, and the reason."""

    name: str
    reason: str


class Series:
    """Finds the volumes, and keeps the list of what became of each series."""

    def __init__(self, kind: str, chosen: Chosen) -> None:
        if chosen.given.dicom_headers is None:
            raise UsageError(
                f"{kind}: where slices lie is not in an export; name the folder of your DICOM files (--dicom-headers)"
            )
        if chosen.selection.frame_step != 1:
            raise UsageError(f"{kind}: a volume has all slices; leave frame_step out")
        self.kind, self.lost = kind, chosen.lost
        self._headers = read_headers(chosen.given.dicom_headers)
        self.listed: list[dict[str, object]] = []

    def volumes(self, images: Sequence[Labelled]) -> Iterator[Volume]:
        """The series among some images; what is none, or is refused, is counted as lost."""
        for one in images:
            self.lost[f"{self.kind}:no_series"] += 0 if _is_slice(one) else len(one.annotations)
        for frames in sequences([one for one in images if _is_slice(one)]).values():
            found = match(frames, self._headers)
            if isinstance(found, Refused):
                self.listed.append({})
                self.refuse(frames, found)
                continue
            placed, whole = found
            counts = {"slices": len(whole.slices), "slices_in_export": len(placed)}
            self.listed.append(_named(frames[0]) | counts | {"affine_lps": whole.affine.tolist()})
            yield Volume(frames[0].image.encord.data_hash, whole, placed)

    def refuse(self, frames: Sequence[Labelled], refused: Refused, *, lost_before: int = 0) -> None:
        """Count the objects of the series at hand but those lost before, and list why there is no volume of it."""
        objects = sum(len(one.annotations) for one in frames) - lost_before
        self.lost[f"{self.kind}:{refused.name}"] += objects
        self.listed[-1] = _named(frames[0]) | {"refused": refused.reason, "objects": objects}


def _named(one: Labelled) -> dict[str, object]:
    return {"data_hash": one.image.encord.data_hash, **({"split": one.split} if one.split else {})}


def _is_slice(one: Labelled) -> bool:
    return one.data_type == "dicom" and one.image.encord.space is None


def match(frames: Sequence[Labelled], headers: Headers) -> tuple[dict[int, Labelled], Stack] | Refused:
    """The images of one series by their places in its stack, or why there is none."""
    of_image = _by_image(frames[0].image.encord.data_hash, {one.image.id for one in frames}, headers)
    there = [(one, header) for one in frames if (header := of_image.get(one.image.id)) is not None]
    if any(header.frames > 1 for _, header in there):
        return Refused("multiframe", "a file holds several frames, whose numbers in exports are not documented")
    if len(there) < len(frames):
        text = f"{len(frames) - len(there)} of {len(frames)} slices have no header in the folder"
        damaged = f", where {headers.unreadable} files are damaged" if headers.unreadable else ""
        return Refused("no_header", text + damaged)
    used = {header.uid for _, header in there}
    if len(used) < len(there):
        return Refused("geometry", "two slices of the export have one header")
    if any((one.image.width, one.image.height) != (header.columns, header.rows) for one, header in there):
        return Refused("geometry", "a slice has another size in the export than in its header")
    series = {header.series for _, header in there}
    if len(series) > 1 or "" in series:
        return Refused("geometry", "its slices are of several series, or their headers name none")
    members = headers.by_series[series.pop()]
    if any(header.uid in headers.doubled for header in members):
        return Refused("geometry", "two files in the folder say different things of one slice")
    whole = stack(members)
    if isinstance(whole, str):
        return Refused("geometry", whole)
    places = {header.uid: place for place, header in enumerate(whole.slices)}
    return {places[header.uid]: one for one, header in there}, whole


def _by_image(data_hash: str, wanted: Set[int], headers: Headers) -> dict[int, Header]:
    """The headers of the wanted images by their ids.

    An id is made of the data unit and the uid: none can be looked up, and each unit has to try headers. The first that
    fits tells the series, which mostly has the other slices too; only a slice that has no header costs trying all.
    """
    numbered = identity.numbering("image", data_hash)
    found: dict[int, Header] = {}
    seen: set[str] = set()

    def take(members: Iterable[Header]) -> bool:
        named = [(header, f"sop:{header.uid}#{number}") for header in members for number in _frames(header)]
        fit = {number: header for number, (header, _) in zip(numbered([n for _, n in named]), named, strict=True)}
        found.update((number, fit[number]) for number in fit.keys() & wanted)
        return not found.keys().isdisjoint(fit)

    for header in headers.spread:
        if header.series not in seen and take([header]):
            seen.add(header.series)
            take(headers.by_series[header.series])
            if len(found) == len(wanted):
                break
    return found


def _frames(header: Header) -> Iterable[str]:
    """What the frames of a file can be called."""
    return ONE_FRAME if header.frames == 1 else ("-", *map(str, range(header.frames + 1)))


def values_of(chosen: Chosen) -> tuple[list[dict[str, object]], dict[int, int]]:
    """The classes with the values they have in label maps, from 1 in order of ids; and the value of each category."""
    values = {number: place + 1 for number, place in chosen.places().items()}
    names = Counter([BACKGROUND, *(one.name for one in chosen.categories)])
    listed = [
        {
            "value": values[one.id],
            "name": one.name if names[one.name] == 1 else f"{one.name} [{one.id}]",
            "category_id": one.id,
            "feature_hash": one.feature_hash,
            **({"color": one.color} if one.color else {}),
        }
        for one in chosen.categories
    ]
    return listed, values

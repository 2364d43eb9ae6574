"""Spaces of a data group: those with pixels are read as data units, all others are counted.

A slice of a medical stack is found by its place in `frames`, which holds the size of each.
"""

import msgspec

from encord_dagster import identity
from encord_dagster.encord import codes
from encord_dagster.encord.authors import read_title
from encord_dagster.encord.children import entries
from encord_dagster.encord.notes import Notes, problem, row_error
from encord_dagster.encord.object_answers import read_members
from encord_dagster.encord.scalars import ABSENT, UNREADABLE, Raw, Scalar, integer, is_hash, text
from encord_dagster.encord.units import Size, Unit, read_size

ROOT = "root"  # the space of a group's own frames: ranges that name no space hold there
_PIXEL_TYPES = {  # space types with frames of pixels, and the media type of their frames as far as it is known
    "image": "image/*",
    "image_sequence": "video/*",  # an mp4 too
    "medical_file": "",
    "medical_stack": "",
    "video": "video/*",
}
_MOST_FRAMES = 10**9


class Space(msgspec.Struct, frozen=True):
    """One space as the export has it; `key` may be any text, `name` stands for it wherever it is published."""

    key: str
    name: str
    kind: str
    entry: "_Entry"

    @property
    def has_pixels(self) -> bool:
        """Whether its frames are images."""
        return self.kind in _PIXEL_TYPES

    @property
    def labels(self) -> Raw:
        """Its labels, unread."""
        return self.entry.labels


class _Entry(msgspec.Struct):
    space_type: Scalar = None
    width: Scalar = None
    height: Scalar = None
    number_of_frames: Scalar = None
    frames: Raw = ABSENT
    labels: Raw = ABSENT
    child_info: Raw = ABSENT


class _Child(msgspec.Struct):
    file_name: Raw = ABSENT


class _Slice(msgspec.Struct):
    width: Scalar = None
    height: Scalar = None


_ENTRY = msgspec.json.Decoder(_Entry)
_CHILD = msgspec.json.Decoder(_Child | None)
_SLICE = msgspec.json.Decoder(_Slice)


def read_spaces(raw: Raw) -> tuple[Space, ...]:
    """The spaces of a row by name; RowError where one cannot be opened."""
    spaces = []
    for key, child in read_members(raw, "spaces").items():
        try:
            entry = _ENTRY.decode(child)
        except UNREADABLE as error:
            message = f"an entry of `spaces` cannot be read ({problem(error)}); export the row again"
            raise row_error(codes.ROW_UNREADABLE, message) from error
        spaces.append(Space(key, space_name(key), (text(entry.space_type) or "").strip().lower(), entry))
    return tuple(sorted(spaces, key=lambda space: space.name))


def space_name(key: str) -> str:
    """The name of a space among published data: its id, or a digest where that is no hash but, say, a file's path.

    No hash begins with `~`, so a digest is never taken for the id of another space.
    """
    return key if is_hash(key) else f"~{identity.digest('space', key)[:32]}"


def space_unit(space: Space, group: str, notes: Notes) -> Unit:
    """A space with pixels as a data unit of the group whose data hash is given."""
    entry = space.entry
    sizes = _slice_sizes(entry.frames, group, notes) if space.kind == "medical_stack" else None
    count = integer(entry.number_of_frames) if sizes is None else len(sizes)
    return Unit(
        data_hash=group,
        mime_type=_PIXEL_TYPES[space.kind],
        sequence=0,
        width=read_size(entry.width, "width", notes, group),
        height=read_size(entry.height, "height", notes, group),
        last_frame=count - 1 if count is not None and 0 < count <= _MOST_FRAMES else None,
        labels=space.labels,
        space=space.name,
        sizes=sizes,
        title=_title(entry.child_info, group, notes),
    )


def _title(raw: Raw, group: str, notes: Notes) -> str | None:
    """The file name of a member; exports hold no links of members."""
    try:
        child = _CHILD.decode(raw)
    except UNREADABLE:
        return None
    return read_title(child.file_name, notes.at(group), notes) if child else None


def _slice_sizes(raw: Raw, group: str, notes: Notes) -> tuple[Size, ...]:
    try:
        slices = [_SLICE.decode(child) for child in entries(raw)]
    except UNREADABLE as error:
        message = f"the sizes of a medical stack cannot be read ({problem(error)}); they were left out"
        notes.add(codes.BAD_FRAME_SIZE, message, notes.at(group))
        return ()
    return tuple(
        (
            read_size(one.width, "width", notes, group, number),
            read_size(one.height, "height", notes, group, number),
        )
        for number, one in enumerate(slices)
    )

"""Plain rows in columns: what is told of each row and of each of its frames, and the objects of each frame.

What is told is what `plain_rows` tells row by row; rows of which more is to be said are Odd, and left to that.
"""

import re
from collections.abc import Sequence
from itertools import accumulate, chain, pairwise
from operator import attrgetter
from typing import NamedTuple

import msgspec
from msgspec import UNSET, Raw, UnsetType

from encord_dagster.encord import plain
from encord_dagster.encord.head import LABEL_STATUSES, TASK_STATUSES
from encord_dagster.encord.model import Classification, Frame
from encord_dagster.encord.plain_answers import PlainAnswers
from encord_dagster.encord.plain_counts import keys_of
from encord_dagster.encord.plain_frames import Row
from encord_dagster.encord.plain_heads import any_hash, branch_of, node_of, time, times
from encord_dagster.encord.plain_keys import Odd
from encord_dagster.encord.plain_rows import PlainReader
from encord_dagster.encord.scalars import HASH

_SHORTEST, _LONGEST = "{1,64}", "{5,64}"  # shorter ones may be words for absent
_HASHES = re.compile(f"(?:{HASH.pattern.replace(_SHORTEST, _LONGEST)} )*")
_STATES = frozenset({UNSET, None, *TASK_STATUSES})


class Frames(NamedTuple):
    """Frames, field by field of `model.Frame`."""

    data_hash: Sequence[str]
    number: Sequence[int]
    identity: Sequence[str]
    mime_type: Sequence[str]
    width: Sequence[int]
    height: Sequence[int]


class RowColumns(msgspec.Struct, frozen=True, kw_only=True):
    """Rows, field by field, and the frames of all. `keys`: how many keys they have without those of their objects."""

    label_hashes: Sequence[str]
    branch_names: Sequence[str]
    data_types: Sequence[str]
    label_statuses: Sequence[str | None]
    exported_at: Sequence[str | None]  # or edited, if that is all that is known
    export_hashes: Sequence[str | None]
    frame_counts: Sequence[int]
    frames: Frames
    sheets: Sequence[list[plain.Object]]  # the objects of each frame
    answers: Sequence[tuple[PlainAnswers, int]]  # and of how many frames they are
    keys: int
    classifications: Sequence[tuple[Classification, ...]] | None = None  # of each frame, where some have one
    of_rows: Sequence[tuple[Classification, ...]] | None = None  # of each row, likewise

    @property
    def starts(self) -> list[int]:
        """Where the frames of each row start among those of all, and where the last ends."""
        return list(accumulate(self.frame_counts, initial=0))

    @property
    def ends(self) -> list[int]:
        """Where the objects of each row end among those of all."""
        ends = list(accumulate(map(len, self.sheets), initial=0))
        return [ends[stop] for stop in self.starts[1:]]

    def unlabelled(self) -> dict[int, list[Frame]]:
        """Frames without labels, by the place of their row; those of images that are rows of their own do not count."""
        found: dict[int, list[Frame]] = {}
        for row, (start, end) in enumerate(pairwise(self.starts)):
            if self.data_types[row] != "image" and not all(self.sheets[start:end]):
                empty = [place for place in range(start, end) if not (self.sheets[place] or self._classified(place))]
                found |= {row: [self._frame(place) for place in empty]} if empty else {}
        return found

    def _classified(self, place: int) -> bool:
        return bool(self.classifications and self.classifications[place])

    def _frame(self, place: int) -> Frame:
        frames = self.frames
        return Frame(
            data_hash=frames.data_hash[place],
            number=frames.number[place],
            identity=frames.identity[place],
            mime_type=frames.mime_type[place],
            width=frames.width[place],
            height=frames.height[place],
        )


class Heads(NamedTuple):
    """Decoded rows, field by field."""

    label_hash: Sequence[str]
    data_hash: Sequence[str]
    dataset_hash: Sequence[str]
    data_type: Sequence[str]
    last_edited_at: Sequence[str]
    label_status: Sequence[str]
    branch_name: Sequence[str | UnsetType | None]
    annotation_task_status: Sequence[str | UnsetType | None]
    is_valid: Sequence[bool | UnsetType]
    export_hash: Sequence[str | UnsetType]
    exported_at: Sequence[str | UnsetType]
    export_history: Sequence[list[plain.Exported] | UnsetType]
    object_answers: Sequence[dict[str, plain.Answers]]
    object_actions: Sequence[dict[str, plain.Actions]]
    classification_answers: Sequence[Raw]
    workflow_graph_node: Sequence[Raw | UnsetType]


_heads = attrgetter(*Heads._fields)
_told = attrgetter("exported_at", "export_hash")
_hash_of = attrgetter("object_hash")


def row_columns(
    rows: Sequence[Row],
    units: Sequence[str],
    frames: Frames,
    counts: Sequence[int],
    sheets: Sequence[list[plain.Object]],
    reader: PlainReader,
) -> RowColumns:
    """Rows with units of such hashes and such frames, `counts` of them each."""
    heads = Heads(*zip(*map(_heads, rows), strict=True))
    if not _is_plain(heads):
        raise Odd
    export_hashes = [found for found in heads.export_hash if found is not UNSET]
    refuse_hashes(heads.label_hash, heads.data_hash, heads.dataset_hash, units, export_hashes)
    _refuse_histories(heads)
    for node in heads.workflow_graph_node:
        node_of(node)
    answers = answers_of(heads.object_answers, heads.object_actions, counts, sheets, reader)
    return RowColumns(
        label_hashes=heads.label_hash,
        branch_names=[branch_of(row) for row in rows],
        data_types=heads.data_type,
        label_statuses=heads.label_status,
        exported_at=_times_of(heads),
        export_hashes=[None if found is UNSET else found for found in heads.export_hash],
        frame_counts=counts,
        frames=frames,
        sheets=sheets,
        answers=answers,
        keys=keys_of(rows) + sum(one.keys for one, _ in answers),
    )


def _is_plain(heads: Heads) -> bool:
    return (
        set(heads.label_status) <= LABEL_STATUSES
        and set(heads.annotation_task_status) <= _STATES
        and False not in heads.is_valid
        and set(map(bytes, heads.classification_answers)) == {b"{}"}
    )


def refuse_hashes(*columns: Sequence[str]) -> None:
    """Odd where one of many texts is no hash, or may be a word for absent."""
    together = " ".join([*chain.from_iterable(columns), ""])
    if together.count(" ") != sum(map(len, columns)) or not _HASHES.fullmatch(together):
        raise Odd


def _times_of(heads: Heads) -> list[str]:
    """When rows were exported, or edited, if that is all that is known."""
    edited, stated = times(heads.last_edited_at), [at for at in heads.exported_at if at is not UNSET]
    exported = iter(times(stated))
    return [edit if at is UNSET else next(exported) for at, edit in zip(heads.exported_at, edited, strict=True)]


def _refuse_histories(heads: Heads) -> None:
    """Odd where an entry of an export history is odd."""
    newest = list(zip(heads.exported_at, heads.export_hash, strict=True))
    told: list[list[plain.Exported]] = [[] if given is UNSET else given for given in heads.export_history]
    if all(told) and list(map(_told, chain.from_iterable(told))) == newest:
        return
    for (at, export_hash), entries in zip(newest, told, strict=True):
        for entry in entries:
            if entry.exported_at != at:
                time(entry.exported_at)
            if entry.export_hash != export_hash:
                any_hash(entry.export_hash)


def answers_of(
    given: Sequence[dict[str, plain.Answers]],
    actions: Sequence[dict[str, plain.Actions]],
    counts: Sequence[int],
    sheets: Sequence[list[plain.Object]],
    reader: PlainReader,
) -> list[tuple[PlainAnswers, int]]:
    """The answers of rows, with the number of their frames. Odd where some are of objects that their row has not."""
    on_frames, differ = object_hashes(sheets)
    spans = pairwise(accumulate(counts, initial=0))
    in_rows = on_frames if len(counts) == len(sheets) else [list(chain(*on_frames[start:end])) for start, end in spans]
    if list(map(list, given)) != in_rows and not all(map(_is_of, given, in_rows)):
        raise Odd
    if differ and not any(actions):
        together: dict[str, plain.Answers] = {}
        for answers in given:
            together |= answers
        return [(PlainAnswers(together, {}, reader.known), len(sheets))]
    rows = zip(given, actions, counts, strict=True)
    return [(PlainAnswers(answers, changing, reader.known), frames) for answers, changing, frames in rows]


def _is_of(answers: dict[str, plain.Answers], objects: list[str]) -> bool:
    return answers.keys() <= set(objects)


def object_hashes(sheets: Sequence[list[plain.Object]]) -> tuple[list[list[str]], bool]:
    """The hashes of the objects of each frame, and whether all differ. Odd where one is on a frame twice."""
    found = [list(map(_hash_of, sheet)) for sheet in sheets]
    differ = len(set(chain.from_iterable(found))) == sum(map(len, found))
    if not differ and any(len(set(some)) < len(some) for some in found):
        raise Odd
    return found, differ

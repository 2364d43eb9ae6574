"""The splits of an earlier checkout, so that its images stay where they are in one made later."""

from collections.abc import Mapping

import msgspec

from encord_dagster.errors import UsageError
from encord_dagster.formats.selection import Selection
from encord_dagster.formats.selection_report import FILE, Report
from encord_dagster.formats.split_lists import GROUPS, Assigned


def kept(selection: Selection, report: bytes | None, groups: bytes | None, *, where: str) -> Mapping[str, str]:
    """The split of each group of an earlier checkout, out of its `selection.json` and `splits/groups.jsonl`.

    Raises:
        UsageError: they are not there or damaged, or its groups are others than those of `selection`.
    """
    if not selection.splits:
        raise UsageError(f"splits from {where}: there are no splits now; choose some, as in train=0.8,val=0.1,test=0.1")
    if report is None or groups is None:
        raise UsageError(f"{where} has no splits: {FILE if report is None else GROUPS} is not there")
    try:
        earlier = msgspec.json.decode(report, type=Report).selection
        found = [msgspec.json.decode(line, type=Assigned) for line in groups.splitlines()]
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise UsageError(f"{where}: {FILE} or {GROUPS} cannot be read: {error}") from error
    for field in ("split_by", "split_seed"):
        now, then = getattr(selection, field), getattr(earlier, field)
        if now != then:
            raise UsageError(f"{where} has {field} {then!r}, not {now!r}: use the same, or do without its splits")
    if gone := {one.split for one in found} - set(selection.splits):
        raise UsageError(f"{where} has the split {', '.join(sorted(gone))}, which is not chosen now: choose it too")
    splits = {one.group: one.split for one in found}
    if moved := next((one.group for one in found if splits[one.group] != one.split), None):
        raise UsageError(f"{where}: {GROUPS} has {moved!r} in two splits; take another checkout")
    return splits

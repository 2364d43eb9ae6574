"""From exports to run requests: tags, ranges, and run keys that never repeat."""

from collections.abc import Iterable, Mapping

import dagster as dg

from encord_dagster.orchestration import names
from encord_dagster.orchestration.sweep import Request

ACTIVE = [
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.QUEUED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
    dg.DagsterRunStatus.CANCELING,
]


def run_request(
    request: Request, *, name: str, instance: dg.DagsterInstance, more: Mapping[str, object]
) -> dg.RunRequest:
    """One run for one export or for a range of neighbours; `more` tags are those of its size class."""
    first, last = request.keys[0], request.keys[-1]
    attempt = _attempts(first, name=name, instance=instance) + 1
    tags = {**more, names.LABEL_SET_TAG: name, names.FIRST_EXPORT_TAG: first, names.ATTEMPT_TAG: str(attempt)}
    if request.hashes:
        tags[names.EXPORT_HASH_TAG] = ",".join(request.hashes)
    if first == last:
        return dg.RunRequest(run_key=f"{name}/{first}/{attempt}", partition_key=first, tags=tags)
    tags |= {names.RANGE_START_TAG: first, names.RANGE_END_TAG: last}
    return dg.RunRequest(run_key=f"{name}/{first}..{last}/{attempt}", tags=tags)


def in_flight(partitions: list[str], *, name: str, instance: dg.DagsterInstance) -> set[str]:
    """Exports that a waiting or running run of this label set is for."""
    active = instance.get_runs(dg.RunsFilter(tags={names.LABEL_SET_TAG: name}, statuses=ACTIVE))
    place = {key: number for number, key in enumerate(partitions)}
    return {key for run in active for key in _keys_of(run.tags, partitions, place)}


def _keys_of(tags: Mapping[str, str], partitions: list[str], place: dict[str, int]) -> Iterable[str]:
    single = tags.get(names.PARTITION_TAG)
    if single:
        return [single]
    first, last = place.get(tags.get(names.RANGE_START_TAG, "")), place.get(tags.get(names.RANGE_END_TAG, ""))
    return [] if first is None or last is None else partitions[first : last + 1]


def _attempts(first: str, *, name: str, instance: dg.DagsterInstance) -> int:
    """How many runs were asked for that begin with this export.

    Dagster drops a request whose run key it has seen, silently and for ever, so a key must count them.
    """
    tags = {names.LABEL_SET_TAG: name, names.FIRST_EXPORT_TAG: first}
    return instance.get_runs_count(dg.RunsFilter(tags=tags))

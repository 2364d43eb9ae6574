"""From exports to run requests: tags, ranges, and run keys that never repeat."""

from collections.abc import Collection, Iterable, Mapping, Sequence

import dagster as dg

from encord_dagster.orchestration import names
from encord_dagster.orchestration.sweep import Request

WAITING = (dg.DagsterRunStatus.NOT_STARTED, dg.DagsterRunStatus.QUEUED, dg.DagsterRunStatus.STARTING)
ACTIVE = (*WAITING, dg.DagsterRunStatus.STARTED, dg.DagsterRunStatus.CANCELING)
KEYS_PER_INSERT = 500  # Dagster puts a call's keys into one SQL list


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


def add_partitions(instance: dg.DagsterInstance, partitions_name: str, keys: Sequence[str]) -> None:
    """Make keys dynamic partitions, in this order."""
    for start in range(0, len(keys), KEYS_PER_INSERT):
        instance.add_dynamic_partitions(partitions_name, keys[start : start + KEYS_PER_INSERT])


def in_flight(
    partitions: list[str],
    *,
    name: str,
    instance: dg.DagsterInstance,
    statuses: Collection[dg.DagsterRunStatus] = ACTIVE,
) -> set[str]:
    """Partitions that a run of this label set is for which waits or is running."""
    active = instance.get_runs(dg.RunsFilter(tags={names.LABEL_SET_TAG: name}, statuses=list(statuses)))
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

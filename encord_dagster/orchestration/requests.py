"""From exports to run requests: tags, ranges, and run keys that never repeat."""

import time
from collections.abc import Collection, Iterable, Mapping, Sequence

import dagster as dg

from encord_dagster.orchestration import names
from encord_dagster.orchestration.sweep import Request

WAITING = (dg.DagsterRunStatus.NOT_STARTED, dg.DagsterRunStatus.QUEUED, dg.DagsterRunStatus.STARTING)
ACTIVE = (*WAITING, dg.DagsterRunStatus.STARTED, dg.DagsterRunStatus.CANCELING)
LOST_AFTER = {  # seconds without a change: then nobody starts or works on it any more
    dg.DagsterRunStatus.NOT_STARTED: 1800.0,
    dg.DagsterRunStatus.STARTING: 1800.0,
    dg.DagsterRunStatus.CANCELING: 1800.0,
    dg.DagsterRunStatus.STARTED: 86400.0,
}
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
    now: float | None = None,
) -> set[str]:
    """Partitions that a run of this label set is for which waits or is running.

    Not one that was lost: killed in the middle of starting a run, a daemon leaves it so for ever, unless Dagster's run
    monitoring is on. Should it be alive after all, two runs of one export make one version.
    """
    wanted = dg.RunsFilter(tags={names.LABEL_SET_TAG: name}, statuses=list(statuses))
    records = instance.get_run_records(wanted)
    seconds = time.time() if now is None else now
    active = [one.dagster_run for one in records if not _lost(one, seconds)]
    place = {key: number for number, key in enumerate(partitions)}
    return {key for run in active for key in _keys_of(run.tags, partitions, place)}


def _lost(record: dg.RunRecord, now: float) -> bool:
    after = LOST_AFTER.get(record.dagster_run.status)
    return after is not None and now - record.update_timestamp.timestamp() > after


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

"""Telling people: a run failed, a version is held back, an export has bad findings. How they are told is the user's.

This package sends nothing itself: what it calls is the notifier of the project.
"""

from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Literal, NamedTuple

import dagster as dg
import msgspec

from encord_dagster.config import LabelSetConfig
from encord_dagster.errors import UsageError
from encord_dagster.findings import RANKS, Finding, Severity
from encord_dagster.orchestration import names
from encord_dagster.orchestration.paths import at_path
from encord_dagster.orchestration.specs import severity_of
from encord_dagster.outcomes import Batch, ExportOutcome

SHOWN = 5  # messages in one text


class Alert(msgspec.Struct, frozen=True, kw_only=True):
    """Something that a person should look at. `text` may quote labels, other people's words: send it as plain text."""

    what: Literal["run_failed", "version_held", "findings"]
    label_set: str
    run_id: str
    exports: tuple[str, ...]  # ids: the partitions of the assets
    rules: dict[str, int]  # findings by rule
    text: str
    where: tuple[str, ...]  # places in the lake, and commands


Notify = Callable[[Alert], None]


class Alerts(NamedTuple):
    """Who is told, and from which severity on findings of an export that was published are told too."""

    notify: Notify | None = None
    at: Severity = "error"


NOBODY = Alerts()


def notifier(given: Notify | str | None) -> Notify | None:
    """The function itself, or the one at a Python path as `my_project.alerts.notify`. UsageError where it is not."""
    if not isinstance(given, str):
        return given
    found = at_path(given, what="alerts")
    if not callable(found):
        raise UsageError(f"alerts {given!r} is not the path of a function, as my_project.alerts.notify")
    notify: Notify = found
    return notify


def send(context: dg.AssetExecutionContext, config: LabelSetConfig, batch: Batch, bad: Collection[str]) -> None:
    """Tell what came of a run's exports; those in `bad` make the run red, of which the sensor tells."""
    alerts: Alerts = getattr(context.resources, names.alerts_resource(config.name))
    if alerts.notify is None:
        return
    for alert in found_in(batch, config, run_id=context.run.run_id, bad=bad, at=alerts.at):
        try:
            alerts.notify(alert)
        except Exception as error:  # somebody else's code, and what it should tell of is published already
            context.log.exception(f"nobody was told, the notifier failed with {error!r}: {alert.what}: {alert.text}")


def build_alert_sensor(config: LabelSetConfig, notify: Notify, *, running: bool) -> dg.SensorDefinition:
    """A sensor that tells of each failed run of the label set, whoever launched it."""

    @dg.run_failure_sensor(
        name=f"{names.identifier(config.name)}_alerts",
        default_status=dg.DefaultSensorStatus.RUNNING if running else dg.DefaultSensorStatus.STOPPED,
        description="Calls the notifier for each failed run of the label set.",
    )
    def alert_sensor(context: dg.RunFailureSensorContext) -> None:
        # Where the notifier fails, the tick shows its error and the next one goes on with the next run.
        if _concerns(context.dagster_run, config.name):
            notify(_failed(context, config.name))

    return alert_sensor


def found_in(
    batch: Batch, config: LabelSetConfig, *, run_id: str, bad: Collection[str], at: Severity
) -> Iterator[Alert]:
    """What is worth telling of exports that were accounted for."""
    made = batch.published
    held = [outcome for outcome in batch.outcomes if outcome.status == "held"]
    if made and made.held and held:
        yield Alert(
            what="version_held",
            label_set=config.name,
            run_id=run_id,
            exports=tuple(outcome.export.id for outcome in held),
            rules=dict(Counter(finding.rule for finding in made.held_findings)),
            text=f"A version of label set {config.name} is held back. {_messages(made.held_findings)}",
            where=(made.uri, f"job {names.identifier(config.name)}_release, or a better export"),
        )
    good = [outcome for outcome in batch.outcomes if outcome.export.id not in bad]
    told = {outcome.export.id: rules for outcome in good if (rules := _rules_at(outcome, config, at))}
    if told:
        yield Alert(
            what="findings",
            label_set=config.name,
            run_id=run_id,
            exports=tuple(told),
            rules=dict(sum((Counter(rules) for rules in told.values()), Counter())),
            text=f"{_many(len(told), 'export')} of label set {config.name} with findings of severity {at} or worse. "
            + _messages([one for outcome in good for one in outcome.findings if RANKS[one.severity] >= RANKS[at]]),
            where=tuple(sorted({uri for outcome in good if outcome.export.id in told for uri in _places(outcome)})),
        )


def _rules_at(outcome: ExportOutcome, config: LabelSetConfig, at: Severity) -> dict[str, int]:
    from encord_dagster.validation import RULES

    known = {rule.name: severity_of(rule.name, rule.severity, config) for rule in RULES}
    return {rule: n for rule, n in outcome.rules.items() if RANKS[known.get(rule, "error")] >= RANKS[at]}


def _places(outcome: ExportOutcome) -> list[str]:
    return [outcome.uris[kind] for kind in ("quarantine", "events") if kind in outcome.uris]


def _messages(findings: Collection[Finding]) -> str:
    """The first of them; `redact` has been through all of them."""
    shown = list(dict.fromkeys(finding.message for finding in findings))
    more = f" And {len(shown) - SHOWN:,} more." if len(shown) > SHOWN else ""
    return " ".join(f"{message}." for message in shown[:SHOWN]) + more


def _many(count: int, what: str) -> str:
    return f"{count:,} {what}{'' if count == 1 else 's'}"


def _concerns(run: dg.DagsterRun, name: str) -> bool:
    """Whether a run is of the label set: one of its jobs, or its assets materialized by hand."""
    return run.tags.get(names.LABEL_SET_TAG) == name or any(key.path[0] == name for key in run.asset_selection or ())


def _failed(context: dg.RunFailureSensorContext, name: str) -> Alert:
    """The run's own error, with the bad exports and their rules where it got as far as knowing them."""
    run = context.dagster_run
    bad: dict[str, str] = {}
    rules: Counter[str] = Counter()
    texts: list[str] = []
    for event in context.get_step_failure_events():
        data = event.step_failure_data
        given = data.user_failure_data.metadata if data.user_failure_data else {}
        bad |= _json(given, "encord/bad_exports")
        rules.update({rule: int(count) for rule, count in _json(given, "encord/rules").items()})
        texts += [data.error.message.strip()] if data.error else []
    texts = texts or [context.failure_event.message or "the run ended without saying why"]
    ends = (names.PARTITION_TAG, names.RANGE_START_TAG, names.RANGE_END_TAG)
    return Alert(
        what="run_failed",
        label_set=name,
        run_id=run.run_id,
        exports=tuple(bad) or tuple(dict.fromkeys(run.tags[tag] for tag in ends if tag in run.tags)),
        rules=dict(rules),
        text=f"Run of {run.job_name} for label set {name} failed. {' '.join(texts)}"[:2000],
        where=(f"run {run.run_id} in Dagster", *(f"encord-dagster quarantine {key}" for key in list(bad)[:SHOWN])),
    )


def _json(metadata: Mapping[str, dg.MetadataValue], name: str) -> dict[str, str]:
    value = metadata[name].value if name in metadata else {}
    return {str(key): str(one) for key, one in value.items()} if isinstance(value, dict) else {}

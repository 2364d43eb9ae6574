"""Alerts: what is told, once each, and that a notifier that fails takes nothing with it."""

import json
import re
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from email import message_from_string
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import dagster as dg
import msgspec
import pytest

from encord_dagster.config import LabelSetConfig
from encord_dagster.errors import UsageError
from encord_dagster.orchestration.alerts import Alert, found_in, notifier
from encord_dagster.orchestration.definitions import build_label_set_definitions
from encord_dagster.outcomes import Batch
from tests import factories as make
from tests.lakes import Desk
from tests.orchestration.projects import FIVE_LINES, Project
from tests.orchestration.world import NAME, FakeIngest, World

DOCS = (Path(__file__).parents[2] / "docs" / "alerts.md").read_text("utf-8")
ALERT = Alert(
    what="findings",
    label_set="street",
    run_id="run-1",
    exports=("export-1",),
    rules={"bad_bitmask": 2},
    text="1 export with findings: class '<!channel> x' is odd.\nSubject: forged",
    where=("s3://lake/label_sets/street/quarantine/export-1",),
)


def told(world: World, *, raises: Exception | None = None) -> list[Alert]:
    """The alerts of runs from here on; the notifier may fail after it was told."""
    heard: list[Alert] = []

    def notify(alert: Alert) -> None:
        heard.append(alert)
        if raises:
            raise raises

    world.defs = build_label_set_definitions(
        landing=world.landing.url, lake=world.lake.url, name=NAME, alerts=notify, alert_at="error"
    )
    return heard


def sensor_says(world: World, cursor: str | None) -> tuple[list[str], str | None]:
    """One evaluation of the alert sensor: errors of the runs that it reacted to, and its cursor."""
    repository = world.defs.get_repository_def()
    with dg.build_sensor_context(
        instance=world.instance, instance_ref=world.instance.get_ref(), cursor=cursor, repository_def=repository
    ) as context:
        made = repository.get_sensor_def(f"{NAME}_alerts").evaluate_tick(context)
    errors = [reaction.error for reaction in made.dagster_run_reactions or ()]
    return [error.message if error else "" for error in errors], made.cursor


def test_findings_of_a_published_export_are_told_by_its_run(world: World, ingest: FakeIngest) -> None:
    """Which is green."""
    heard = told(world)
    (key,) = world.delivered("partly.json")

    result = world.run(keys=[key])

    assert result.success
    (alert,) = heard
    assert (alert.what, alert.label_set, alert.run_id) == ("findings", NAME, result.run_id)
    assert (alert.exports, alert.rules) == ((key,), {"object_no_shape": 1})
    assert "the object has no shape" in alert.text


def test_nothing_is_told_of_a_good_export(world: World, ingest: FakeIngest) -> None:
    """Alerts that come every day are not read."""
    heard = told(world)
    world.run(keys=world.delivered("a.json"))

    assert heard == []


def test_a_notifier_that_fails_leaves_the_run_green_and_is_logged(ticking: World, ingest: FakeIngest) -> None:
    """With what nobody was told."""
    heard = told(ticking, raises=OSError("no route to host"))
    (key,) = ticking.delivered("partly.json")

    result = ticking.run(keys=[key])

    assert result.success
    assert len(heard) == 1
    logged = [entry.user_message for entry in ticking.instance.all_logs(result.run_id) if int(entry.level) >= 40]
    assert len(logged) == 1
    assert "no route to host" in logged[0]
    assert heard[0].text in logged[0]


def test_a_failed_run_is_told_by_the_sensor_with_its_bad_exports(ticking: World, ingest: FakeIngest) -> None:
    """Once: what makes a run red is not told by the run too."""
    heard = told(ticking)
    _, cursor = sensor_says(ticking, None)
    keys = ticking.delivered("a.json", "b-bad.json")
    result = ticking.run(keys=keys)
    assert heard == []

    errors, cursor = sensor_says(ticking, cursor)
    again, _ = sensor_says(ticking, cursor)

    assert (errors, again) == ([""], [])
    (alert,) = heard
    assert (alert.what, alert.run_id, alert.exports) == ("run_failed", result.run_id, (keys[1],))
    assert alert.rules == {"not_json": 1}
    assert "1 of 2 exports could not be used" in alert.text
    assert f"encord-dagster quarantine {keys[1]}" in alert.where


def test_a_sensor_whose_notifier_fails_says_so_and_goes_on(ticking: World, ingest: FakeIngest) -> None:
    """The tick has the error, and the next run is told of."""
    heard = told(ticking, raises=OSError("no route to host"))
    _, cursor = sensor_says(ticking, None)
    ticking.run(keys=ticking.delivered("a-bad.json"))
    ticking.run(keys=ticking.delivered("b-bad.json"))

    first, cursor = sensor_says(ticking, cursor)
    second, _ = sensor_says(ticking, cursor)

    assert ["no route to host" in error for error in first + second] == [True, True]
    assert len({alert.run_id for alert in heard}) == 2


def test_runs_of_others_are_none_of_its_business(ticking: World, ingest: FakeIngest) -> None:
    """One code location holds many jobs."""
    heard = told(ticking)
    _, cursor = sensor_says(ticking, None)

    @dg.job
    def other() -> None:
        _fail()

    ticking.defs = dg.Definitions.merge(ticking.defs, dg.Definitions(jobs=[other]))
    other.execute_in_process(instance=ticking.instance, raise_on_error=False)

    sensor_says(ticking, cursor)

    assert heard == []


def test_assets_materialized_by_hand_are_told_of(ticking: World, ingest: FakeIngest) -> None:
    """Their run is of no job of ours and has no tag of ours."""
    heard = told(ticking)
    _, cursor = sensor_says(ticking, None)
    (key,) = ticking.delivered("a-bad.json")
    job = ticking.defs.resolve_implicit_global_asset_job_def()
    job.execute_in_process(
        instance=ticking.instance,
        partition_key=key,
        raise_on_error=False,
        asset_selection=[dg.AssetKey([NAME, "label_set"])],
    )

    sensor_says(ticking, cursor)

    assert [alert.exports for alert in heard] == [(key,)]


def test_a_version_that_is_held_back_is_told_with_what_to_do() -> None:
    """By the run, which is green: readers keep the version before."""
    batch = _held()

    alerts = list(found_in(batch, LabelSetConfig(name="street"), run_id="run-1", bad=(), at="error"))

    held = alerts[0]
    assert (held.what, held.exports) == ("version_held", (batch.outcomes[0].export.id,))
    assert held.rules == {"class_vanished": 1, "annotations_dropped": 1}
    assert "had 1 object in the version before and has none now" in held.text
    assert any("street_release" in place for place in held.where)


def test_the_threshold_goes_by_the_severities_of_the_label_set() -> None:
    """A rule that a project takes for harmless wakes nobody."""
    desk = Desk()
    row = make.image_row(make.box(), make.entry("bounding_box", {"boundingBox": {"x": "far"}}, "object99"))
    batch = desk.bring("one.json", make.encode([row]))
    rules = {rule for outcome in batch.outcomes for rule in outcome.rules}
    assert rules

    mild = LabelSetConfig(name="street", severities=dict.fromkeys(rules, "info"))

    assert list(found_in(batch, desk.config, run_id="run-1", bad=(), at="error"))
    assert not list(found_in(batch, mild, run_id="run-1", bad=(), at="error"))


@pytest.mark.parametrize("path", ["json.dumps_", "no_such_module_here.notify", "notify", "json.decoder.NaN"])
def test_a_path_that_leads_nowhere_is_refused_when_definitions_load(path: str) -> None:
    """Not at three in the morning."""
    with pytest.raises(UsageError, match=re.escape(repr(path))):
        notifier(path)


def test_a_path_in_yaml_is_the_function(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And the sensor is there, which is not without it."""
    project = Project(tmp_path / "project", monkeypatch).lay_out()
    (project.defs.parent / "alerts.py").write_text("def notify(alert):\n    pass\n")
    project.write("street", f"{FIVE_LINES}  alerts: {project.module}.alerts.notify\n  alert_at: warning\n")

    defs = project.load()

    assert defs.resolve_sensor_def("street_alerts").sensor_type.name == "RUN_STATUS"
    plain = build_label_set_definitions(landing="in", lake="lake", name="street")
    assert [sensor.name for sensor in plain.sensors or ()] == ["street_exports"]


def test_the_slack_example_posts_the_alert(monkeypatch: pytest.MonkeyPatch) -> None:
    """To the webhook alone, with nothing that Slack would take for a command."""
    with _web_hook() as (url, posted):
        monkeypatch.setenv("SLACK_WEBHOOK_URL", url)
        _example("Slack")(ALERT)

    (body,) = posted
    text = json.loads(body)["text"]
    assert "&lt;!channel&gt;" in text
    assert "<" not in text
    assert "bad_bitmask: 2" in text
    assert "s3://lake/label_sets/street/quarantine/export-1" in text


def test_the_email_example_sends_the_alert(monkeypatch: pytest.MonkeyPatch) -> None:
    """Text of labels stays in the body."""
    with _mail_server() as (port, lines):
        for name, value in (("SMTP_HOST", "127.0.0.1"), ("SMTP_PORT", str(port))):
            monkeypatch.setenv(name, value)
        monkeypatch.setenv("ALERTS_FROM", "labels@example.org")
        monkeypatch.setenv("ALERTS_TO", "people@example.org")
        _example("E-mail")(ALERT)

    message = message_from_string("\n".join(lines))
    assert message["Subject"] == "street: findings"
    assert message["To"] == "people@example.org"
    assert "Subject: forged" in str(message.get_payload())
    assert "bad_bitmask: 2" in str(message.get_payload())


@dg.op
def _fail() -> None:
    raise ValueError("not ours")


def _held() -> Batch:
    desk = Desk()
    desk.bring("one.json", make.encode([make.image_row(make.box(), make.point())]))
    row = make.image_row(make.box())
    row |= {"export_hash": "later", "exported_at": "Mon, 22 Jul 2024 09:20:25 UTC"}
    batch = desk.bring("two.json", make.encode([row]))
    assert [outcome.status for outcome in batch.outcomes] == ["held"]
    return batch


def _example(title: str) -> Callable[[Alert], None]:
    """The function in one section of docs/alerts.md."""
    section = DOCS.partition(f"## {title}\n")[2].partition("\n## ")[0]
    (block,) = re.findall(r"```python\n(.*?)```", section, re.DOTALL)
    names: dict[str, Callable[[Alert], None]] = {}
    exec(compile(block, "docs/alerts.md", "exec"), names)  # noqa: S102 - our own documentation
    return names["notify"]


@contextmanager
def _web_hook() -> Iterator[tuple[str, list[bytes]]]:
    posted: list[bytes] = []

    class Hook(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            posted.append(self.rfile.read(int(self.headers["Content-Length"])))
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"ok")

        def log_message(self, format: str, *args: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Hook) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/hook", posted
        finally:
            server.shutdown()
            thread.join()


@contextmanager
def _mail_server() -> Iterator[tuple[int, list[str]]]:
    """Takes one message, as RFC 5321 has it."""
    lines: list[str] = []
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(20)
        thread = threading.Thread(target=_take_message, args=(listener, lines))
        thread.start()
        yield listener.getsockname()[1], lines
        thread.join(20)


def _take_message(listener: socket.socket, lines: list[str]) -> None:
    connection, _ = listener.accept()
    with connection, connection.makefile("rw", newline="\r\n") as stream:

        def say(text: str) -> None:
            stream.write(f"{text}\n")
            stream.flush()

        say("220 test")
        while line := stream.readline().strip():
            if line.upper() == "DATA":
                say("354 go on")
                while (line := stream.readline().rstrip("\r\n")) != ".":
                    lines.append(line)
            say("221 bye" if line.upper() == "QUIT" else "250 fine")
            if line.upper() == "QUIT":
                return


def test_alerts_are_plain_values() -> None:
    """They may be written as JSON."""
    assert msgspec.json.decode(msgspec.json.encode(ALERT), type=Alert) == ALERT

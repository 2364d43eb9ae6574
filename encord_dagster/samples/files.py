"""Sample exports as files, laid out like a landing prefix with one folder a day."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

from encord_dagster.errors import UsageError
from encord_dagster.samples.bad import bad_exports, bad_row
from encord_dagster.samples.exports import Project, first_export, next_export, ontology

_FIRST_DAY = datetime(2023, 10, 2, 14, 35, 30, tzinfo=UTC)


def write_samples(folder: Path, *, seed: int = 7, days: int = 2, rows: int = 24, with_bad: bool = True) -> list[Path]:
    """Writes exports of one project, and gives their paths in writing order; the same arguments give the same bytes.

    `day1/`, `day2/`, ... each hold the project's export of that day: from the second on some rows are changed, one is
    added and one deleted. With `with_bad` the second day (or the only one) also has files that cannot be used and an
    export with bad objects. `ontology.json` lies beside the days.

    Raises:
        UsageError: there would be no day or no row.
    """
    if days < 1 or rows < 1:
        raise UsageError(f"{days} days of {rows} rows asked for: ask for at least one of each")
    project = Project(seed, rows)
    contents = {"ontology.json": ontology(project)}
    export = b""
    for day in range(1, days + 1):
        moment = _FIRST_DAY + timedelta(days=day - 1)
        export = _export_of_day(project, export, day=day, moment=moment)
        contents[f"day{day}/{_name(project, moment)}"] = export
        if with_bad and day == min(2, days):
            later = moment + timedelta(hours=1)
            contents[f"day{day}/{_name(project, later)}"] = bad_row(seed=seed, exported_at=later)
            contents |= {f"day{day}/{name}": content for name, content in bad_exports().items()}
    return [_write(folder / name, content) for name, content in contents.items()]


def _export_of_day(project: Project, previous: bytes, *, day: int, moment: datetime) -> bytes:
    if not previous:
        return first_export(project, exported_at=moment)
    changed = min(max(1, project.rows // 6), project.rows)
    deleted = 1 if project.rows >= 8 else 0
    return next_export(
        previous, seed=project.seed * 1000 + day, exported_at=moment, changed=changed, added=1, deleted=deleted
    )


def _name(project: Project, moment: datetime) -> str:
    return f"{project.project_hash}_{moment:%Y%m%dT%H%M%SZ}.json"


def _write(path: Path, content: bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path

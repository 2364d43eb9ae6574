"""The commands of whoever looks after label sets: what changed and why, going back, taking out, cleaning up."""

import argparse
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from encord_dagster.label_set.read import LabelSet
    from encord_dagster.storage.protocol import ObjectStore

Add = Callable[[str, Callable[[argparse.Namespace], object], str], argparse.ArgumentParser]


def add_lake(parser: argparse.ArgumentParser) -> None:
    """Add the options that name a label set."""
    parser.add_argument("--lake", required=True, help="s3://bucket/prefix or a folder")
    parser.add_argument("--name", required=True, help="the label set")


def add_commands(add_alone: Add) -> None:
    """Add a parser for each command; what a command returns is printed as JSON, a text as it is."""

    def add(name: str, run: Callable[[argparse.Namespace], object], text: str) -> argparse.ArgumentParser:
        parser = add_alone(name, run, text)
        add_lake(parser)
        return parser

    diff = add("diff", _diff, "What changed between two versions: rows, and objects by class.")
    diff.add_argument("before")
    diff.add_argument("after", nargs="?", default="latest")
    report = add("report", _report, "Write one HTML page about a version: classes, sizes, answers, findings, samples.")
    report.add_argument("version", nargs="?", default="latest")
    report.add_argument("-o", "--output", type=Path, required=True, help="the file; opens offline, runs no script")
    report.add_argument("--against", metavar="VERSION", help="also what changed since another version")
    why = add("why", _why, "What made a version: exports, the rows that each decided, configuration.")
    why.add_argument("version", nargs="?", default="latest")
    history = add("history", _history, "Where a label row comes from: every event of it, and the one that counts.")
    history.add_argument("label_hash")
    history.add_argument("--branch", default="main")
    tag = add("tag", _tag, "Give a version a name, for good.")
    tag.add_argument("tag")
    tag.add_argument("version", type=int)
    add("tags", _tags, "List the names of versions.")
    rollback = add("rollback", _rollback, "Give readers an older version again; block the exports that came after it.")
    rollback.add_argument("version", type=int)
    unblock = add("unblock", _unblock, "Let exports take part again that a rollback blocked.")
    unblock.add_argument("export", nargs="+")
    release = add("release", _release, "Publish the version that is held back.")
    retire = add("retire", _retire, "Take label rows out, for good: also where they are exported again.")
    retire.add_argument("--label-hash", action="append", default=[])
    retire.add_argument("--data-hash", action="append", default=[])
    restore = add("restore", _restore, "Bring retired label rows back.")
    restore.add_argument("label_hash", nargs="+")
    for parser in (rollback, unblock, release, retire, restore):
        parser.add_argument("--reason", required=True, help="written into the log, for whoever reads it next year")
    gc = add("gc", _gc, "Delete what no kept version names; needs a role that may delete.")
    gc.add_argument("--dry-run", action="store_true", help="only say what would go")
    gc.add_argument("--keep", type=int, help="keep the last so many versions and the tagged ones; default: all")
    prune = add_alone("prune", _prune, "Delete old folders of a training set; needs a role that may delete.")
    prune.add_argument("url", help="of the training set: s3://bucket/prefix or a folder")
    prune.add_argument("--keep", type=int, required=True, metavar="N", help="the newest N, and the one with the splits")
    prune.add_argument("--dry-run", action="store_true", help="only say what would go")
    quarantine = add("quarantine", _quarantine, "List what is in quarantine, or show what of one export is there.")
    quarantine.add_argument("export", nargs="?", help="the id of an export")


def _label_set(arguments: argparse.Namespace) -> "LabelSet":
    from encord_dagster.label_set.read import open_label_set

    return open_label_set(arguments.lake, arguments.name)


def _store(arguments: argparse.Namespace) -> "ObjectStore":
    from encord_dagster.storage.open import open_store

    return open_store(arguments.lake)


def _diff(arguments: argparse.Namespace) -> object:
    from encord_dagster.label_set.diff import diff
    from encord_dagster.reports import diff_text

    found = diff(_label_set(arguments), arguments.before, arguments.after)
    return found if arguments.json else diff_text(found)


def _report(arguments: argparse.Namespace) -> object:
    from encord_dagster.page.write import page

    text, found = page(_label_set(arguments), arguments.version, arguments.against)
    arguments.output.write_text(text, "utf-8", newline="\n")
    said = f"version {found.version}: {len(text):,} letters in {arguments.output}\n"
    return found if arguments.json else said


def _why(arguments: argparse.Namespace) -> object:
    from encord_dagster.label_set.lineage import why
    from encord_dagster.upkeep_reports import why_text

    found = why(_label_set(arguments), arguments.version)
    return found if arguments.json else why_text(found)


def _history(arguments: argparse.Namespace) -> object:
    from encord_dagster.label_set.lineage import history
    from encord_dagster.upkeep_reports import history_text

    found = history(_label_set(arguments), arguments.label_hash, arguments.branch)
    return found if arguments.json else history_text(found)


def _tag(arguments: argparse.Namespace) -> object:
    from encord_dagster.label_set.tags import tag

    return tag(_store(arguments), arguments.name, arguments.tag, arguments.version)


def _tags(arguments: argparse.Namespace) -> object:
    from encord_dagster.label_set.tags import tags
    from encord_dagster.upkeep_reports import tags_text

    found = tags(_store(arguments), arguments.name)
    return found if arguments.json else tags_text(found)


def _rollback(arguments: argparse.Namespace) -> object:
    from encord_dagster.label_set.operations import rollback

    return rollback(_store(arguments), arguments.name, arguments.version, arguments.reason)


def _unblock(arguments: argparse.Namespace) -> object:
    from encord_dagster.label_set.operations import unblock

    return unblock(_store(arguments), arguments.name, arguments.export, arguments.reason)


def _release(arguments: argparse.Namespace) -> object:
    from encord_dagster.label_set.operations import release

    return release(_store(arguments), arguments.name, arguments.reason)


def _retire(arguments: argparse.Namespace) -> object:
    from encord_dagster.label_set.retire import retire

    hashes = {"label_hashes": arguments.label_hash, "data_hashes": arguments.data_hash}
    return retire(_store(arguments), arguments.name, arguments.reason, **hashes)


def _restore(arguments: argparse.Namespace) -> object:
    from encord_dagster.label_set.retire import restore

    return restore(_store(arguments), arguments.name, arguments.label_hash, arguments.reason)


def _gc(arguments: argparse.Namespace) -> object:
    from encord_dagster.label_set.gc import gc

    return gc(_store(arguments), arguments.name, dry_run=arguments.dry_run, keep=arguments.keep)


def _prune(arguments: argparse.Namespace) -> object:
    from encord_dagster.label_set.prune import prune
    from encord_dagster.storage.open import open_store

    return prune(open_store(arguments.url), keep=arguments.keep, dry_run=arguments.dry_run)


def _quarantine(arguments: argparse.Namespace) -> object:
    from encord_dagster.encord.notes import quote
    from encord_dagster.errors import UsageError
    from encord_dagster.label_set.quarantine import held_in_quarantine
    from encord_dagster.upkeep_reports import quarantine_text, record_text

    records = held_in_quarantine(_store(arguments), arguments.name)
    if arguments.export is None:
        return records if arguments.json else quarantine_text(records)
    found = next((record for record in records if record.export.id == arguments.export), None)
    if found is None:
        raise UsageError(f"nothing of export {quote(arguments.export)} is in quarantine; list what is")
    return found if arguments.json else record_text(found)


def show(found: object) -> None:
    """Print what a command found."""
    import msgspec

    text = found if isinstance(found, str) else msgspec.json.format(msgspec.json.encode(found)).decode() + "\n"
    sys.stdout.write(text)

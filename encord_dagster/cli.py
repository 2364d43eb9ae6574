"""The command line: the same pipeline without Dagster.

Exit codes: 0 done, 1 findings at or above the threshold, 2 usage, 3 storage, 4 damaged history.
Results go to standard output, progress to standard error.
"""

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from encord_dagster import media, process, selected, upkeep
from encord_dagster.errors import EncordDagsterError, HistoryDamaged, StorageError, UsageError

if TYPE_CHECKING:
    from encord_dagster.config import LabelSetConfig

SEVERITIES = ("info", "warning", "error")
LOG_SHOWN = 100  # records


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code."""
    arguments = _parser().parse_args(argv)
    command: Callable[[argparse.Namespace], int] = arguments.command
    try:
        return command(arguments)
    except HistoryDamaged as error:
        return _fail(error, 4)
    except StorageError as error:
        return _fail(error, 3)
    except EncordDagsterError as error:
        return _fail(error, 2)
    except BrokenPipeError:  # whoever read our output, such as `head`, has read enough
        sys.stdout = Path(os.devnull).open("w")  # noqa: SIM115 - Python flushes it at exit
        return 0
    except OSError as error:  # of the folder to write to; stores raise StorageError
        return _fail(StorageError(f"{error.filename}: {error.strerror}; name another folder, or mend this one"), 3)


def script() -> NoReturn:
    """Run the command of this process."""
    process.begin()
    process.end(main())


def _fail(error: EncordDagsterError, code: int) -> int:
    sys.stderr.write(f"encord-dagster: {error.code}: {error}\n")
    return code


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="encord-dagster",
        description="Encord label exports become published, versioned label sets.",
        epilog="Exit codes: 0 done, 1 findings at or above the threshold, 2 usage, 3 storage, 4 damaged history.",
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    def add(name: str, run: Callable[[argparse.Namespace], int], text: str) -> argparse.ArgumentParser:
        sub = commands.add_parser(name, help=text, description=text)
        sub.set_defaults(command=run)
        return sub

    sample = add("sample", _sample, "Write realistic sample exports into a folder.")
    sample.add_argument("folder", type=Path)
    sample.add_argument("--seed", type=int, default=7)
    sample.add_argument("--days", type=int, default=2)
    sample.add_argument("--rows", type=int, default=24)
    sample.add_argument("--no-bad", action="store_true", help="leave out the deliberately bad files")

    ingest = add("ingest", _ingest, "Bring exports into a label set, as at most one new version per folder.")
    ingest.add_argument("url", nargs="+", help="an export or a prefix of them: s3://bucket/prefix, a file, a folder")
    ingest.add_argument("--no-masks", action="store_true", help="make no mask PNGs")
    ingest.add_argument("--processes", type=int, default=0, help="how many read rows; as many as are of use")
    _publishing(ingest)
    upkeep.add_lake(ingest)
    _reading(ingest)

    convert = add("convert", _convert, "Convert exports into a folder laid out as a version's files; no lake.")
    convert.add_argument("url", nargs="+")
    convert.add_argument("-o", "--output", type=Path, required=True, help="an empty or absent folder")
    convert.add_argument("--processes", type=int, default=0, help="at most; 0, the default: as many as are of use")
    _formats(convert)
    selected.add_arguments(convert)
    _publishing(convert)
    _reading(convert)

    validate = add("validate", _validate, "Read exports and list what is wrong with them; write nothing.")
    validate.add_argument("url", nargs="+")
    _reading(validate)
    log = add("log", _log, "List the records of a label set.")
    log.add_argument("--last", type=int, metavar="N", help="only the newest N; default: 100 as text, all as JSON")
    show = add("show", _show, "Describe one version.")
    show.add_argument("version", nargs="?", default="latest")
    verify = add("verify", _verify, "Recompute every digest and count of a label set.")
    verify.add_argument("--quick", action="store_true", help="look at sizes instead of reading every object")
    checkout = add("checkout", _checkout, "Write a version's plain files into a folder.")
    checkout.add_argument("version", nargs="?", default="latest")
    checkout.add_argument("-o", "--output", type=Path, required=True, help="an empty or absent folder")
    _formats(checkout)
    checkout.add_argument("--ontology", type=Path, help="the ontology's JSON, for what encord_coco has as not ticked")
    selected.add_arguments(checkout)
    media.add_command(add)
    replay = add("replay", _replay, "Read again what is in quarantine, and publish what can be used now.")
    replay.add_argument("export", nargs="*", help="ids of exports; none: all that is there")
    replay.add_argument("--no-masks", action="store_true", help="make no mask PNGs")
    _publishing(replay)
    _reading(replay)
    repair = add("repair", _repair, "Put damaged objects back: out of copies, or made again from the raw exports.")
    repair.add_argument("--no-masks", action="store_true", help="the label set was made without mask PNGs")
    _publishing(repair)
    _reading(repair)
    for sub in (log, show, verify, checkout, replay, repair):
        upkeep.add_lake(sub)

    upkeep.add_commands(lambda name, run, text: add(name, partial(_operate, run), text))
    for sub in commands.choices.values():
        sub.add_argument("--json", action="store_true", help="print JSON")
    return parser


def _formats(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--formats",
        type=lambda text: text.split(","),
        default=["coco", "masks", "tables"],
        help="coco,masks,tables; and coco_panoptic, coco_keypoints, yolo_detect, yolo_segment, yolo_pose, yolo_obb, "
        "voc_masks, mot, youtube_vis, tao, encord_coco, nifti, dicom_seg",
    )
    parser.add_argument(
        "--dicom-headers",
        type=Path,
        metavar="FOLDER",
        help="your DICOM files, pixels or not: where slices lie, for nifti and dicom_seg",
    )


def _publishing(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--publish", type=lambda text: text.split(","), default=[], help="beyond labels: titles,links,people,times"
    )
    parser.add_argument("--no-free-text", action="store_true", help="leave out text answers")
    parser.add_argument(
        "--pseudonym-key-variable", default="", metavar="NAME", help="environment variable with the key for people"
    )


def _reading(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--on-bad-object", choices=("quarantine_object", "quarantine_row", "fail_export"), default="quarantine_object"
    )
    parser.add_argument(
        "--ontology", type=Path, help="the ontology's JSON; decides over one that lies beside an export"
    )
    parser.add_argument(
        "--label-status", action="append", default=[], help="convert only rows of this status; may be given again"
    )
    parser.add_argument("--fail-at", choices=SEVERITIES, default="error", help="exit 1 from this severity on")
    parser.add_argument("-q", "--quiet", action="store_true", help="no progress")


def _published(arguments: argparse.Namespace, name: str, *, masks: bool) -> "LabelSetConfig":
    import msgspec

    from encord_dagster.config import LabelSetConfig

    config: LabelSetConfig = msgspec.structs.replace(
        _config(arguments, name, masks=masks),
        publish=tuple(arguments.publish),
        free_text=not arguments.no_free_text,
        pseudonym_key_variable=arguments.pseudonym_key_variable,
    )
    return config


def _config(arguments: argparse.Namespace, name: str, *, masks: bool = True) -> "LabelSetConfig":
    from encord_dagster.config import LabelSetConfig

    return LabelSetConfig(
        name=name,
        masks=masks,
        on_bad_object=arguments.on_bad_object,
        label_statuses=tuple(arguments.label_status),
        ontology=_ontology(arguments),
    )


def _ontology(arguments: argparse.Namespace) -> str:
    return str(arguments.ontology.read_text("utf-8")) if arguments.ontology else ""


def _print(value: object) -> None:
    import msgspec

    sys.stdout.write(msgspec.json.format(msgspec.json.encode(value)).decode() + "\n")


def _say(arguments: argparse.Namespace) -> Callable[[str], None]:
    def say(line: str) -> None:
        if not arguments.quiet:
            sys.stderr.write(line + "\n")

    return say


def _sample(arguments: argparse.Namespace) -> int:
    from encord_dagster.samples import write_samples

    paths = write_samples(
        arguments.folder,
        seed=arguments.seed,
        days=arguments.days,
        rows=arguments.rows,
        with_bad=not arguments.no_bad,
    )
    if arguments.json:
        _print([str(path) for path in paths])
    else:
        sys.stdout.writelines(f"{path}\n" for path in paths)
    return 0


def _ingest(arguments: argparse.Namespace) -> int:
    from encord_dagster.commands import ingest_urls
    from encord_dagster.reports import batch_text, worst_at_least

    batches = ingest_urls(
        arguments.url,
        lake=arguments.lake,
        config=_published(arguments, arguments.name, masks=not arguments.no_masks),
        progress=_say(arguments),
        processes=arguments.processes,
    )
    if arguments.json:
        _print(batches)
    else:
        sys.stdout.writelines(batch_text(batch) for batch in batches)
    return _code(arguments, any(worst_at_least(batch, arguments.fail_at) for batch in batches))


def _convert(arguments: argparse.Namespace) -> int:
    from encord_dagster.commands import convert_urls
    from encord_dagster.reports import batch_text, worst_at_least

    batches, paths = convert_urls(
        arguments.url,
        output=arguments.output,
        formats=arguments.formats,
        selection=selected.selection_of(arguments),
        splits_from=arguments.splits_from,
        config=_published(arguments, "converted", masks="masks" in arguments.formats),
        progress=_say(arguments),
        processes=arguments.processes,
        dicom_headers=arguments.dicom_headers,
    )
    if arguments.json:
        _print({"exports": batches, "files": [str(path) for path in paths]})
    else:
        sys.stdout.writelines(batch_text(batch) for batch in batches)
        sys.stdout.write(f"{len(paths)} files in {arguments.output}\n")
    return _code(arguments, any(worst_at_least(batch, arguments.fail_at) for batch in batches))


def _operate(run: Callable[[argparse.Namespace], object], arguments: argparse.Namespace) -> int:
    upkeep.show(run(arguments))
    return 0


def _replay(arguments: argparse.Namespace) -> int:
    from encord_dagster.pipeline import replay
    from encord_dagster.reports import batch_text, worst_at_least
    from encord_dagster.storage.open import open_store

    batch = replay(
        lake=open_store(arguments.lake),
        config=_config(arguments, arguments.name, masks=not arguments.no_masks),
        export_ids=arguments.export or None,
        progress=_say(arguments),
    )
    if arguments.json:
        _print(batch)
    else:
        sys.stdout.write(batch_text(batch))
    return _code(arguments, worst_at_least(batch, arguments.fail_at))


def _validate(arguments: argparse.Namespace) -> int:
    from encord_dagster.commands import validate_urls
    from encord_dagster.reports import at_least, validation_text

    reports = validate_urls(arguments.url, config=_config(arguments, "validated"))
    if arguments.json:
        _print(reports)
    else:
        sys.stdout.writelines(validation_text(report) for report in reports)
    return _code(arguments, any(at_least(report.findings, arguments.fail_at) for report in reports))


def _code(arguments: argparse.Namespace, found: bool) -> int:
    if found and not arguments.json:
        sys.stderr.write(f"encord-dagster: findings of severity {arguments.fail_at} or worse: exit code 1\n")
    return int(found)


def _log(arguments: argparse.Namespace) -> int:
    from encord_dagster.label_set.read import open_label_set
    from encord_dagster.reports import log_entries, log_text

    label_set = open_label_set(arguments.lake, arguments.name)
    entries = log_entries(label_set, last=arguments.last or (None if arguments.json else LOG_SHOWN))
    if arguments.json:
        _print(entries)
    elif entries:
        sys.stdout.write(log_text(entries))
        if not arguments.last and label_set.head.seq > len(entries):
            sys.stdout.write(f"{label_set.head.seq - len(entries):,} older records: log --last N\n")
    else:
        sys.stdout.write(f"{label_set.lake.url} holds no record of label set {arguments.name!r} yet\n")
    return 0


def _show(arguments: argparse.Namespace) -> int:
    from encord_dagster.label_set.read import open_label_set
    from encord_dagster.reports import version_summary, version_text

    version = open_label_set(arguments.lake, arguments.name).version(arguments.version)
    if arguments.json:
        _print(version_summary(version))
    else:
        sys.stdout.write(version_text(version))
    return 0


def _verify(arguments: argparse.Namespace) -> int:
    from encord_dagster.label_set.verify import verify
    from encord_dagster.storage.open import open_store

    lake = open_store(arguments.lake)
    report = verify(lake, arguments.name, quick=arguments.quick)
    if not report.records and not report.problems:  # a slip in the url must not look like a sound label set
        raise UsageError(f"{lake.url} holds no label set {arguments.name!r}; check --lake and --name")
    if arguments.json:
        _print(report)
    else:
        sys.stdout.writelines(f"{problem}\n" for problem in report.problems)
        state = f"{len(report.problems)} problem(s)" if report.problems else "every digest and count holds"
        sys.stdout.write(f"{report.records} record(s), {report.objects} objects, {report.bytes:,} bytes: {state}\n")
    return 4 if report.problems else 0


def _repair(arguments: argparse.Namespace) -> int:
    from encord_dagster.repair import repair
    from encord_dagster.storage.open import open_store

    config = _published(arguments, arguments.name, masks=not arguments.no_masks)
    report = repair(open_store(arguments.lake), arguments.name, config)
    if arguments.json:
        _print(report)
    else:
        sys.stdout.writelines(f"put back {key}\n" for key in report.repaired)
        sys.stdout.writelines(f"{problem}\n" for problem in report.problems)
        sys.stdout.write(f"objects put back: {len(report.repaired):,}, problems left: {len(report.problems):,}\n")
    return 4 if report.problems else 0


def _checkout(arguments: argparse.Namespace) -> int:
    from encord_dagster.label_set.read import open_label_set

    version = open_label_set(arguments.lake, arguments.name).version(arguments.version)
    paths = version.checkout(
        arguments.output,
        formats=arguments.formats,
        selection=selected.selection_of(arguments),
        dicom_headers=arguments.dicom_headers,
        ontology=_ontology(arguments),
        splits_from=arguments.splits_from,
    )
    if arguments.json:
        _print([str(path) for path in paths])
    else:
        sys.stdout.write(f"version {version.number}: {len(paths)} files in {arguments.output}\n")
    return 0


if __name__ == "__main__":
    script()

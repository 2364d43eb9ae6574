"""Every key in the lake. Nobody else builds one, and no text of an export ever becomes part of one."""

import re

_DIGEST = re.compile(r"/(?:objects/\d+/../|exports/[^/]+/events-)([0-9a-f]{16,64})(?:\.parquet)?(?:\.r\d)?")


def raw(sha256: str) -> str:
    """The bytes of an export as they came: personal data, a restricted prefix."""
    return f"raw/{sha256[:2]}/{sha256}"


def raw_pointer(sha256: str) -> str:
    """Where those bytes were first found."""
    return f"raw/{sha256[:2]}/{sha256}.json"


def label_set(name: str) -> str:
    """The prefix of one label set."""
    return f"label_sets/{name}/"


def log_prefix(name: str) -> str:
    """The prefix of the log."""
    return f"label_sets/{name}/log/"


def log(name: str, seq: int) -> str:
    """A numbered log record: its creation is the commit."""
    return f"{log_prefix(name)}{seq:012d}.json"


def checkpoint(name: str, seq: int) -> str:
    """What the records up to `seq` account for, derived from them."""
    return f"{checkpoints(name)}{seq:012d}.json"


def checkpoints(name: str) -> str:
    """The prefix of the checkpoints."""
    return f"label_sets/{name}/checkpoints/"


def condemned_lists(name: str) -> str:
    """The prefix of the lists of what garbage collections remove."""
    return f"label_sets/{name}/gc/"


def condemned(name: str, seq: int, digest: str) -> str:
    """What the garbage collection of log record `seq` removes."""
    return f"{condemned_lists(name)}{seq:012d}-{digest[:16]}.json"


def tags(name: str) -> str:
    """The prefix of the tags."""
    return f"label_sets/{name}/tags/"


def latest(name: str) -> str:
    """A hint at the newest record."""
    return f"label_sets/{name}/latest.json"


def label_set_of(key: str) -> str:
    """The label set that a key below `label_sets/` belongs to."""
    return key.split("/")[1]


def contents(name: str) -> str:
    """The prefix of the content-addressed objects."""
    return f"label_sets/{name}/objects/"


def work(name: str, digest: str, kind: str) -> str:
    """A task for a worker elsewhere, or its result: rows of an export, so personal data, as below `raw/`."""
    return f"raw/tasks/{name}/{digest}.{kind}"


def is_content(key: str) -> bool:
    """Whether a key is that of a content-addressed object."""
    return key.split("/")[2:3] == ["objects"]


def content(name: str, epoch: int, sha256: str) -> str:
    """A content-addressed object of a version."""
    return f"{contents(name)}{epoch}/{sha256[:2]}/{sha256}"


def categories(name: str) -> str:
    """The prefix of the category claims."""
    return f"label_sets/{name}/categories/"


def category(name: str, number: int) -> str:
    """The claim of category id `number`."""
    return f"{categories(name)}{number}.json"


def exports(name: str) -> str:
    """The prefix of what is known of each export."""
    return f"label_sets/{name}/exports/"


def sources(name: str, export_id: str) -> str:
    """The prefix of the places where an export's bytes were found."""
    return f"{exports(name)}{export_id}/sources/"


def source(name: str, export_id: str, digest: str) -> str:
    """One place where an export's bytes were found."""
    return f"{sources(name, export_id)}{digest}.json"


def same_as(name: str, export_id: str, first_id: str) -> str:
    """Says that an export holds the same bytes as an earlier one."""
    return f"{same_as_any(name, export_id)}{first_id}.json"


def same_as_any(name: str, export_id: str) -> str:
    """The prefix of what says that an export holds the same bytes as some earlier one."""
    return f"{exports(name)}{export_id}/same-as-"


def events(name: str, export_id: str, digest: str) -> str:
    """The row events of an export, with their findings."""
    return f"{exports(name)}{export_id}/events-{digest[:16]}.parquet"


def converted(name: str, export_id: str, file: str, digest: str) -> str:
    """Files of an export that was converted and not published."""
    stem, _, suffix = file.rpartition(".")
    return f"{exports(name)}{export_id}/converted/{stem}-{digest[:16]}.{suffix}"


def quarantine(name: str) -> str:
    """The prefix of the quarantine."""
    return f"label_sets/{name}/quarantine/"


def quarantined_whole(name: str, export_id: str) -> str:
    """The prefix of what says why the whole of one export was quarantined."""
    return f"{quarantine(name)}{export_id}/export-"


def quarantined(name: str, export_id: str, digest: str, *, whole: bool) -> str:
    """What of one export was quarantined: the whole of it, or rows and objects."""
    return f"{quarantine(name)}{export_id}/{'export' if whole else 'parts'}-{digest[:16]}.json"


def tag(name: str, tag: str) -> str:
    """A name that an operator gave to a version, checked before: its creation is final."""
    return f"{tags(name)}{tag}.json"


def probe(name: str) -> str:
    """The prefix of the self-test's probes."""
    return f"label_sets/{name}/probes/"


def digest_in(key: str) -> str | None:
    """The digest of its bytes, or the beginning of it, that a key is made of; None for other keys."""
    found = _DIGEST.search(key)
    return found[1] if found and found.end() == len(key) else None

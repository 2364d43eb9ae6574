"""All faults, what must become of each, and the stores on which that is shown."""

import msgspec

EVERY = ("memory", "local", "s3")


class Fault(msgspec.Struct, frozen=True):
    """One fault. `stores` are those on which it can happen."""

    id: str
    name: str
    outcome: str
    stores: tuple[str, ...] = EVERY


WHOLE = "the old or the new version is whole, and the next run gives exactly one"
CLEAN = "the run fails cleanly, and the next one publishes"

FAULTS = (
    Fault("F01", "crash before any storage call", WHOLE),
    Fault("F02", "crash after any storage call", WHOLE),
    Fault("F03", "crash at any pair of storage calls", WHOLE),
    Fault("F04", "answer to the commit lost", "it is recognised as ours, and there is one version"),
    Fault("F05", "answer to the commit lost on every retry", "CommitStateUnknown; the next run finds it published"),
    Fault("F06", "answer to another write lost", "it is read back, or " + CLEAN),
    Fault("F07", "409 on the commit, nothing there", "the same bytes are sent again: one version", ("s3",)),
    Fault("F08", "409 on the commit, other bytes there", "the run joins on top of the rival"),
    Fault("F09", "503 bursts, shorter and longer than the retries", "it publishes, or " + CLEAN),
    Fault("F10", "500, 429, reset, no such host, TLS error", "it publishes, or " + CLEAN, ("s3",)),
    Fault("F11", "read timeout before and after the server acted", "read back, and there is one version", ("s3",)),
    Fault("F12", "body of a read torn", "it is read again; half an object is never used"),
    Fault("F13", "wrong bytes of the right length", "the digest is refused: no wrong version"),
    Fault("F14", "torn upload under our digest", "good bytes are stored beside it, and the version names these"),
    Fault("F15", "403 on a key that does not exist", "AccessDenied, never taken for absence", ("s3",)),
    Fault("F16", "credentials expire in mid-run", CLEAN),
    Fault("F17", "two publishers, the same export", "one version"),
    Fault("F18", "two publishers, a newer and an older export", "the newer wins, none is lost"),
    Fault("F19", "two publishers, different rows", "both are in, two versions"),
    Fault("F20", "six processes with eight publishes each", "48 exports are in, no error", ("local", "s3")),
    Fault("F21", "three publishers, one killed", "the others publish, and its next run too"),
    Fault("F22", "sensor tick twice", "one run's worth of change", ("memory",)),
    Fault("F23", "deliveries twice and out of order", "the content of time order, nothing twice", ("memory",)),
    Fault("F24", "daemon killed between the stages of a tick", "nothing is lost, one version", ("memory",)),
    Fault("F25", "kill -9 of a run at a random time", WHOLE, ("local", "s3")),
    Fault("F26", "run fails for good", "the export is asked for again under another run key", ("memory",)),
    Fault("F27", "Dagster's database lost", "the bucket says what is done: nothing is asked for", ("memory",)),
    Fault("F28", "cursor of the sensor lost, ahead or garbage", "a full pass, the same result", ("memory",)),
    Fault("F29", "export older than what is published", "accounted for, no new version"),
    Fault("F30", "exports in any order", "the same content digest", ("memory",)),
    Fault("F31", "the same export under another key", "no new version, both sources are recorded"),
    Fault("F32", "key overwritten by a newer export", "a new version, never a mix"),
    Fault("F33", "one export hash, other labels", "the join is the same in either order, and it is told"),
    Fault("F34", "export deleted between listing and read", "it fails alone, and is taken when it comes back"),
    Fault("F35", "export overwritten between listing and read", "it fails alone, and its new bytes are taken"),
    Fault("F36", "multipart upload never completed", "it is invisible, and no error", ("s3",)),
    Fault("F37", "listing of 2,500 keys broken and changed on the way", "none is lost after the next tick"),
    Fault("F38", "two exports of one time disagree", "the same winner in either order"),
    Fault("F39", "clock off by a day or ten years, or backwards", "the same digests", ("memory", "local")),
    Fault("F40", "disk full, I/O error, no descriptors, read-only folder", CLEAN, ("local",)),
    Fault("F41", "folder without hard links", "UnsafeStore, with advice", ("local",)),
    Fault("F42", "store that ignores If-None-Match", "refused at start", ("memory", "s3")),
    Fault("F43", "garbage collection beside a publisher", "no version names a missing object"),
    Fault("F44", "garbage collection killed at any call", "the next one finishes"),
    Fault("F45", "publisher stalled through two garbage collections", "it publishes whole objects"),
    Fault("F46", "record missing, hint ahead", "HistoryDamaged, never a new beginning"),
    Fault("F47", "object or record flipped or deleted", "`verify` names it, readers refuse it"),
    Fault("F48", "old record replayed, older head shown", "it is refused"),
    Fault("F49", "rollback beside a publish", "one order, both whole"),
    Fault("F50", "tag made twice at once", "one wins"),
    Fault("F51", "backfill cancelled half way, in normal traffic", "consistent, and it can be resumed", ("memory",)),
    Fault("F52", "planted bugs", "each is caught", ("memory",)),
)
BY_ID = {fault.id: fault for fault in FAULTS}
ON_RADOSGW = {1, 2, 4, 5, 6, 7, 8, 12, 14, 15, 17, 18, 19, 29, 31, 33, 36, 43}
"""Numbers of the faults that are shown on a second S3 server too, in the slow run."""

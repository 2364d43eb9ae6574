"""Every error this package raises on purpose.

EncordDagsterError
├── ExportError          the bytes of one export cannot be used: fix or re-deliver that export
├── RowError             one label row cannot be used: the other rows of its export go on
├── StorageError         the object store failed or answered in a way that is not understood
│   ├── AccessDenied     the credentials may not do this: never read as "the object is absent"
│   ├── UnsafeStore      the store accepts a second create of one key: refused
│   └── CommitStateUnknown  the commit was sent and cannot be read back: run again, it is idempotent
├── HistoryDamaged       the log or an object it names is missing or altered: run `verify`
│   └── IdClash          two records of a version have one id: report it, the version must not be used
│   └── IdClash          two records of a version share an id: its tables can be used, its COCO file not
└── UsageError           the configuration or the call is wrong
    └── VersionGone      garbage collection dropped the version: use a later one

Each error has a stable `code`, append-only, that dashboards may match on.
"""


class EncordDagsterError(Exception):
    """Base of all errors raised on purpose; `str()` says what, where and what to do next."""

    code = "ENCORD_DAGSTER"


class _Unusable(EncordDagsterError):
    """Input that cannot be used; `reason` is the finding rule that says why."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(reason, message)
        self.reason = reason
        self.message = message

    def __str__(self) -> str:
        return self.message


class ExportError(_Unusable):
    """The bytes of one export cannot be used."""

    code = "EXPORT_UNUSABLE"


class RowError(_Unusable):
    """One label row cannot be used."""

    code = "ROW_UNUSABLE"


class StorageError(EncordDagsterError):
    """The object store failed."""

    code = "STORAGE"


class AccessDenied(StorageError):
    """The store refused the credentials; a missing key can look like this without list permission."""

    code = "ACCESS_DENIED"


class UnsafeStore(StorageError):
    """The store does not honour create-only writes, on which publishing rests."""

    code = "UNSAFE_STORE"


class CommitStateUnknown(StorageError):
    """A commit was sent, and whether it landed cannot be learnt now."""

    code = "COMMIT_STATE_UNKNOWN"


class HistoryDamaged(EncordDagsterError):
    """The log, or an object that it names, is missing or altered."""

    code = "HISTORY_DAMAGED"


class IdClash(HistoryDamaged):
    """Two images or two annotations of a version have the same id, so that no COCO file can tell them apart."""

    code = "ID_CLASH"


class UsageError(EncordDagsterError):
    """The configuration or the call is wrong."""

    code = "USAGE"


class VersionGone(UsageError):
    """A version, or an object of it, that garbage collection removed because it was not to be kept."""

    code = "VERSION_GONE"

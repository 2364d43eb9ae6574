"""Hashes, times and links as the platform writes them, and the personal data that real exports carry."""

import string
import uuid
from datetime import UTC, datetime
from email.utils import format_datetime
from random import Random

from encord_dagster.errors import UsageError

ANNOTATORS = ("jana.canary@example.com", "tom.canary@example.com")
EXPORTER = "export.canary@example.com"
DATASET_TITLE = "Canary Hospital and Canary Street, survey 7"
PATIENT_ID = "CANARY-PATIENT-4711"
PATIENT_NAME = "canary_erika_mustermann"
DRIVER_NAME = "canary_max_mustermann"
SIGNER = "canary-signer%40sample-project.iam.gserviceaccount.com"
SIGNATURE_KEY = "X-Goog-Signature="
BUCKET = "cord-canary-storage"

_HASH_LETTERS = string.ascii_letters + string.digits + "+/"


def canaries() -> tuple[str, ...]:
    """Personal data that occurs in every export of a project with at least eight rows, and must not leave it."""
    return (*ANNOTATORS, EXPORTER, DATASET_TITLE, PATIENT_ID, PATIENT_NAME, DRIVER_NAME, SIGNER, SIGNATURE_KEY, BUCKET)


def object_hash(random: Random) -> str:
    """Eight letters of base64; about one in five holds `/` or `+`."""
    return "".join(random.choices(_HASH_LETTERS, k=8))


def uuid4(random: Random) -> str:
    """A version 4 UUID from the given chance."""
    return str(uuid.UUID(bytes=random.randbytes(16), version=4))


def row_time(moment: datetime) -> str:
    """A time as rows have it: no zone, UTC meant."""
    return utc(moment).strftime("%Y-%m-%d %H:%M:%S")


def object_time(moment: datetime) -> str:
    """A time as objects have it, with English names whatever the locale."""
    return format_datetime(utc(moment), usegmt=True)


def export_time(moment: datetime) -> str:
    """A time as `exported_at` has it."""
    return object_time(moment).replace("GMT", "UTC")


def utc(moment: datetime) -> datetime:
    """The same moment in UTC.

    Raises:
        UsageError: the moment has no time zone, so that the bytes would depend on the machine.
    """
    if moment.tzinfo is None:
        raise UsageError(f"the time {moment.isoformat()} has no time zone: give one, such as datetime.UTC")
    return moment.astimezone(UTC)


def link(kind: str, name: str) -> str:
    """The storage path of a file; `kind` as in `images`, `videos`, `dicoms`, `nifti`."""
    return f"{BUCKET}/cord-{kind}-prod/yiA5JxmLEGSoEcJAuxr3AJdDDXE2/{name}"


def signed(path: str, *, random: Random, at: datetime) -> str:
    """A path as a signed link of seven days; what was signed before gets a new signature."""
    plain = path.removeprefix("https://storage.googleapis.com/").split("?")[0]
    day = utc(at).strftime("%Y%m%dT%H%M%SZ")
    return (
        f"https://storage.googleapis.com/{plain}?X-Goog-Algorithm=GOOG4-RSA-SHA256"
        f"&X-Goog-Credential={SIGNER}%2F{day[:8]}%2Fauto%2Fstorage%2Fgoog4_request&X-Goog-Date={day}"
        f"&X-Goog-Expires=604800&X-Goog-SignedHeaders=host&{SIGNATURE_KEY}{random.randbytes(64).hex()}"
    )

"""What an error of boto3 means to us, in words that hold no credentials."""

import re

from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    CredentialRetrievalError,
    FlexibleChecksumError,
    HTTPClientError,
    IncompleteReadError,
    NoCredentialsError,
    PartialCredentialsError,
    ReadTimeoutError,
    ResponseStreamingError,
)
from botocore.exceptions import ConnectionError as BotoConnectionError

from encord_dagster.errors import AccessDenied, StorageError, UnsafeStore

S3_ERRORS = (ClientError, BotoCoreError)
TORN_BODY = (ResponseStreamingError, IncompleteReadError, ReadTimeoutError, FlexibleChecksumError)

_LOST_ANSWER = (HTTPClientError, BotoConnectionError)  # the request may have reached the store
_NO_CREDENTIALS = (NoCredentialsError, PartialCredentialsError, CredentialRetrievalError)
_EXPIRED = {"ExpiredToken", "InvalidToken", "TokenRefreshRequired"}  # AWS answers these with 400
_QUERY = re.compile(r"(\w+://[^\s?\"'<>]*)\?[^\s\"'<>]*")  # signed URLs carry their signature there
_USER = re.compile(r"(\w+://)[^\s/@]*@")
_KEY_ID = re.compile(r"\b(?:AKIA|ASIA)[0-9A-Z]{12,}\b")
_ADVICE = {
    "read": "the usual cause is that s3:ListBucket is not granted, as S3 then answers 403 for a key that does not "
    "exist: grant s3:ListBucket on the bucket and s3:GetObject on the prefix",
    "list": "grant s3:ListBucket on the bucket",
    "write": "grant s3:PutObject on the prefix; where reads fail too, the usual cause is a missing s3:ListBucket",
    "delete": "grant s3:DeleteObject on the prefix, to the role that runs maintenance only",
}


def status_of(error: ClientError | BotoCoreError) -> int:
    """The HTTP status of the answer, 0 if there was none."""
    if not isinstance(error, ClientError):
        return 0
    return error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)


def code_of(error: ClientError | BotoCoreError) -> str:
    """The name S3 gives the error, '' if there was no answer."""
    return error.response.get("Error", {}).get("Code", "") if isinstance(error, ClientError) else ""


def text_of(error: ClientError | BotoCoreError) -> str:
    """One line for people: no URL query, user or access key id is left in it."""
    if isinstance(error, ClientError):
        message = error.response.get("Error", {}).get("Message", "")
        return redacted(f"{code_of(error)}, HTTP {status_of(error)}: {message}")
    return redacted(f"{type(error).__name__}: {error}")


def redacted(text: str) -> str:
    """`text` without what may be a credential."""
    return _KEY_ID.sub("<access key id>", _USER.sub(r"\1", _QUERY.sub(r"\1?<redacted>", text)))


def key_is_absent(error: ClientError | BotoCoreError) -> bool:
    """Whether the store said that the key, not the bucket, does not exist. Never true for 403."""
    return status_of(error) == 404 and code_of(error) != "NoSuchBucket"


def write_may_have_landed(error: ClientError | BotoCoreError) -> bool:
    """Whether a refused or unanswered create may still be in the store: only reading back tells."""
    if isinstance(error, _LOST_ANSWER):
        return True
    status = status_of(error)
    if status == 501:  # not implemented: a plain refusal
        return False
    return status in (408, 409, 412, 429) or status >= 500 or code_of(error) == "RequestTimeout"


def storage_error(error: ClientError | BotoCoreError, *, action: str, where: str) -> StorageError:
    """The error to raise, from None, for one of boto3's; `action` is read, list, write or delete."""
    text = text_of(error)
    if status_of(error) == 403:
        return AccessDenied(f"may not {action} {where} ({text}): {_ADVICE[action]}")
    if isinstance(error, _NO_CREDENTIALS) or status_of(error) == 401 or code_of(error) in _EXPIRED:
        return AccessDenied(f"may not {action} {where} ({text}): set or renew the AWS credentials of this process")
    if code_of(error) == "NoSuchBucket":
        return StorageError(f"could not {action} {where}: the bucket does not exist; create it or correct the url")
    if action == "write" and status_of(error) == 501:
        return UnsafeStore(f"{where}: the store has no create-only writes ({text}); use one that honours If-None-Match")
    return StorageError(f"could not {action} {where} ({text}); if it persists, check the store and run again")

"""What IAM would say: the part of its language that deploy/iam uses, and stores that ask it before each call."""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from encord_dagster.storage.protocol import Create, ObjectInfo, ObjectStore
from tests.deploy.composed import DEPLOY

ROLE = "arn:aws:iam::111122223333:role/"
MAINTENANCE = f"{ROLE}encord-lake-maintenance"

Policy = tuple[dict[str, Any], ...]  # its statements


class Request(msgspec.Struct, frozen=True):
    """One call of S3's: what is done to what, and the condition keys that S3 knows of it."""

    action: str
    resource: str
    context: Mapping[str, str]


class Refused(Exception):
    """A policy does not allow what the code asks for."""


def policy(name: str) -> Policy:
    """The statements of a file in deploy/iam."""
    return tuple(json.loads((DEPLOY / "iam" / f"{name}.json").read_text())["Statement"])


def matching(statements: Policy, request: Request, effect: str) -> list[str]:
    """The statements that speak of a request, by their Sid."""
    return [item["Sid"] for item in statements if item["Effect"] == effect and _speaks_of(item, request)]


def is_allowed(role: Policy, bucket: Policy, request: Request) -> bool:
    """Whether a role's policy allows it and no policy denies it."""
    denied = matching((*role, *bucket), request, "Deny")
    return bool(matching(role, request, "Allow")) and not denied


def _speaks_of(statement: Mapping[str, Any], request: Request) -> bool:
    named = any(_like(pattern, request.action) for pattern in _listed(statement["Action"]))
    meant = any(_like(pattern, request.resource) for pattern in _listed(statement["Resource"]))
    conditions = statement.get("Condition", {})
    return named and meant and all(_holds(kind, keys, request.context) for kind, keys in conditions.items())


def _holds(kind: str, keys: Mapping[str, Any], context: Mapping[str, str]) -> bool:
    for key, wanted in keys.items():
        value, values = context.get(key), _listed(wanted)
        match kind:
            case "Null":
                found = (value is None) == (wanted == "true")
            case "Bool":
                found = value == wanted
            case "StringLikeIfExists":
                found = value is None or any(_like(pattern, value) for pattern in values)
            case "ArnNotEquals":
                found = value not in values
            case _:
                raise NotImplementedError(f"condition {kind}")
        if not found:
            return False
    return True


def _listed(value: Any) -> list[str]:
    return value if isinstance(value, list) else [value]


def _like(pattern: str, text: str) -> bool:
    """`*` stands for anything, slashes too."""
    return re.fullmatch(".*".join(map(re.escape, pattern.split("*"))), text, re.DOTALL) is not None


class Guarded:
    """A store that asks the policies before each call, as S3 does, and keeps what was asked."""

    def __init__(self, inner: ObjectStore, root: str, *, role: Policy, bucket: Policy, who: str = f"{ROLE}any") -> None:
        self.inner, self.url, self.root, self.who = inner, inner.url, root, who
        self.role, self.bucket = role, bucket
        self.asked: list[Request] = []

    def request(self, action: str, key: str, **context: str) -> Request:
        """What S3 sees of a call."""
        bucket, _, prefix = self.root.partition("/")
        resource = f"arn:aws:s3:::{bucket}" + ("" if action == "s3:ListBucket" else f"/{prefix}/{key}")
        if action == "s3:ListBucket":
            context["s3:prefix"] = f"{prefix}/{key}"
        known = {"aws:SecureTransport": "true", "aws:PrincipalArn": self.who}
        return Request(action, resource, {**known, **context})

    def _ask(self, action: str, key: str, **context: str) -> None:
        request = self.request(action, key, **context)
        self.asked.append(request)
        if not is_allowed(self.role, self.bucket, request):
            raise Refused(f"{action} {request.resource} {request.context}")

    def create(self, key: str, data: bytes) -> Create:
        """PutObject with If-None-Match; reads back what is there."""
        self._ask("s3:PutObject", key, **{"s3:if-none-match": "*"})
        created = self.inner.create(key, data)
        if created is not Create.CREATED:
            self._ask("s3:GetObject", key)
        return created

    def put_hint(self, key: str, data: bytes) -> None:
        """PutObject as it is."""
        self._ask("s3:PutObject", key)
        self.inner.put_hint(key, data)

    def get(self, key: str, **options: Any) -> bytes | None:
        """GetObject."""
        self._ask("s3:GetObject", key)
        return self.inner.get(key, **options)

    def head(self, key: str) -> ObjectInfo | None:
        """HeadObject, which is GetObject to IAM; a listing tells what is missing."""
        self._ask("s3:GetObject", key)
        found = self.inner.head(key)
        if found is None:
            self._ask("s3:ListBucket", key)
        return found

    def list(self, prefix: str = "", **options: Any) -> Iterator[ObjectInfo]:
        """ListObjectsV2."""
        self._ask("s3:ListBucket", prefix)
        return self.inner.list(prefix, **options)

    def delete(self, key: str) -> None:
        """DeleteObject."""
        self._ask("s3:DeleteObject", key)
        self.inner.delete(key)

"""Where a version comes from, by the W3C's PROV-O: `prov.jsonld`, whose size does not grow with the set.

It names the exports that the version was made of in addition to the version before, by sha256 of their bytes, with a
few of the export hashes in them and the digest of their row events: the object in the lake that tells all of them.
Neither times nor ids of exports are in it, which are made of times.
"""

from collections.abc import Sequence
from itertools import islice

import msgspec

FILE = "prov.jsonld"
EXPORTS_NAMED = 100
HASHES_NAMED = 100  # of all exports together

_CONTEXT = {
    "prov": "http://www.w3.org/ns/prov#",
    "encord": "urn:x-encord-dagster:terms:",
    "label": "http://www.w3.org/2000/01/rdf-schema#label",
}
_CONVERSION = "urn:x-encord-dagster:conversion:"


class Origin(msgspec.Struct, frozen=True, kw_only=True):
    """An export that a version was made of."""

    sha256: str  # of its bytes
    events: str  # sha256 of its row events
    rows: int
    export_hashes: tuple[str, ...]
    export_hash_count: int


class About(msgspec.Struct, frozen=True, kw_only=True):
    """A version as its descriptions need it. `parent` is the content digest of the version before."""

    name: str
    version: int
    content_digest: str
    config_digest: str
    converter_version: int
    rows: int
    images: int
    annotations: int
    parent: str | None
    exports: tuple[Origin, ...]


def content(digest: str) -> str:
    """The name of some content, whoever holds it."""
    return f"urn:x-encord-dagster:content:{digest}"


def relations(about: About) -> dict[str, object]:
    """How the version follows from exports, converter and the version before."""
    exports = [{"@id": _bytes(one.sha256)} for one in _named(about)]
    return {
        **({"prov:wasDerivedFrom": exports} if exports else {}),
        **({"prov:wasRevisionOf": {"@id": content(about.parent)}} if about.parent else {}),
        "prov:wasGeneratedBy": {"@id": _conversion(about)},
    }


def document(about: About) -> bytes:
    """The provenance of a version."""
    graph: list[dict[str, object]] = [
        {
            "@id": content(about.content_digest),
            "@type": "prov:Entity",
            "label": f"version {about.version} of label set {about.name}",
            "encord:exportCount": len(about.exports),
            **relations(about),
        },
        {
            "@id": _conversion(about),
            "@type": "prov:Activity",
            "encord:converterVersion": about.converter_version,
            "encord:configDigest": about.config_digest,
            "prov:used": [{"@id": _bytes(one.sha256)} for one in _named(about)],
            "prov:wasAssociatedWith": {"@id": "urn:x-encord-dagster:converter"},
        },
        {
            "@id": "urn:x-encord-dagster:converter",
            "@type": ["prov:Agent", "prov:SoftwareAgent"],
            "label": "encord_dagster",
        },
        *_exports(_named(about)),
    ]
    if about.parent:
        graph.append({"@id": content(about.parent), "@type": "prov:Entity"})
    return msgspec.json.format(msgspec.json.encode({"@context": _CONTEXT, "@graph": graph})) + b"\n"


def _named(about: About) -> list[Origin]:
    """The first exports; the log record of the version accounts for all of them."""
    return sorted(about.exports, key=lambda one: one.sha256)[:EXPORTS_NAMED]


def _exports(origins: Sequence[Origin]) -> list[dict[str, object]]:
    made: list[dict[str, object]] = []
    left = HASHES_NAMED
    for one in origins:
        hashes = list(islice(one.export_hashes, left))
        left -= len(hashes)
        made.append(
            {
                "@id": _bytes(one.sha256),
                "@type": "prov:Entity",
                "encord:rows": one.rows,
                "encord:exportHash": hashes,
                "encord:exportHashCount": one.export_hash_count,
                "encord:rowEvents": {"@id": _bytes(one.events)},
            }
        )
    return made


def _conversion(about: About) -> str:
    return f"{_CONVERSION}{about.converter_version}:{about.config_digest}:{about.content_digest}"


def _bytes(sha256: str) -> str:
    """The name of some bytes by their digest (RFC 6920)."""
    return f"nih:sha-256;{sha256}"

"""What may leave the reader: no e-mail address, signed link, access key or character that fakes another text.

Titles, links, people and times leave it only where the configuration says so, which `Disclosure` carries.
"""

import functools
import hashlib
import hmac
import re
import unicodedata
from urllib.parse import unquote

import msgspec

from encord_dagster.encord import scalars

LONGEST = 10_000  # characters of one text
_READ = 100 * LONGEST  # characters looked at: what comes after them cannot end within the longest text
_EMAIL = re.compile(
    r"""(?:[\w.!#$%&'*+/=?^`{|}~-]{1,64}|"[^"\n]{1,62}")(?:@|%40)[\w-]{1,63}(?:\.[\w-]{1,63}){1,8}""", re.IGNORECASE
)
_WORD = re.compile(r"\S+")
_SIGNATURES = ("x-amz-", "x-goog-", "signature=", "awsaccesskeyid=", "googleaccessid=", "sig=")
_ACCESS_KEY = re.compile(r"(?:AKIA|ASIA|AROA|AIDA|GOOG)[0-9A-Z]{12,60}")
_SUSPECT = re.compile(r"@|%40|://|\?|AKIA|ASIA|AROA|AIDA|GOOG")
_DROPPED = frozenset({"Cc", "Cf", "Cs", "Co"})
_LINK = re.compile(
    r"(?P<scheme>(?:https?|s3|gs)://)?(?:[^/?#\s]*@)?(?P<host>[0-9A-Za-z][0-9A-Za-z._-]{0,254}(?::[0-9]{1,5})?)"
    r"(?P<path>/[^?#]*)?(?:[?#].*)?",
    re.DOTALL,
)
_JOINERS = "\u200c\u200d"  # format characters that Persian, Indic scripts and emoji cannot be written without


class Disclosure(msgspec.Struct, frozen=True, kw_only=True):
    """What may leave the reader beyond labels. Its key is never shown."""

    titles: bool = False
    links: bool = False
    times: bool = False
    free_text: bool = True  # False: text answers are left out
    key: bytes = b""  # for pseudonyms; empty: people are not published

    def __repr__(self) -> str:
        told = [name for name in ("titles", "links", "times", "free_text") if getattr(self, name)]
        return f"Disclosure({', '.join(told + ['people'] * bool(self.key))})"

    def __rich_repr__(self) -> list[tuple[str, str]]:
        """What rich prints, which does not ask `__repr__`."""
        return [("published", repr(self))]

    def person(self, value: scalars.Scalar) -> str | None:
        """A pseudonym: the same person is the same one under one key, in any case of letters."""
        name = scalars.text(value)
        return _pseudonym(name.strip().casefold(), self.key) if name and self.key else None

    def link(self, value: scalars.Scalar) -> str | None:
        """Scheme, host and path of a link; None where it is none that can be published."""
        link = scalars.text(value)
        return bare_link(link) if link and self.links else None


@functools.lru_cache(maxsize=4096)
def _pseudonym(name: str, key: bytes) -> str:
    return "p-" + hmac.new(key, name.encode("utf-8", "surrogatepass"), hashlib.sha256).hexdigest()[:16]


def bare_link(link: str) -> str | None:
    """Scheme, host and path of a link, or bucket and path; no query, fragment, user or password.

    None where it is no such link, or where what is left could still hold an address, a login or a signature.
    """
    found = _LINK.fullmatch(link.strip()) if len(link) <= LONGEST else None
    if found is None or not found["path"]:
        return None
    bare = (found["scheme"] or "") + found["host"] + found["path"]
    plain = unquote(bare)
    doubtful = "@" in plain or any(name in plain.lower() for name in _SIGNATURES)
    return None if doubtful or redact(bare) != bare or redact(plain) != plain else bare


def redact(text: str) -> str:
    """`text` without personal or secret data and without control or bidi characters, at most 10,000 characters."""
    if not (text.isascii() and text.isprintable()):
        text = _printable(text[:_READ])
    if _SUSPECT.search(text):
        text = _without_secrets(text[:_READ])
    return text[:LONGEST]


def _printable(text: str) -> str:
    """The text with white space as single blanks per character, and without characters that are not seen."""
    spaced = (" " if character in "\t\n\r\u2028\u2029" else character for character in text)
    return "".join(c for c in spaced if c in _JOINERS or unicodedata.category(c) not in _DROPPED)


def _without_secrets(text: str) -> str:
    text = _WORD.sub(_without_query, text)
    text = _EMAIL.sub("[e-mail removed]", text)
    return _ACCESS_KEY.sub("[key removed]", text)


def _without_query(word: re.Match[str]) -> str:
    """A word; where it is a link, without what follows `?` or `#` and without user and password."""
    link = word.group()
    path, mark, query = link.partition("?")
    if "://" not in link:
        return path if mark and any(name in query.lower() for name in _SIGNATURES) else link
    scheme, *parts = path.partition("#")[0].split("://")
    return "://".join((scheme, *(_without_user(part) for part in parts)))


def _without_user(link: str) -> str:
    host, slash, path = link.partition("/")
    return host.rpartition("@")[2] + slash + path

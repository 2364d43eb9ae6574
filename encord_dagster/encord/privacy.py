"""What may leave the reader: no e-mail address, signed link, access key or character that fakes another text."""

import re
import unicodedata

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
_JOINERS = "\u200c\u200d"  # format characters that Persian, Indic scripts and emoji cannot be written without


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

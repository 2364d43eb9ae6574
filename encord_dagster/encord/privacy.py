"""What may leave the reader: no e-mail address, signed link, access key or character that fakes another text."""

import re
import unicodedata

LONGEST = 10_000  # characters of one text
_EMAIL = re.compile(r"[\w.!#$%&'*+/=?^`{|}~-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63}){1,8}")
_QUERY = re.compile(r"(\b[a-zA-Z][a-zA-Z0-9+.-]{0,20}://[^\s?#]*)[?#]\S*")
_USERINFO = re.compile(r"(\b[a-zA-Z][a-zA-Z0-9+.-]{0,20}://)[^\s/?#]{1,512}@")
_SIGNED = re.compile(r"\?\S*(?:X-Amz-|X-Goog-|Signature=|AWSAccessKeyId=|GoogleAccessId=|[?&]sig=)\S*", re.IGNORECASE)
_ACCESS_KEY = re.compile(r"(?<![0-9A-Za-z])(?:AKIA|ASIA|AROA|AIDA|GOOG)[0-9A-Z]{12,60}(?![0-9A-Za-z])")
_SUSPECT = re.compile(r"@|://|\?|AKIA|ASIA|AROA|AIDA|GOOG")
_DROPPED = frozenset({"Cc", "Cf", "Cs", "Co", "Cn"})
_JOINERS = "\u200c\u200d"  # format characters that Persian, Indic scripts and emoji cannot be written without


def redact(text: str) -> str:
    """`text` without personal or secret data and without control or bidi characters, at most 10,000 characters."""
    if not (text.isascii() and text.isprintable()):
        text = _printable(text[: 4 * LONGEST])
    if _SUSPECT.search(text):
        text = _without_secrets(text[: 4 * LONGEST])
    return text[:LONGEST]


def _printable(text: str) -> str:
    """The text with white space as single blanks per character, and without characters that are not seen."""
    spaced = (" " if character in "\t\n\r\u2028\u2029" else character for character in text)
    return "".join(c for c in spaced if c in _JOINERS or unicodedata.category(c) not in _DROPPED)


def _without_secrets(text: str) -> str:
    text = _USERINFO.sub(r"\1", text)
    text = _QUERY.sub(r"\1", text)
    text = _SIGNED.sub("", text)
    text = _EMAIL.sub("[e-mail removed]", text)
    return _ACCESS_KEY.sub("[key removed]", text)

"""Stable numbers from stable names: the same image or object has the same id in every version.

COCO ids are 53 bits, since COCOeval keeps them in float64, and never 0, since it takes 0 for "no match".
"""

import hashlib
from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache

ID_BITS = 53


def digest(*parts: str) -> str:
    """sha256 hex of the parts; NUL separates them, so no two lists of parts give the same text."""
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()


@lru_cache(maxsize=1024)  # each floor asks for that of the row at hand
def row_identity(label_hash: str, branch_name: str) -> str:
    """The identity of a label row: it places the row in its bucket and orders rows."""
    return digest(label_hash, branch_name)


def row_identities(label_hashes: Iterable[str], branch_names: Iterable[str]) -> list[bytes]:
    """`row_identity` of many rows, as bytes."""
    sha256 = hashlib.sha256
    pairs = zip(label_hashes, branch_names, strict=True)
    return [sha256(f"{label_hash}\0{branch}".encode()).digest() for label_hash, branch in pairs]


def number(*parts: str) -> int:
    """A number from 1 to 2**53 - 1 out of an identity."""
    return int(digest(*parts)[:16], 16) >> (64 - ID_BITS) or 1


def numbering(*parts: str) -> Callable[[Sequence[str]], list[int]]:
    """`number` of these parts and one more, which may hold further ones; for several at once."""
    start, sha256, shift = "\0".join((*parts, "")), hashlib.sha256, 64 - ID_BITS

    def numbered(rests: Sequence[str]) -> list[int]:
        return [int.from_bytes(sha256((start + rest).encode()).digest()[:8], "big") >> shift or 1 for rest in rests]

    return numbered


def numbers(groups: Iterable[tuple[str, Iterable[str]]]) -> list[int]:
    """`number` of many identities, in order: groups of them that start alike, parts joined by NUL, and how each ends.

    What a group starts with is hashed once: a copy of that costs half of what hashing anew does.
    """
    import numpy as np

    digests: list[bytes] = []
    for start, rests in groups:
        copy = hashlib.sha256(start.encode()).copy
        for rest in rests:
            one = copy()
            one.update(rest.encode())
            digests.append(one.digest())
    found = (np.frombuffer(b"".join(digests), dtype=">u8")[::4] >> (64 - ID_BITS)).tolist()
    return found if all(found) else [one or 1 for one in found]


def image_id(data_hash: str, identity: str) -> int:
    """The COCO id of one image, frame or slice."""
    return number("image", data_hash, identity)


def image_key(data_hash: str, frame: int, space: str | None = None) -> str:
    """Names one image among the ids that were given because the plain one was taken; `space` of a data group."""
    return digest("image", data_hash, str(frame), *([] if space is None else [space]))


def annotation_key(label_hash: str, branch_name: str, object_hash: str, image: int) -> str:
    """Names one annotation among the ids that were given because the plain one was taken."""
    return digest("annotation", label_hash, branch_name, object_hash, str(image))


def track_id(label_hash: str, branch_name: str, object_hash: str) -> int:
    """One number for one object over the frames of its label row."""
    return number("track", label_hash, branch_name, object_hash)


def annotation_id(label_hash: str, branch_name: str, object_hash: str, image: int) -> int:
    """The COCO id of one object on one image."""
    return number("annotation", label_hash, branch_name, object_hash, str(image))

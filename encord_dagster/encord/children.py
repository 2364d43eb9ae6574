"""Lists and objects of an export, opened one level at a time, so that a bad child stops only itself."""

import msgspec

from encord_dagster.encord.scalars import Raw

_EITHER = msgspec.json.Decoder(list[Raw] | dict[str, Raw] | None)


def entries(raw: Raw) -> list[Raw]:
    """The children of a list, or the values of an object that stands for one; none for null."""
    children = _EITHER.decode(raw)
    if isinstance(children, dict):
        return _in_index_order(children)
    return children or []


def members(raw: Raw) -> dict[str, Raw]:
    """The children of an object by key; none for null and for the empty list that some writers use."""
    children = _EITHER.decode(raw)
    if isinstance(children, list):
        return {str(index): child for index, child in enumerate(children)}
    return children or {}


def _in_index_order(children: dict[str, Raw]) -> list[Raw]:
    if all(key.isascii() and key.isdigit() and len(key) < 10 for key in children):
        return [children[key] for key in sorted(children, key=int)]
    return list(children.values())

"""Keys are counted, and bytes known as UTF-8, a block at a time as all at once."""

import pytest

from encord_dagster.encord import plain_keys
from encord_dagster.encord.plain_keys import Odd, have_keys, have_keys_once, is_utf8, keys_of_part


@pytest.mark.parametrize("text", ["é", "\u20ac", "\U0001f600"])
def test_letters_on_the_edge_of_a_block(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """They are whole, whichever of their bytes comes first in the next block."""
    for block in range(4, 9):
        monkeypatch.setattr("encord_dagster.encord.plain_keys._BLOCK", block)
        for before in range(12):
            whole = (before * "a" + 5 * text + "b").encode()
            assert is_utf8(whole)
            assert not is_utf8(whole[:-2])
            assert not is_utf8(whole[:before] + b"\xff" + whole[before:])
            assert not is_utf8(whole + b"\xc3")


@pytest.mark.parametrize(
    ("text", "keys"),
    [
        (b"{}", 0),
        (b'{"a":1,"b":{"c":"x:"}}', 3),
        (b'{"a" :1,"b"  : 2}', 2),
        (b'{"a":"it is: said"}', 1),
    ],
)
def test_keys_are_counted_by_their_colons(text: bytes, keys: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Wherever a block ends; fewer are never enough."""
    for block in range(1, len(text) + 2):
        monkeypatch.setattr("encord_dagster.encord.plain_keys._BLOCK", block)
        plain_keys._room.cache_clear()
        assert have_keys(text, keys)
        assert not have_keys(text, keys - 1)
    monkeypatch.undo()
    plain_keys._room.cache_clear()


@pytest.mark.parametrize(
    "text", [b'{"a":"x :y"}', b'{"a":":y"}', b'{"a":"\\":"}', b'{"a"\n:1}', b'{"a":\t1}', b'{"a":1,"a":1}']
)
def test_what_may_hide_a_key_is_none_too_few(text: bytes) -> None:
    """A text that looks like a key, a line feed, a key that is there twice."""
    assert not have_keys(text, 1)


def test_keys_of_a_part() -> None:
    """Are counted where they are keys, whatever texts look like; one that is there twice is odd."""
    assert keys_of_part(b'{"a":[{"b":1},{"b":"\\":"}],"c":{}}') == 4
    with pytest.raises(Odd):
        keys_of_part(b'{"a":{"b":1,"b":2}}')


def _row(labels: str, more: str = "") -> bytes:
    return f'{{"data_units":{{"a":{{"labels":{labels}}}}}{more}}}'.encode()


@pytest.mark.parametrize(
    "row",
    [
        _row("{}"),
        _row('{ "objects" :\n[{"a":1},{"a":"a\\": 1"}]}', ',"b":{"a":"\\\\"}'),
        _row('{"0":{"objects":[]},"1":{"objects":[]}}', ',"\\u0062":1,"\u00e9":"\\u00e9"'),
        _row('{"objects":[],"x1":{}}'),
    ],
)
def test_keys_that_are_there_once(row: bytes) -> None:
    """However they are set, and whatever texts look like."""
    assert have_keys_once(row)
    assert have_keys_once(row + b",\n" + row)


@pytest.mark.parametrize(
    "row",
    [
        _row("{}", ',"b":1,"b":1'),
        _row("{}", ',"b":1, "\\u0062" :1'),
        _row("{}", ',"b":[{"a":{"":[],"":[]}}]'),
        _row('{"objects":[{"a":1,"b":2,"a":"\\u0022"}]}'),
        _row('{"objects":[],"12":{}}'),
        _row("{}", ',"b":NaN'),
        _row("{}", ',"b":' + 100_000 * "[" + 100_000 * "]"),
    ],
)
def test_keys_that_are_there_twice_or_may_be(row: bytes) -> None:
    """Also one that is written otherwise, and those of frames beside the labels of an image."""
    assert not have_keys_once(row)
    assert not have_keys_once(_row("{}") + b"," + row)

"""Whether bytes are UTF-8 is told a block at a time as it is of all at once."""

import pytest

from encord_dagster.encord.plain_keys import is_utf8


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

"""The test server itself: it comes quickly, and nothing of it stays."""

import socket
import tempfile
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.servers import ServerDidNotStart, ministack


def test_a_server_leaves_no_process_and_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """While it runs all its files lie in one temporary folder; afterwards folder and listener are gone."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))

    with ministack() as url:
        address = (urlsplit(url).hostname or "", urlsplit(url).port or 0)
        socket.create_connection(address, timeout=5).close()
        while_running = {path.name.split("-")[0] for path in tmp_path.iterdir()}

    assert while_running == {"ministack"}
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(address, timeout=5)


def test_a_missing_server_is_a_clear_failure(tmp_path: Path) -> None:
    """Tests that need the server fail with what to install; they are not skipped."""
    with pytest.raises(ServerDidNotStart, match="install the dev extra"), ministack(executable=tmp_path / "ministack"):
        pass


def test_a_server_that_stops_at_once_is_reported_with_its_last_words(tmp_path: Path) -> None:
    """The log of a server that cannot start is in the error."""
    broken = tmp_path / "ministack"
    broken.write_text("#!/bin/sh\necho no such option\nexit 1\n")
    broken.chmod(0o755)

    with pytest.raises(ServerDidNotStart, match="no such option"), ministack(executable=broken):
        pass

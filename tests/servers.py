"""Servers that tests run against: started on loopback, on a free port, and gone with the test session."""

import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

MINISTACK = Path(sys.executable).with_name("ministack")
START_SECONDS = 30.0
STOP_SECONDS = 5.0
TRIES = 3  # another process may take the free port before the server does


class ServerDidNotStart(Exception):
    """A test server is missing or stopped at once; the text says what to do."""


@contextmanager
def ministack(*, executable: Path = MINISTACK) -> Iterator[str]:
    """An S3 and SQS server in memory; yields its endpoint url. Any credentials, path-style addressing."""
    if not executable.exists():
        raise ServerDidNotStart(f"{executable} is missing: install the dev extra, pip install -e '.[dev]'")
    with tempfile.TemporaryDirectory(prefix="ministack-") as folder:
        process, url = _start(executable, folder=Path(folder))
        try:
            yield url
        finally:
            _stop(process)


def _start(executable: Path, *, folder: Path) -> tuple["subprocess.Popen[bytes]", str]:
    log = folder / "ministack.log"
    for _ in range(TRIES):
        port = free_port()
        with log.open("wb") as output:
            process = subprocess.Popen(
                [executable],
                env=_environment(folder, port=port),
                cwd=folder,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
            )
        url = f"http://127.0.0.1:{port}"
        if _is_healthy(process, f"{url}/_ministack/health"):
            return process, url
        _stop(process)
    raise ServerDidNotStart(f"{executable} did not start {TRIES} times; it said:\n{log.read_text()[-2000:]}")


def _environment(folder: Path, *, port: int) -> dict[str, str]:
    """Nothing outside `folder` or loopback: no data kept, no other listener, no reach for a docker daemon."""
    return {
        **os.environ,
        "BIND_HOST": "127.0.0.1",
        "GATEWAY_PORT": str(port),
        "SERVICES": "s3,sqs",
        "TMPDIR": str(folder),
        "S3_DATA_DIR": str(folder / "s3"),
        "STATE_DIR": str(folder / "state"),
        "S3_PERSIST": "0",
        "PERSIST_STATE": "0",
        "LOCALSTACK_PERSISTENCE": "0",
        "SFTP_ENABLED": "0",
        "IOT_MTLS_ENABLED": "0",
        "USE_SSL": "0",
        "DOCKER_HOST": f"unix://{folder}/no-docker.sock",
        "LOG_LEVEL": "WARNING",
    }


def _is_healthy(process: "subprocess.Popen[bytes]", url: str) -> bool:
    """Whether the server answers before it ends or its time is up."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        try:
            with opener.open(url, timeout=1):
                return process.poll() is None
        except OSError:
            time.sleep(0.05)
    return False


def _stop(process: "subprocess.Popen[bytes]") -> None:
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
    try:
        process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def free_port() -> int:
    """A port of loopback that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port

"""Ceph's S3 server, a second judge beside ministack: it checks signatures, and nothing of it was written for tests.

Debian: apt-get install --no-install-recommends radosgw ceph-mon ceph-osd ceph-common. A monitor, a memory-backed disk
and the gateway run on loopback in a folder of their own, and are gone with the test session.
"""

import os
import shutil
import signal
import subprocess
import tempfile
import time
import urllib.request
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from tests.servers import ServerDidNotStart, free_port

PROGRAMS = ("ceph", "ceph-mon", "ceph-osd", "ceph-authtool", "monmaptool", "radosgw", "radosgw-admin")
MISSING = "apt-get install --no-install-recommends radosgw ceph-mon ceph-osd ceph-common"
KEY, SECRET = "test", "test"  # as for any other server of the tests
START_SECONDS = 90.0

CONFIG = """[global]
fsid = {fsid}
mon initial members = a
mon host = [v2:127.0.0.1:{mon}]
mon data avail crit = 1
mon data avail warn = 1
mon allow pool size one = true
auth allow insecure global id reclaim = false
osd objectstore = memstore
memstore device bytes = 2147483648
osd pool default size = 1
osd pool default min size = 1
osd pool default pg num = 4
osd pool default pgp num = 4
osd pool default pg autoscale mode = off
osd crush chooseleaf type = 0
osd class load list = *
ms bind ipv6 = false
public addr = 127.0.0.1
cluster addr = 127.0.0.1
run dir = {folder}
admin socket = {folder}/$name.asok
log file = {folder}/$name.log
pid file = {folder}/$name.pid
keyring = {folder}/keyring
rgw frontends = beast endpoint=127.0.0.1:{port} tcp_nodelay=1
rgw data = {folder}/rgw
rgw dns name =
rgw enable usage log = false
rgw gc max objs = 1
rgw thread pool size = 32
[mon.a]
mon data = {folder}/mon
[osd.0]
osd data = {folder}/osd
keyring = {folder}/osd/keyring
"""


def installed() -> bool:
    """Whether all programs are there."""
    return all(shutil.which(program) for program in PROGRAMS)


@contextmanager
def running() -> Iterator[str]:
    """A gateway; yields its endpoint url. Credentials KEY and SECRET, path-style addressing."""
    with tempfile.TemporaryDirectory(prefix="radosgw-") as name:
        folder, port, mon = Path(name), free_port(), free_port()
        fsid = str(uuid.uuid4())
        config = folder / "ceph.conf"
        config.write_text(CONFIG.format(fsid=fsid, mon=mon, port=port, folder=folder))
        started: list[subprocess.Popen[bytes]] = []
        try:
            _start(folder, config, fsid, mon, started)
            url = f"http://127.0.0.1:{port}"
            _wait_for(url, started[-1], folder)
            yield url
        finally:
            for process in reversed(started):
                _stop(process)


def _start(folder: Path, config: Path, fsid: str, mon: int, started: list["subprocess.Popen[bytes]"]) -> None:
    for part in ("mon", "osd", "rgw"):
        (folder / part).mkdir()

    def run(*command: str) -> str:
        done = subprocess.run(
            [command[0], "-c", str(config), *command[1:]], capture_output=True, text=True, timeout=60, check=False
        )
        if done.returncode:
            raise ServerDidNotStart(f"{' '.join(command)} said:\n{done.stdout[-1000:]}{done.stderr[-2000:]}")
        return done.stdout

    def daemon(*command: str) -> None:
        log = (folder / f"{command[0]}.out").open("wb")
        started.append(
            subprocess.Popen(
                [command[0], "-c", str(config), "-f", *command[1:]],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=folder,
            )
        )
        log.close()

    run("ceph-authtool", "--create-keyring", f"{folder}/keyring", "--gen-key", "-n", "mon.", "--cap", "mon", "allow *")
    run("ceph-authtool", f"{folder}/keyring", "--gen-key", "-n", "client.admin", *_caps("mon", "osd", "mgr"))
    monmap = f"{folder}/monmap"
    run("monmaptool", "--create", "--addv", "a", f"[v2:127.0.0.1:{mon}]", "--fsid", fsid, monmap)
    run("ceph-mon", "--mkfs", "-i", "a", "--monmap", monmap, "--keyring", f"{folder}/keyring")
    daemon("ceph-mon", "-i", "a")
    disk = str(uuid.uuid4())
    run("ceph", "osd", "new", disk)
    run(
        "ceph",
        "auth",
        "get-or-create",
        "osd.0",
        "mon",
        "allow profile osd",
        "osd",
        "allow *",
        "-o",
        f"{folder}/osd/keyring",
    )
    run("ceph-osd", "-i", "0", "--mkfs", "--osd-uuid", disk)  # another uuid leaves it down for ever
    daemon("ceph-osd", "-i", "0")
    shutil.copy(folder / "keyring", folder / "rgw" / "keyring")  # where the gateway looks for it
    daemon("radosgw", "-n", "client.admin")
    created = ("user", "create", "--uid", "tests", "--display-name", "tests", "--access-key", KEY, "--secret", SECRET)
    run("radosgw-admin", *created)


def _caps(*kinds: str) -> Sequence[str]:
    return [word for kind in kinds for word in ("--cap", kind, "allow *")]


def _wait_for(url: str, process: "subprocess.Popen[bytes]", folder: Path) -> None:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        try:
            with opener.open(url, timeout=2):
                return
        except OSError:
            time.sleep(0.1)
    logs = "\n".join(path.read_text(errors="replace")[-1000:] for path in sorted(folder.glob("*.out")))
    raise ServerDidNotStart(f"radosgw did not answer within {START_SECONDS:.0f} s; its processes said:\n{logs}")


def _stop(process: "subprocess.Popen[bytes]") -> None:
    if process.poll() is None:
        os.kill(process.pid, signal.SIGKILL)  # all of it is in memory
    process.wait()

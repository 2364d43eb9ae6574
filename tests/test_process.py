"""A process of the command line ends at once, with all that it has to say."""

import json
import subprocess
import sys
from pathlib import Path

from tests import factories as make
from tests.stream_exports import compact


def run(program: str) -> "subprocess.CompletedProcess[str]":
    """Run a program of Python."""
    return subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)


def test_what_is_said_last_is_printed() -> None:
    """Also what stands in buffers; the code is the one that was given."""
    done = run(
        "import sys; from encord_dagster import process\n"
        "process.begin(); sys.stdout.write('all of it'); sys.stderr.write('and more'); process.end(3)"
    )
    assert (done.returncode, done.stdout, done.stderr) == (3, "all of it", "and more")


def test_nobody_reads_to_the_end() -> None:
    """Which is no error."""
    program = "import sys; from encord_dagster import process; sys.stdout.write('x'); process.end(0)"
    command = [sys.executable, "-E", "-c", program]  # buffered, whatever the environment says
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as running:
        assert running.stdout and running.stderr
        running.stdout.close()
        assert running.stderr.read() == b""
    assert running.returncode == 0


def test_a_setting_of_the_user_stays() -> None:
    """How many threads numpy takes."""
    done = run(
        "import os; os.environ['OPENBLAS_NUM_THREADS'] = '2'; from encord_dagster import process\n"
        "process.begin(); print(os.environ['OPENBLAS_NUM_THREADS'])"
    )
    assert done.stdout == "2\n"


def test_convert_is_such_a_process(tmp_path: Path) -> None:
    """From the command line to the files."""
    (tmp_path / "export.json").write_bytes(compact([make.image_row(make.box())]))
    command = [sys.executable, "-m", "encord_dagster.cli", "convert", str(tmp_path / "export.json")]
    command += ["-o", str(tmp_path / "out"), "--formats", "coco", "--json", "-q"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0
    assert {Path(path).name for path in json.loads(done.stdout)["files"]} == {"loss_report.json", "instances.json"}
    assert len(json.loads((tmp_path / "out" / "annotations" / "instances.json").read_text())["annotations"]) == 1

"""Figures that are no run of a whole export: each kind is measured in a module of its own, in a fresh process."""

import subprocess
import sys
from collections.abc import Sequence

import msgspec

MODULES = ("pictures", "starting", "stores", "orchestrating", "daemon")


class Figure(msgspec.Struct, frozen=True):
    """One number that a module of the benchmarks measured."""

    name: str
    value: float
    unit: str
    note: str = ""


def show(figures: Sequence[Figure]) -> None:
    """Print figures for `measured_in`."""
    sys.stdout.buffer.write(msgspec.json.encode(list(figures)) + b"\n")


def measured_in(module: str) -> list[Figure]:
    """The figures of a module. CalledProcessError where it fails; what it has to say is on standard error."""
    command = (sys.executable, "-m", f"benchmarks.{module}")
    told = subprocess.run(command, stdout=subprocess.PIPE, check=True)
    return msgspec.json.decode(told.stdout.splitlines()[-1], type=list[Figure])

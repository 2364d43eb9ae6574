"""The ffmpeg command that takes frames out of a video under the names that a checkout has for them.

Encord counts the frames of a video from 0 in the order in which they are shown, as ffmpeg's `n` does. Time is made to
be the frame's number (`settb=1,setpts=N`), then frames are chosen, and each file is numbered by its time
(`-frame_pts`): so nothing depends on the frame rate, or on how many frames there are.
"""

import re
import shlex
from collections.abc import Iterable, Sequence
from itertools import groupby
from pathlib import Path

import msgspec

ENDINGS = (".avi", ".m4v", ".mkv", ".mov", ".mp4", ".mpeg", ".mpg", ".webm")
AT_ONCE = 500  # stretches of frames that one command chooses: its expression is looked at for each frame
QUALITY = "2"  # of JPEG, from 2, the best, to 31

_NUMBER = re.compile(r"[0-9]+")


class Extraction(msgspec.Struct, frozen=True, kw_only=True):
    """Frames of one video to be extracted; `video` is None where it was not found: commands have VIDEO in its place."""

    data_hash: str
    space: str | None
    video: str | None
    frames: int
    commands: tuple[str, ...]  # for a shell of POSIX


def extraction(
    named: dict[int, str], *, data_hash: str, space: str | None, video: Path | None, into: Path
) -> Extraction:
    """The commands that write frames, given with their file names, into a folder."""
    pattern = pattern_of(named)
    commands: list[str] = []
    if pattern is not None:
        target = f"{str(into).replace('%', '%%')}/{pattern}"
        above = str((into / next(iter(named.values()))).parent)
        stretches = list(_stretches(sorted(named)))
        for first in range(0, len(stretches), AT_ONCE):
            chosen = "+".join(_chosen(*stretch) for stretch in stretches[first : first + AT_ONCE])
            arguments = command(str(video or "VIDEO"), chosen, target)
            commands.append(f"{shlex.join(['mkdir', '-p', above])} && {shlex.join(arguments)}")
    return Extraction(
        data_hash=data_hash,
        space=space,
        video=str(video) if video else None,
        frames=len(named),
        commands=tuple(commands),
    )


def command(video: str, chosen: str, target: str) -> list[str]:
    """The arguments: every chosen frame into a file of its number."""
    return [
        *("ffmpeg", "-v", "error", "-i", video),
        *("-vf", f"settb=1,setpts=N,select={chosen}"),
        *("-fps_mode", "passthrough", "-enc_time_base", "1:1", "-frame_pts", "1"),
        *("-q:v", QUALITY, target),
    ]


def pattern_of(named: dict[int, str]) -> str | None:
    """The names with their frame's number as %d, or padded as %06d; None where there is no such pattern."""
    first, name = next(iter(named.items()))
    for found in reversed(list(_NUMBER.finditer(name))):  # the number is rather behind the hash than in it
        if int(found[0]) != first:
            continue
        before, behind = name[: found.start()], name[found.end() :]
        for form in ("%d", f"%0{len(found[0])}d"):
            if all(before + form % number + behind == other for number, other in named.items()):
                return before.replace("%", "%%") + form + behind.replace("%", "%%")
    return None


def _stretches(numbers: Sequence[int]) -> Iterable[tuple[int, int]]:
    """First and last of the numbers that follow each other."""
    for _, some in groupby(enumerate(numbers), key=lambda pair: pair[1] - pair[0]):
        members = [number for _, number in some]
        yield members[0], members[-1]


def _chosen(first: int, last: int) -> str:
    return rf"eq(n\,{first})" if first == last else rf"between(n\,{first}\,{last})"

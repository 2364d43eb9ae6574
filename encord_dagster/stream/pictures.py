"""Mask pictures as files: thousands of small ones, for which paths and folders must cost next to nothing."""

import os
from pathlib import Path, PurePosixPath

from encord_dagster.stream.cut import Unusual


class Pictures:
    """The folder of all pictures."""

    def __init__(self, folder: str) -> None:
        self._folder = folder
        self._made: set[str] = set()  # folders

    def write(self, name: str, data: bytes) -> None:
        """Write a picture. Unusual where there is one of that name."""
        path = f"{self._folder}/{name}"
        above = path.rpartition("/")[0]
        if above not in self._made:
            Path(above).mkdir(parents=True, exist_ok=True)
            self._made.add(above)
        try:
            file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), 0o666)
        except FileExistsError as error:
            raise Unusual("two label rows describe one image") from error
        try:
            left = memoryview(data)
            while left:
                left = left[os.write(file, left) :]
        finally:
            os.close(file)


def picture_name(image: str) -> str:
    """The name of the pictures of an image, below the folder of their kind."""
    return str(PurePosixPath(image).with_suffix(".png"))

"""Mask pictures as files."""

from pathlib import Path, PurePosixPath

from encord_dagster.label_set.staging import NewFiles
from encord_dagster.stream.cut import Unusual


class Pictures:
    """The folder of all pictures."""

    def __init__(self, folder: str) -> None:
        self._files = NewFiles(Path(folder))

    def write(self, name: str, data: bytes) -> None:
        """Write a picture. Unusual where there is one of that name."""
        try:
            self._files.write(name, data)
        except FileExistsError as error:
            raise Unusual("two label rows describe one image") from error


def picture_name(image: str) -> str:
    """The name of the pictures of an image, below the folder of their kind."""
    return str(PurePosixPath(image).with_suffix(".png"))

"""What every format that is written at checkout gets and gives: images in, files out, some at a time."""

import tempfile
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Protocol

import msgspec

from encord_dagster.formats import coco
from encord_dagster.formats.fragment import Category
from encord_dagster.formats.labelled import Labelled
from encord_dagster.formats.selection import Selection

File = tuple[str, bytes | Iterator[bytes]]  # path in the checkout, and what it holds, once and in one order
IN_MEMORY = 4 * 2**20  # bytes of a list that grows, beyond which it waits on the disk
_STEP = 2**20  # bytes read at a time


class Given(msgspec.Struct, frozen=True, kw_only=True):
    """What a user hands in beside a label set, since no version holds it."""

    dicom_headers: Path | None = None  # a folder of DICOM files, with pixels or without, which say where slices lie
    ontology: str = ""  # the document, which says what could have been ticked
    kept: Mapping[str, str] = {}  # group -> split, of an earlier checkout


class Held:
    """What is written later: in memory, and on the disk where it is much. `between` separates what is added."""

    def __init__(self, between: bytes) -> None:
        self._file = tempfile.SpooledTemporaryFile(max_size=IN_MEMORY)  # noqa: SIM115 - `Chosen` closes it
        self._between = between
        self.close = self._file.close

    def add(self, data: bytes | memoryview) -> None:
        """Add something behind what is there."""
        if data:
            if self._file.tell():
                self._file.write(self._between)
            self._file.write(data)

    def add_pieces(self, pieces: Iterator[bytes]) -> None:
        """Add what another one held."""
        self.add(next(pieces, b""))
        for piece in pieces:
            self._file.write(piece)

    def pieces(self) -> Iterator[bytes]:
        """All that was added."""
        self._file.seek(0)
        return iter(lambda: self._file.read(_STEP), b"")

    def lines(self) -> Iterator[bytes]:
        """The same line by line."""
        self._file.seek(0)
        return iter(self._file.readline, b"")


class Chosen(msgspec.Struct, frozen=True, kw_only=True):
    """What a format is to write, and where it counts what it cannot hold, by the names of `format_losses`."""

    categories: tuple[Category, ...]  # by id
    selection: Selection
    lost: Counter[str]
    stack: ExitStack  # closes what is held
    given: Given = Given()
    held: list[Held] = msgspec.field(default_factory=list)  # in the order in which the formats asked for it

    def hold(self, between: bytes = b"") -> Held:
        """A place for what grows from image to image. Nothing else may: images can be shared out among processes."""
        made = Held(between)
        self.stack.callback(made.close)
        self.held.append(made)
        return made

    def places(self) -> dict[int, int]:
        """The place of each category among all, from 0."""
        return {one.id: place for place, one in enumerate(self.categories)}

    def names(self, path: str) -> dict[str, str]:
        """The file of each split, or the one that all share under the split ""."""
        if not self.selection.coco_per_split:
            return {"": path}
        stem, dot, kind = path.rpartition(".")
        return {split: f"{stem}_{split}{dot}{kind}" for split in self.selection.splits}


class Format(Protocol):
    """Writes one format. Images come with all annotations on them; those of one label row come together."""

    def write(self, images: Sequence[Labelled]) -> Iterator[File]:
        """Take some images, and give the files that are finished with them."""
        ...

    def end(self) -> Iterator[File]:
        """The files that needed all images."""
        ...


class Growing:
    """Long lists of one JSON document that grow side by side, such as images and annotations."""

    def __init__(self, chosen: Chosen, *names: str) -> None:
        self._lists = {name: chosen.hold(coco.BETWEEN) for name in names}

    def add(self, name: str, records: Sequence[object]) -> None:
        """Add records to a list, as one line."""
        self._lists[name].add(memoryview(msgspec.json.encode(records))[1:-1])

    def document(
        self, head: dict[str, object], pieces: Mapping[str, Callable[[Held], Iterator[bytes]]] | None = None
    ) -> Iterator[bytes]:
        """The document: what `head` has, then the lists, some of them out of pieces of their own."""
        before = msgspec.json.encode(head)[:-1] + (b"," if head else b"")
        for name, held in self._lists.items():
            yield before + b'"' + name.encode("ascii") + b'":['
            yield from (pieces or {}).get(name, Held.pieces)(held)
            before = b"],\n"
        yield b"]}\n"


class GrowingText:
    """A text file that grows line by line."""

    def __init__(self, chosen: Chosen) -> None:
        self._held = chosen.hold()
        self.pieces, self.lines = self._held.pieces, self._held.lines

    def add(self, lines: Iterable[str]) -> None:
        """Add lines, without their ends."""
        self._held.add("".join(f"{line}\n" for line in lines).encode())


class CocoFiles:
    """COCO files of images and annotations: one, or one for each split."""

    def __init__(self, path: str, chosen: Chosen, categories: Sequence[object]) -> None:
        self._names = chosen.names(path)
        self._files = {split: Growing(chosen, "images", "annotations") for split in self._names}
        self._head = coco.ABOUT | {"categories": list(categories)}

    def add(self, one: Labelled, image: object, annotations: Sequence[object]) -> None:
        """Add an image with its records to the file of its split."""
        file = self._files["" if "" in self._files else one.split]
        file.add("images", [image])
        file.add("annotations", annotations)

    def end(self) -> Iterator[File]:
        """The files, finished."""
        for split, file in self._files.items():
            yield self._names[split], file.document(self._head)

"""The classifications of plain rows, read by the tolerant reader: those of frames, of ranges and of the whole."""

from collections.abc import Sequence
from itertools import chain

from encord_dagster.encord import plain
from encord_dagster.encord.classifications import ClassificationAnswers
from encord_dagster.encord.contents import MOST_MADE, MOST_RANGED, united
from encord_dagster.encord.instances import Place
from encord_dagster.encord.model import Classification
from encord_dagster.encord.notes import Notes
from encord_dagster.encord.plain_frames import Sheet, empty_sheet
from encord_dagster.encord.plain_heads import PlainUnit
from encord_dagster.encord.plain_keys import Odd, keys_of_part
from encord_dagster.encord.scalars import Raw

Given = tuple[Classification, ...]


class Classified:
    """The classifications of one row; `keys` grows to the number of keys in all that was read. Odd with a finding."""

    def __init__(self, raw: Raw, notes: Notes) -> None:
        self.keys, self._notes = 0, notes
        self._answers: ClassificationAnswers | None = None
        if (text := bytes(raw)) != b"{}":
            self.keys += keys_of_part(text)
            self._answers = ClassificationAnswers(raw, notes)

    def on_frames(
        self, sheets: Sequence[Sheet], units: Sequence[PlainUnit], *, open_ended: bool
    ) -> list[tuple[Sheet, Given]]:
        """Each frame with its classifications. Ranges can add frames to those of a video or series: it is `open_ended`.

        As `contents.read_contents` places them; a row of which more is to be said, or with more frames, is Odd.
        """
        listed = [self._on_frame(labels, place) for labels, _, place, _ in sheets]
        if self._answers is None:
            return list(zip(sheets, listed, strict=True))
        last = units[0].last_frame if open_ended else units[-1].number
        named = {place.frame for _, _, place, _ in sheets}
        ranged = self._ranged(named, last, open_ended=open_ended)
        found = [
            (sheet, united(own, ranged.get(sheet[2].frame, ()))) for sheet, own in zip(sheets, listed, strict=True)
        ]
        if more := ranged.keys() - named:
            if len(units) > 1:
                raise Odd
            found += [(empty_sheet(units[0], number), united((), ranged[number])) for number in more]
            found.sort(key=lambda one: one[0][2].frame)
        return found

    def of_the_whole(self) -> Given:
        """The classifications of the whole asset. Ask after all frames."""
        if self._answers is None:
            return ()
        findings = len(self._notes.findings)
        whole = self._answers.of_the_whole(on_frames=True)
        if len(self._notes.findings) > findings:
            raise Odd
        return whole

    def _on_frame(self, labels: plain.Frame, place: Place) -> Given:
        if not labels.classifications:
            return ()
        self.keys += sum(keys_of_part(bytes(one)) for one in labels.classifications)
        if self._answers is None:
            raise Odd
        return self._answers.on_frame(labels.classifications, place)

    def _ranged(self, named: set[int], last: int | None, *, open_ended: bool) -> dict[int, list[Classification]]:
        """The classifications that ranges place on frames, by frame number."""
        given = self._answers.ranged() if self._answers else []
        spans = list(chain.from_iterable(((one, *span) for span in ranges) for one, ranges in given))
        if self._notes.findings or sum(stop - first + 1 for _, first, stop in spans) > MOST_RANGED:
            raise Odd
        if last is not None and any(stop > last for _, _, stop in spans):
            raise Odd
        found: dict[int, list[Classification]] = {}
        for one, first, stop in spans:
            for number in range(first, stop + 1):
                if open_ended or number in named:
                    found.setdefault(number, []).append(one)
        if len(found.keys() - named) > MOST_MADE:
            raise Odd
        return found

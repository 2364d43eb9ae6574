"""Counts of what was compared, and the deviations of the SDK that are known and so are no disagreement."""

from collections import Counter
from typing import Any

KNOWN = {
    "clipped": "we clip what lies up to 5 % outside the frame; the SDK keeps it",
    "deleted_kept": "the SDK keeps objects with isDeleted: true; we exclude and count them",
    "confidence_as_text": "the SDK hands on a confidence that is text; we make it a number",
    "mask_offsets": "the SDK ignores top and left of a bitmask smaller than its frame; we paste it there",
    "radio_overlap": "two answers of one radio at a frame: the SDK takes the last, we keep both without an ontology",
    "ticks_lost": "the SDK loses ticks of a dynamic checklist where the range of another tick ends",
    "ticks_apart": "of a classification's ticks that are written apart the SDK keeps the last; an object's it unites",
    "no_answer": "the SDK leaves out a classification on a frame that has no answer; we keep it, with a finding",
    "frame_entries_not_read": "SDK 0.1.211 does not read classifications that only frames list",
    "no_place": "the SDK leaves out classifications of the whole asset in rows of frames",
    "shape_dropped": "the exporter drops circles and ellipses silently",
    "manual_missing": "the exporter raises where manualAnnotation is absent",
    "answers_missing": "the exporter raises where an object has no entry in object_answers",
    "key_gaps": "the exporter raises on gaps between the indices of points",
    "rotation_dropped": "the exporter writes the box of a turned box as if it were not turned",
    "polygon_key": "the exporter takes `polygon` although `polygons` says otherwise",
    "self_crossing": "the exporter's area of a ring that crosses itself adds signed loops up; ours counts its pixels",
    "filled_by_cv2": "the exporter fills several rings up to 1 px too far right and down",
    "iscrowd": "the exporter marks masks and polygons of several rings as crowd, which trainers drop",
    "id_zero": "the exporter counts ids from 0, which COCOeval reads as no match",
    "point_mask": "the exporter gives points a one-point ring and skeletons none; ours are empty masks that decode",
    "invisible_joint": "the exporter writes coordinates of invisible joints; COCO wants 0, 0, 0",
    "visibility_word": "the exporter calls a joint visible whose `visibility` is the word that the SDK itself writes",
    "num_keypoints": "the exporter counts joints that are not visible",
    "dynamic_by_image_id": "the exporter looks dynamic answers up by image id instead of frame",
    "answer_by_name": "the exporter matches ticks by name, and takes a radio's name from the answer",
    "nested_dropped": "the exporter drops answers to nested attributes",
    "exporter_frames": "exporters before 2026 make no image of frames that only a range of a classification names",
}
NOT_CONVERTED = "not converted"


class Judge:
    """Compares, counts and remembers."""

    def __init__(self) -> None:
        self.agreed: Counter[str] = Counter()
        self.known: Counter[tuple[str, str]] = Counter()  # kind and name in KNOWN
        self.unexplained: Counter[str] = Counter()
        self.examples: dict[str, list[str]] = {}
        self.counts: Counter[str] = Counter()

    def check(self, kind: str, where: object, ours: Any, theirs: Any, *, agree: bool, known: str | None = None) -> None:
        """One comparison; `known` names the deviation that explains it where they do not agree."""
        if agree:
            self.agreed[kind] += 1
        elif known is not None:
            assert known in KNOWN or known == NOT_CONVERTED, known
            self.known[kind, known] += 1
        else:
            self.unexplained[kind] += 1
            self.examples.setdefault(kind, []).append(
                f"{where}\n    ours   {_short(ours)}\n    theirs {_short(theirs)}"
            )

    def same(self, kind: str, where: object, ours: Any, theirs: Any, known: str | None = None) -> None:
        """A comparison of values that must be equal."""
        self.check(kind, where, ours, theirs, agree=ours == theirs, known=known)

    def seen(self, name: str) -> None:
        """A known deviation of the exporter that was met and is no comparison of values."""
        self.known["exporter", name] += 1

    def report(self, examples: int = 3) -> str:
        """The tables."""
        kinds = sorted({*self.agreed, *self.unexplained, *(kind for kind, _ in self.known)})
        lines = [f"{name:58} {count:>9,}" for name, count in sorted(self.counts.items())]
        lines += ["", f"{'compared':40} {'agree':>9} {'known':>9} {'unexplained':>12}"]
        for kind in kinds:
            known = sum(count for (of, _), count in self.known.items() if of == kind)
            lines.append(f"{kind:40} {self.agreed[kind]:>9,} {known:>9,} {self.unexplained[kind]:>12,}")
        names: Counter[str] = Counter()
        for (_, name), count in self.known.items():
            names[name] += count
        lines += ["", "known deviations"]
        lines += [f"{names[name]:>9,}  {name}: {text}" for name, text in KNOWN.items() if names[name]]
        lines += [f"{names[NOT_CONVERTED]:>9,}  objects of shapes that we do not convert yet"] * (
            NOT_CONVERTED in names
        )
        for kind, found in sorted(self.examples.items()):
            lines += ["", f"unexplained: {kind}", *(f"  {one}" for one in found[:examples])]
        return "\n".join(lines)


def _short(value: Any) -> str:
    text = str(value)
    return text if len(text) <= 400 else text[:400] + "..."

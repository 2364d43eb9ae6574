"""A new version beside the one before it: classes that vanished, annotations that are gone, shares that moved."""

from collections import Counter
from collections.abc import Iterator

from encord_dagster.config import Thresholds
from encord_dagster.encord.notes import quote
from encord_dagster.findings import Finding, Location
from encord_dagster.label_set.manifest import Root
from encord_dagster.validation import finding

TOLD = 50  # classes that have a finding of their own under one rule: every later record repeats them

_DIGITS = 9  # of shares: 0.75 - 0.6 is not more than 0.15
_Counts = Counter[str]  # objects by feature hash


def compare(old: Root | None, new: Root, thresholds: Thresholds) -> tuple[Finding, ...]:
    """What is suspicious about a version beside the one before it; nothing about a first one."""
    if old is None:
        return ()
    before, after = _objects(old), _objects(new)
    names = {category.feature_hash: category.name for root in (old, new) for category in root.categories}
    gone = {key for key, count in before.items() if not after[key] and count >= thresholds.class_vanished}
    vanished = (_vanished(names[key], key, before[key]) for key in sorted(gone, key=lambda key: (-before[key], key)))
    return (
        *_first("class_vanished", list(vanished)),
        *_dropped(before, after, thresholds),
        *_first("class_share_shifted", list(_shifted(before, after, names, thresholds))),
    )


def _objects(root: Root) -> _Counts:
    counts: _Counts = Counter()
    for count in root.classes:
        counts[count.feature_hash] += count.objects
    return counts


def _vanished(name: str, key: str, count: int) -> str:
    objects = "1 object" if count == 1 else f"{count:,} objects"
    return (
        f"class {quote(name)} ({key}) had {objects} in the version before and has none now; check whether the "
        "exports leave it out, and export again with it: the version before still holds them"
    )


def _dropped(before: _Counts, after: _Counts, thresholds: Thresholds) -> Iterator[Finding]:
    lost = before.total() - after.total()
    if lost > 0 and round(lost / before.total(), _DIGITS) > thresholds.annotations_dropped:
        text = (
            f"{lost:,} of {before.total():,} annotations of the version before are gone ({lost / before.total():.0%}); "
            "check whether the exports leave rows, classes or statuses out: the version before still holds them"
        )
        yield finding("annotations_dropped", Location(), text)


def _shifted(before: _Counts, after: _Counts, names: dict[str, str], thresholds: Thresholds) -> Iterator[str]:
    """What moved furthest comes first. A class that is gone or all of a version have findings of their own."""
    if before.total() < thresholds.class_share_needs or not after.total():
        return
    shares = {key: (before[key] / before.total(), after[key] / after.total()) for key in names if after[key]}
    for key, (was, now) in sorted(shares.items(), key=lambda item: (-abs(item[1][1] - item[1][0]), item[0])):
        if round(abs(now - was), _DIGITS) > thresholds.class_share_shifted:
            yield (
                f"class {quote(names[key])} ({key}) was {was:.0%} of all annotations in the version before and is "
                f"{now:.0%} now; check what was labelled since, and whether training should weigh classes anew"
            )


def _first(rule: str, texts: list[str]) -> Iterator[Finding]:
    """A finding for each of the first texts, and one for all others together."""
    for text in texts[:TOLD]:
        yield finding(rule, Location(), text)
    if len(texts) > TOLD:
        more = f"the same holds of {len(texts) - TOLD:,} more classes; compare the class counts of the two versions"
        yield finding(rule, Location(), more)

"""Recompute everything a label set claims from the store alone."""

import re
from collections import Counter
from collections.abc import Iterator, Mapping

import msgspec

from encord_dagster import layout
from encord_dagster.errors import HistoryDamaged
from encord_dagster.formats.fragment import Category
from encord_dagster.label_set import condemned, manifest, objects, tree
from encord_dagster.label_set.categories import read_claim
from encord_dagster.label_set.chain import Chain, decoded, numbers
from encord_dagster.label_set.manifest import Bucket, BucketRef, LogRecord, Node, NodeRef, ObjectRef, Root, sha256
from encord_dagster.storage.protocol import ObjectStore

CLAIM = re.compile(r"([1-9]\d*)\.json")
NAMED_AFTER = re.compile(r"-([0-9a-f]{16})\.json(?:\.r\d)?")  # quarantine records end in part of their digest


class Report(msgspec.Struct, kw_only=True):
    """What was looked at, and what is wrong; an empty `problems` means that every digest held."""

    records: int = 0
    versions: int = 0
    dropped: int = 0  # versions that gc dropped, which is no damage
    objects: int = 0
    bytes: int = 0
    problems: list[str] = []
    damaged: list[ObjectRef] = []  # objects that are missing or altered


def verify(lake: ObjectStore, name: str, *, quick: bool = False) -> Report:
    """Read every record, manifest, shard, event and plain file of a label set and check its digest and counts.

    With `quick`, shards, events and plain files are held to their sizes as the store lists them, and not read.
    The newest record has no successor that vouches for it: of it only what its root and a checkpoint repeat is checked.
    """
    return _Verification(lake, name, quick=quick).run()


class _Verification:
    """One pass over a label set. Buckets are in memory one at a time; of the rest keys and counts are remembered."""

    def __init__(self, lake: ObjectStore, name: str, *, quick: bool) -> None:
        self.lake, self.name = lake, name
        self.report = Report(problems=[], damaged=[])
        self.sizes = self._listed_sizes() if quick else None
        self.sound: dict[str, bool] = {}  # objects that were looked at, by key
        self.totals: dict[str, Counter[str]] = {}  # of each bucket, by key: versions share buckets
        self.claims: dict[int, Category] = {}
        self.gone: set[str] = set()  # roots that gc condemned
        self.last = 0  # the newest record that was read

    def _listed_sizes(self) -> dict[str, int]:
        places = layout.contents(self.name), layout.exports(self.name)
        return {info.key: info.size for place in places for info in self.lake.list(place)}

    def run(self) -> Report:
        """Look at everything."""
        records = list(Chain(self.lake, self.name, self._problem).records())
        self.report.records = len(records)
        self._claims()
        self.last = max((record.seq for record in records), default=0)
        self.gone = self._dropped(records)
        for record in records:
            for entry in record.exports:
                self._holds(entry.events)
        for ref, content in self._named(records).items():
            if ref.key not in self.gone or self.lake.head(ref.key):
                self._version(ref, content)
        absent = {key for key in self.gone if self.lake.head(key) is None}
        self.report.versions = len({record.version for record in records if record.root})
        self.report.dropped = len({r.version for r in records if r.root and r.root.key in absent})
        self._quarantine()
        return self.report

    def _problem(self, text: str) -> None:
        self.report.problems.append(text)

    def _dropped(self, records: list[LogRecord]) -> set[str]:
        """Keys of the roots that gc records condemned, but for those that a later record names all the same."""
        roots, objects_too = set[str](), set[str]()
        for record in records:
            for ref in objects.named(record):
                if ref.key in objects_too:
                    self._problem(f"record {record.seq} names {ref.key}, which an earlier gc condemned")
                    roots.discard(ref.key)
            if record.op == "gc" and record.condemned:
                try:
                    listed = condemned.read(self.lake, record.condemned)
                except HistoryDamaged as error:
                    self._problem(str(error))
                else:
                    roots.update(listed.roots)
                    objects_too.update(listed.roots, listed.objects)
        return roots

    # what is append-only beside it

    def _claims(self) -> None:
        """The category claims: numbered without a gap, one for each class."""
        keys = [info.key for info in self.lake.list(layout.categories(self.name))]
        last = max(numbers(keys, CLAIM, self._problem), default=0)
        classes: dict[str, int] = {}
        for number in range(1, last + 1):
            try:
                claim = read_claim(self.lake, self.name, number)
            except HistoryDamaged as error:
                self._problem(str(error))
                continue
            self.claims[number] = claim
            first = classes.setdefault(claim.feature_hash, number)
            if first != number:
                self._problem(f"{layout.category(self.name, number)} is of a class that claim {first} is of")

    def _quarantine(self) -> None:
        for info in self.lake.list(layout.quarantine(self.name)):
            stated = NAMED_AFTER.search(info.key)
            data = b"" if self.sizes is not None else self.lake.get(info.key)
            if stated is None or (data and not sha256(data).startswith(stated[1])):
                self._problem(f"{info.key} does not hold the bytes it is named after")

    # versions

    def _named(self, records: list[LogRecord]) -> dict[ObjectRef, set[str]]:
        """What records name, roots above all, and the content digests that they state of a version's root."""
        found: dict[ObjectRef, set[str]] = {}
        for record in records:
            for ref in objects.named(record):
                found.setdefault(ref, set()).update({record.content_digest} if ref == record.root else ())
        return found

    def _version(self, ref: ObjectRef, content: set[str]) -> None:
        """One version. What gc drops meanwhile is no damage."""
        problems, damaged = len(self.report.problems), len(self.report.damaged)
        self._root(ref, content)
        if self.report.problems[problems:] and self._was_dropped(ref.key):
            del self.report.problems[problems:]
            for one in self.report.damaged[damaged:]:  # a version that was kept may name it
                del self.sound[one.key]
            del self.report.damaged[damaged:]

    def _was_dropped(self, key: str) -> bool:
        """Whether a root went while we looked: by a gc that the log had, or by one that came since."""
        if self.lake.head(key) is not None:
            return False
        try:
            return key in self.gone or (condemned.record_of(self.lake, key) or 0) > self.last
        except HistoryDamaged:  # a list that was named as damaged above
            return False

    def _root(self, ref: ObjectRef, content: set[str]) -> None:
        data = self._read(ref)
        root = objects.as_root(data) if data else None
        if data and content and not root:
            self._problem(f"{ref.key} is the root of a version, and cannot be read as one")
        if root is None:
            return
        for file in root.files.values():
            self._holds(file)
        self._children({**root.nodes, **root.buckets})
        self._categories(ref.key, root)
        if all(named.ref.key in self.totals for named in tree.upper(root).values()):
            self._counts(ref.key, root)
        if len({manifest.content_digest(tree.upper(root), root.config_digest), root.content_digest, *content}) > 1:
            self._problem(f"{ref.key}: its buckets do not give the content digest that it or a record states")

    def _counts(self, key: str, root: Root) -> None:
        held = sum((self.totals[named.ref.key] for named in tree.upper(root).values()), Counter())
        stated = Counter(rows=root.rows, tombstones=root.tombstones, images=root.images, annotations=root.annotations)
        stated.update({f"loss {code}": count for code, count in root.losses.items()}, coco_rows=root.coco_rows)
        if root.rules is None:  # older releases did not count them
            held = Counter({name: count for name, count in held.items() if not name.startswith("rule ")})
        stated.update({f"rule {name}": count for name, count in (root.rules or {}).items()})
        if held != stated:
            self._problem(f"{key}: it states {dict(stated)}, its buckets hold {dict(held)}")

    def _children(self, children: Mapping[str, BucketRef | NodeRef]) -> None:
        """What a root or node names; versions share most of it, and it is looked at once."""
        for prefix, named in children.items():
            if named.ref.key in self.sound:
                continue
            if isinstance(named, NodeRef):
                self._node(prefix, named)
            else:
                self._bucket(prefix, named)

    def _node(self, prefix: str, named: NodeRef) -> None:
        data = self._read(named.ref)
        node = decoded(named.ref.key, data, Node, self._problem) if data else None
        if node is None:
            return
        children: dict[str, BucketRef | NodeRef] = {**node.nodes, **node.buckets}
        if any(len(key) != len(prefix) + 1 or not key.startswith(prefix) for key in children):
            self._problem(f"{named.ref.key}: it names what does not lie below {prefix}")
        elif tree.summary(prefix, node.nodes or node.buckets, named.ref) != named:
            self._problem(f"{named.ref.key}: what it names does not give the sums that are stated of it")
        self._children(children)
        if all(child.ref.key in self.totals for child in children.values()):
            self.totals[named.ref.key] = sum((self.totals[child.ref.key] for child in children.values()), Counter())

    def _bucket(self, prefix: str, named: BucketRef) -> None:
        data = self._read(named.ref)
        bucket = decoded(named.ref.key, data, Bucket, self._problem) if data else None
        if bucket is None:
            return
        if manifest.tree_digest(bucket.rows, len(prefix)) != named.digest or len(bucket.rows) != named.rows:
            self._problem(f"{named.ref.key}: rows do not give the count and digest that a root states")
        self.totals[named.ref.key] = _counted(bucket)
        for problem in _unaccounted(bucket, prefix):
            self._problem(f"{named.ref.key}: {problem}")
        for shard in bucket.refs:
            self._holds(shard)

    def _categories(self, key: str, root: Root) -> None:
        """The categories of a version are as they were claimed, but for the name and what an ontology describes."""
        for category in root.categories:
            claim = self.claims.get(category.id)
            if claim:
                claim = msgspec.structs.replace(claim, name=category.name)
            if claim and category.feature_hash in root.defined:
                claim = msgspec.structs.replace(claim, color=category.color, skeleton=category.skeleton)
            if claim != category:
                claimed = layout.category(self.name, category.id)
                self._problem(f"{claimed} does not claim category {category.id} as {key} has it")

    # objects

    def _holds(self, ref: ObjectRef) -> None:
        """Check an object that nothing is taken from."""
        if self.sizes is None or ref.key in self.sound:
            self._read(ref)
            return
        size = self.sizes.get(ref.key)
        if size is None and (info := self.lake.head(ref.key)):  # written since the listing
            size = info.size
        self._saw(ref, None if size == ref.size else "is missing" if size is None else f"has {size} bytes")

    def _read(self, ref: ObjectRef) -> bytes | None:
        """The bytes of an object, None where they are not what they must be, or were looked at before."""
        if ref.key in self.sound:
            return None
        data = self.lake.get(ref.key)
        wrong = data is not None and (sha256(data) != ref.sha256 or len(data) != ref.size)
        self._saw(ref, "is missing" if data is None else "does not hold the bytes it is named after" if wrong else None)
        return data if self.sound[ref.key] else None

    def _saw(self, ref: ObjectRef, wrong: str | None) -> None:
        self.sound[ref.key] = wrong is None
        self.report.objects += 1
        self.report.bytes += ref.size
        if wrong:
            self.report.damaged.append(ref)
            self._problem(f"{ref.key} {wrong}; `repair` makes it anew, or restore it")


def _unaccounted(bucket: Bucket, prefix: str) -> Iterator[str]:
    for row in bucket.rows:
        accounted = row.annotations + row.objects_quarantined + sum(row.objects_excluded.values())
        if accounted != row.objects_in:
            yield f"row {row.label_hash} holds {row.objects_in} objects, {accounted} accounted for"
        if not row.row.startswith(prefix):
            yield f"row {row.label_hash} belongs into another bucket"


def _counted(bucket: Bucket) -> Counter[str]:
    counts: Counter[str] = Counter(rows=len(bucket.rows))
    for row in bucket.rows:
        counts.update(tombstones=row.fragment is None, images=row.images, annotations=row.annotations)
        counts.update({f"loss {code}": count for code, count in row.losses.items()}, coco_rows=row.source == "coco")
        counts.update({f"rule {name}": count for name, count in row.rules.items()})
    return counts

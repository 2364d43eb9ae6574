"""The buckets of a version, and the nodes between it and them where there are too many for a root to name.

Nodes fan out by one hex digit, so a changed row writes its bucket, a small node for each digit, and the root: however
many rows there are, a publish writes what changed and a few kilobytes above it.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import TypeVar

import msgspec

from encord_dagster.label_set import manifest, objects
from encord_dagster.label_set.manifest import FORMAT_VERSION, BucketRef, Children, Node, NodeRef, ObjectRef, Root
from encord_dagster.storage.protocol import ObjectStore

UPPER = 2  # hex digits that a root goes by: where buckets have more, it names nodes

Write = Callable[[bytes], ObjectRef]
Named = TypeVar("Named", BucketRef, NodeRef)
Ref = TypeVar("Ref")


class Tree:
    """The buckets that a root names, by itself or through nodes; a node is read when one asks for what is below it."""

    def __init__(self, lake: ObjectStore, root: Root) -> None:
        self.lake, self.root = lake, root
        self._nodes: dict[str, Node] = {}

    def bucket(self, row: str) -> BucketRef | None:
        """The bucket of a row identity, or of a prefix of it as long as those of the buckets."""
        prefix, nodes, buckets = row[: self.root.prefix_length], self.root.nodes, self.root.buckets
        for length in range(UPPER, self.root.prefix_length):
            if prefix[:length] not in nodes:
                return None
            node = self.node(prefix[:length], nodes[prefix[:length]])
            nodes, buckets = node.nodes, node.buckets
        return buckets.get(prefix)

    def buckets(self) -> Iterator[tuple[str, BucketRef]]:
        """All buckets by prefix, in order; nodes are read and forgotten one by one."""
        yield from self.root.buckets.items()
        yield from self._below(self.root.nodes)

    def below(self, prefix: str) -> Iterator[tuple[str, BucketRef]]:
        """The buckets whose prefix begins with this one, which is not longer than what a root goes by."""
        yield from ((key, ref) for key, ref in self.root.buckets.items() if key.startswith(prefix))
        yield from self._below({key: ref for key, ref in self.root.nodes.items() if key.startswith(prefix)})

    def _below(self, nodes: Mapping[str, NodeRef]) -> Iterator[tuple[str, BucketRef]]:
        for named in nodes.values():
            node = read_node(self.lake, named)
            yield from node.buckets.items()
            yield from self._below(node.nodes)

    def node(self, prefix: str, named: NodeRef) -> Node:
        """A node, which is then remembered."""
        if prefix not in self._nodes:
            self._nodes[prefix] = read_node(self.lake, named)
        return self._nodes[prefix]


def read_node(lake: ObjectStore, named: NodeRef) -> Node:
    """A node as the one above it names it."""
    return msgspec.json.decode(objects.read(lake, named.ref), type=Node)


def upper(root: Root) -> Children:
    """What a root names: its nodes, or its buckets where it has none."""
    return root.nodes or root.buckets


def count(root: Root) -> int:
    """How many buckets a version has."""
    return len(root.buckets) + sum(named.buckets for named in root.nodes.values())


class Names(msgspec.Struct, frozen=True):
    """What a root is to name."""

    buckets: dict[str, BucketRef]
    nodes: dict[str, NodeRef]


def grown(tree: Tree | None, changes: Mapping[str, BucketRef | None], *, length: int, write: Write) -> Names:
    """The names of a root whose buckets have prefixes of `length` digits: those of the tree, but for changes.

    A bucket that is changed to None is left out. Without a tree, or where its prefixes have another length, the
    changes are all there is. Nodes that change are written.
    """
    old = tree if tree and tree.root.prefix_length == length else None
    if length <= UPPER:
        return Names(_changed(old.root.buckets if old else {}, changes), {})
    nodes = {
        prefix: _node(old, prefix, old.root.nodes.get(prefix) if old else None, some, length=length, write=write)
        for prefix, some in by_prefix(changes, UPPER).items()
    }
    return Names({}, _changed(old.root.nodes if old else {}, nodes))


def _node(
    tree: Tree | None,
    prefix: str,
    named: NodeRef | None,
    changes: Mapping[str, BucketRef | None],
    *,
    length: int,
    write: Write,
) -> NodeRef | None:
    """A node with changes below it, None where nothing is left there."""
    old = tree.node(prefix, named) if tree and named else Node(format_version=FORMAT_VERSION)
    if len(prefix) + 1 == length:
        new = Node(format_version=FORMAT_VERSION, buckets=_changed(old.buckets, changes))
    else:
        nodes = {
            key: _node(tree, key, old.nodes.get(key), some, length=length, write=write)
            for key, some in by_prefix(changes, len(prefix) + 1).items()
        }
        new = Node(format_version=FORMAT_VERSION, nodes=_changed(old.nodes, nodes))
    children: Children = new.nodes or new.buckets
    return summary(prefix, children, write(manifest.encode(new))) if children else None


def summary(prefix: str, children: Children, ref: ObjectRef) -> NodeRef:
    """How a node with these children is named."""
    rows, digest = manifest.nodes(children, len(prefix))[prefix]
    return NodeRef(
        ref=ref,
        rows=rows,
        digest=digest,
        coco_size=sum(child.coco_size for child in children.values()),
        buckets=sum(child.buckets if isinstance(child, NodeRef) else 1 for child in children.values()),
    )


def _changed(held: Mapping[str, Named], changes: Mapping[str, Named | None]) -> dict[str, Named]:
    merged = {**held, **changes}
    return {key: ref for key in sorted(merged) if (ref := merged[key]) is not None}


def by_prefix(refs: Mapping[str, Ref], length: int) -> dict[str, dict[str, Ref]]:
    """The same by the first `length` digits of their prefixes."""
    found: dict[str, dict[str, Ref]] = {}
    for prefix, ref in refs.items():
        found.setdefault(prefix[:length], {})[prefix] = ref
    return found

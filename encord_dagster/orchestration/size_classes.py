"""Size classes: tags that a run gets by the bytes it is for, in the run launcher's words, as `dagster-k8s/config`."""

from collections.abc import Iterable, Mapping
from pathlib import Path

import msgspec

from encord_dagster.errors import UsageError


class SizeClass(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Tags of runs whose exports have at least so many bytes together, as they lie in the landing prefix."""

    from_bytes: int
    tags: dict[str, object]


def read_size_classes(path: Path | str | None) -> tuple[SizeClass, ...]:
    """The classes in a JSON file, none without one. UsageError for a file that is none."""
    if not path:
        return ()
    try:
        return msgspec.json.decode(Path(path).read_bytes(), type=tuple[SizeClass, ...])
    except OSError as error:
        raise UsageError(f"size classes {str(path)!r}: {error.strerror}; name a JSON file") from error
    except msgspec.DecodeError as error:  # ValidationError is one
        raise UsageError(
            f"size classes {str(path)!r}: {error}; write a list of {{from_bytes: number, tags: {{...}}}}"
        ) from error


def size_tags(classes: Iterable[SizeClass], size: int) -> Mapping[str, object]:
    """The tags of the largest class that so many bytes reach; none below the first."""
    reached = [item for item in classes if item.from_bytes <= size]
    return max(reached, key=lambda item: item.from_bytes).tags if reached else {}

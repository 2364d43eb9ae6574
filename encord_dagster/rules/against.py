"""What a rule's check is given, and what it gives back."""

from collections.abc import Callable, Iterator

import msgspec

from encord_dagster.encord.model import LabelRow
from encord_dagster.encord.ontology import Ontology
from encord_dagster.findings import Location

Found = tuple[Location, str]  # where it is; what is wrong, and what to do next


class Against(msgspec.Struct, frozen=True, kw_only=True):
    """What rows are held against: the ontology, where there is one, and thresholds."""

    ontology: Ontology | None = None
    min_area_pixels: float = 0


Check = Callable[[LabelRow, Against], Iterator[Found]]

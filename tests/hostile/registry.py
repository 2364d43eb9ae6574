"""All cases, and how many there must be of each letter."""

from tests.hostile import bytes_, found, geometry, json_, lineage, masks, names, schema, secrets
from tests.hostile.case import Case

COUNTS = {"B": 12, "J": 199, "S": 20, "G": 16, "M": 13, "N": 15, "P": 10, "L": 6}
TITLES = {
    "B": "bytes",
    "J": "JSON",
    "S": "schema",
    "G": "geometry",
    "M": "masks",
    "N": "names",
    "P": "secrets and persons",
    "L": "lineage",
}
CASES: tuple[Case, ...] = (
    *bytes_.CASES,
    *json_.CASES,
    *schema.CASES,
    *geometry.CASES,
    *masks.CASES,
    *names.CASES,
    *secrets.CASES,
    *lineage.CASES,
)
VALID: tuple[Case, ...] = json_.VALID  # valid JSON that is no export: counted apart
FOUND: tuple[Case, ...] = found.CASES  # not on the list: counted apart
BY_ID: dict[str, Case] = {case.id: case for case in (*CASES, *VALID, *FOUND)}

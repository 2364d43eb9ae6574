"""Data groups: images, videos and slices of their spaces become frames; ids of rows without spaces stay."""

from encord_dagster import identity


def test_ids_and_keys_of_rows_without_spaces_are_what_they_were() -> None:
    """Published label sets hold these numbers."""
    assert identity.image_id("data-0", "0") == 4806545213535346
    assert identity.image_key("data-0", 3) == "3e650e018ec72a894cf415a1edd21c1b91090fff557930e439ada718f4fa1752"
    assert identity.annotation_id("row", "main", "object01", 77) == 4427171499558481

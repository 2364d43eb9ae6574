"""The columns of the tables that people ask Dagster about. Written out, since definitions load without pyarrow."""

import dagster as dg

ANNOTATIONS = (
    ("row", "string", "identity of the label row"),
    ("label_hash", "string", "Encord's label row"),
    ("branch_name", "string", "its branch"),
    ("annotation_id", "int64", "id in COCO, the same in every version"),
    ("image_id", "int64", "id of the image in COCO, the same in every version"),
    ("category_id", "int32", "id of the class, never reused"),
    ("frame", "int64", "frame of the data unit, from 0"),
    ("object_hash", "string", "Encord's object"),
    ("feature_hash", "string", "Encord's class"),
    ("class_name", "string", "name of the class"),
    ("shape", "string", "shape, as ontologies call it"),
    ("x", "double", "left edge, in pixels"),
    ("y", "double", "upper edge, in pixels"),
    ("width", "double", "in pixels"),
    ("height", "double", "in pixels"),
    ("area", "double", "pixels of the segmentation; 0 for points and lines"),
    ("rotation", "double", "degrees, clockwise on screen"),
    ("track_id", "int64", "the same for one object on all frames"),
    ("confidence", "double", "0 to 1"),
    ("manual", "bool", "whether it was drawn by hand"),
    ("mask_value", "int32", "its value in the instance mask"),
    ("created_by", "string", "pseudonym; only where people are published"),
    ("last_edited_by", "string", "pseudonym; only where people are published"),
    ("created_at", "string", "only where times are published"),
    ("last_edited_at", "string", "only where times are published"),
)
ROW_EVENTS = (
    ("row", "string", "identity of the label row"),
    ("label_hash", "string", "Encord's label row"),
    ("branch_name", "string", "its branch"),
    ("status", "string", "accepted, quarantined or other_branch"),
    ("fingerprint", "string", "digest of its labels, without what every export changes"),
    ("export_hash", "string", "the export event of Encord that carried it"),
    ("exported_at", "string", "when that was"),
    ("last_edited_at", "string", "when its labels were edited last"),
    ("history", "list<struct<export_hash, exported_at, user>>", "its export history as that export told it"),
    ("offset", "int64", "where its bytes begin in the decompressed export"),
    ("length", "int64", "how many they are"),
    ("objects_in", "int64", "objects that it holds"),
    ("objects_quarantined", "int64", "of these, those that cannot be converted"),
    ("objects_excluded", "int64", "of these, those left out for a named reason"),
)
COLUMNS = {"label_rows": ROW_EVENTS, "tables": ANNOTATIONS}  # by asset


def schema(asset: str) -> dict[str, dg.TableSchema]:
    """Metadata of an asset's definition: its columns, which no materialization repeats."""
    if asset not in COLUMNS:
        return {}
    columns = [dg.TableColumn(name, kind, description=text) for name, kind, text in COLUMNS[asset]]
    return {"dagster/column_schema": dg.TableSchema(columns)}

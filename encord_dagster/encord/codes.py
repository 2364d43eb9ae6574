"""Every code the reader can put into a finding or an error; `validation.RULES` takes them from here."""

import msgspec

from encord_dagster.findings import Finding, Location, Severity


class Code(msgspec.Struct, frozen=True):
    """A stable code of the reader. Codes are append-only: dashboards match on them."""

    name: str
    severity: Severity
    description: str


# An export that cannot be used.
EMPTY_FILE = Code("empty_file", "error", "The export holds no bytes.")
NOT_JSON = Code("not_json", "error", "The export is not valid UTF-8 JSON.")
TRUNCATED_JSON = Code("truncated_json", "error", "The export ends in the middle of its JSON.")
HTML_NOT_JSON = Code("html_not_json", "error", "The export is a web page, most often an error or login page.")
COCO_NOT_LABELS = Code("coco_not_labels", "error", "The export is Encord's COCO export, which holds no label rows.")
COMPRESSED_FILE = Code("compressed_file", "error", "The export is compressed.")
TOO_LARGE = Code("too_large", "error", "The export is larger than this reader takes.")
NOT_LABEL_ROWS = Code("not_label_rows", "error", "The export is JSON, but not label rows.")
DAMAGED_ARCHIVE = Code("damaged_archive", "error", "The gzip or zip file is damaged or cut off.")
ARCHIVE_BOMB = Code("archive_bomb", "error", "The gzip or zip file unpacks to far more than labels do.")
TOO_MANY_ROWS = Code("too_many_rows", "error", "The export has more rows than this reader takes.")
DUPLICATE_KEY = Code("duplicate_key", "error", "An object of the row, or of the export itself, has one key twice.")

# A row that cannot be used.
ROW_UNREADABLE = Code("row_unreadable", "error", "A part of the row that everything hangs on has the wrong type.")
NO_IDENTITY = Code("no_identity", "error", "The row has neither a label hash nor a data hash.")
BAD_HASH = Code("bad_hash", "error", "A hash is missing, or holds characters that hashes do not have.")
NO_DATA_UNITS = Code("no_data_units", "error", "The row has no data units.")
UNIT_UNREADABLE = Code("unit_unreadable", "error", "A data unit, or its labels, cannot be read.")
BAD_SEQUENCE = Code("bad_sequence", "error", "A data_sequence is missing, no frame number, or used twice.")
BAD_FRAME_NUMBER = Code("bad_frame_number", "error", "A key of `labels` is no frame number, or is there twice.")
TOO_MANY_FRAMES = Code("too_many_frames", "error", "The row has more frames than this reader takes.")
TOO_DEEP = Code("too_deep", "error", "The row, or the export, is nested deeper than any label row is.")
ROW_TOO_LARGE = Code("row_too_large", "error", "The row has more bytes than this reader takes.")

# An object that cannot be converted.
OBJECT_UNREADABLE = Code("object_unreadable", "error", "An object entry has a field of the wrong type.")
NO_GEOMETRY = Code("no_geometry", "error", "An object has no geometry for its shape.")
BAD_GEOMETRY = Code("bad_geometry", "error", "A geometry is incomplete, or not made of numbers.")
EMPTY_BOX = Code("empty_box", "error", "A box has no width or no height, or a circle or ellipse no radius.")
TOO_FEW_POINTS = Code(
    "too_few_points", "error", "A polygon has fewer than 3 distinct points, or a polyline fewer than 2."
)
OUTSIDE_IMAGE = Code("outside_image", "error", "A coordinate lies far outside the image: a slipped decimal point?")
NO_FRAME_SIZE = Code("no_frame_size", "error", "The width or height of the image is not in the export.")
BAD_BITMASK = Code("bad_bitmask", "error", "A run-length code is damaged, or its size is not that of the image.")
TOO_LARGE_TO_MASK = Code("too_large_to_mask", "error", "An outline is too long, or its image too large, for a mask.")

# Something odd, normalised.
COORDINATE_CLIPPED = Code(
    "coordinate_clipped", "warning", "A coordinate lay slightly outside the image and was clipped."
)
MASK_PASTED = Code("mask_pasted", "warning", "A bitmask smaller than its image was pasted at its offsets.")
SHAPE_GUESSED = Code("shape_guessed", "warning", "The geometry is not of the stated shape; its own shape was taken.")
POLYGON_DIFFERS = Code(
    "polygon_differs", "warning", "`polygon` and `polygons` of an object differ; `polygons` was taken."
)
DUPLICATE_OBJECT = Code("duplicate_object", "warning", "One object hash is twice on a frame; the last one was kept.")
BAD_CONFIDENCE = Code("bad_confidence", "warning", "A confidence is no number between 0 and 1.")
BAD_ANSWER = Code("bad_answer", "warning", "An answer cannot be read and was left out.")
BAD_RANGE = Code("bad_range", "warning", "A range of frames cannot be read and was left out.")
OVERLAPPING_ANSWERS = Code("overlapping_answers", "warning", "Two answers of one attribute hold at one frame.")
BAD_CLASSIFICATION = Code("bad_classification", "warning", "A classification cannot be read and was left out.")
DUPLICATE_CLASSIFICATION = Code("duplicate_classification", "warning", "One classification is twice on a frame.")
NO_ANSWER = Code("no_answer", "warning", "A classification on a frame has no answers.")
ORPHAN_ANSWER = Code("orphan_answer", "warning", "Answers belong to no object or classification of the row.")
RANGE_OUTSIDE = Code("range_outside", "warning", "A range reaches beyond the frames of the data.")
NOT_PLACED = Code("not_placed", "info", "A classification lies on a part of an asset that is not converted.")
BAD_TIME = Code("bad_time", "warning", "A time is in none of the known formats and was left out.")
BAD_HISTORY = Code("bad_history", "warning", "An entry of export_history cannot be read and was left out.")
LABEL_HASH_MISSING = Code("label_hash_missing", "warning", "The row has no label hash; its data hash stands in.")
DATA_HASH_MISSING = Code("data_hash_missing", "warning", "The row has no data hash and several data units.")
DATA_HASH_DIFFERS = Code("data_hash_differs", "warning", "The key of a data unit is not its data hash.")
UNKNOWN_DATA_TYPE = Code("unknown_data_type", "warning", "The data type of the row is not known.")
UNKNOWN_STATUS = Code("unknown_status", "warning", "A status of the row is not known.")
ROW_INVALID = Code("row_invalid", "warning", "Encord marks the row as not valid.")
UNEXPECTED_FRAME = Code("unexpected_frame", "warning", "A single image has labels under another frame number.")
FRAME_BEYOND_VIDEO = Code("frame_beyond_video", "warning", "A frame lies beyond the video's duration.")
ODD_FRAME_RATE = Code("odd_frame_rate", "warning", "A video claims more than 1000 frames a second.")
BAD_FRAME_SIZE = Code("bad_frame_size", "warning", "A width or height is no positive whole number.")
BAD_SLICE = Code("bad_slice", "warning", "The metadata of a DICOM slice cannot be used; its frame number stands in.")
BAD_SERIES = Code("bad_series", "warning", "The study or series uid of a DICOM series is none.")
PERSONAL_DATA_REMOVED = Code("personal_data_removed", "info", "A text held personal or secret data, or was cut.")
LINK_LEFT_OUT = Code("link_left_out", "info", "A link was to be published, and could hold a login or personal data.")

# Encord's COCO export, where it says less than label rows do, or contradicts itself.
COCO_UNREADABLE = Code("coco_unreadable", "error", "Images, annotations or categories of a COCO export are no list.")
COCO_FOREIGN = Code("coco_foreign", "error", "No image of a COCO export is named as Encord names images.")
COCO_UNKNOWN_IMAGE = Code("coco_unknown_image", "error", "Images of a COCO export are not named as Encord names them.")
COCO_ORPHAN_ANNOTATION = Code("coco_orphan_annotation", "error", "Annotations of a COCO export lie on no image of it.")
COCO_UNKNOWN_CATEGORY = Code("coco_unknown_category", "error", "The category of an annotation is not certain.")
COCO_DUPLICATE_ID = Code("coco_duplicate_id", "error", "An id of a COCO export stands for two images or annotations.")
COCO_ROW = Code("coco_row", "info", "The row was read from COCO: it has no label hash and no export history.")
COCO_IMAGE_TWICE = Code("coco_image_twice", "warning", "A COCO export holds one image twice; the two were united.")
COCO_SLICE_NUMBERED = Code("coco_slice_numbered", "info", "COCO has no numbers of DICOM slices; they were counted.")
COCO_OBJECT_UNNAMED = Code("coco_object_unnamed", "warning", "An object has no hash; one was made from its content.")
COCO_CLASS_INFERRED = Code("coco_class_inferred", "warning", "A class has no feature hash; one was made from its name.")
COCO_CLASS_AMBIGUOUS = Code("coco_class_ambiguous", "warning", "The ontology has two classes of one name and shape.")
COCO_ANSWER_INFERRED = Code(
    "coco_answer_inferred", "info", "Answers are known by name alone; hashes were made for them."
)
COCO_DYNAMIC_ANSWER = Code(
    "coco_dynamic_answer", "warning", "A dynamic answer may be that of another frame, and was left out."
)

# What an ontology brings to light.
RELATION_KEPT_RAW = Code(
    "relation_kept_raw", "info", "A relation is kept as the text of its JSON: its form is unknown."
)
CLASS_RENAMED = Code("class_renamed", "info", "A class has another name in the ontology, which was taken.")
RADIO_ANSWER_TEXT = Code(
    "radio_answer_text", "warning", "A radio or checklist is answered by a text, which names one of its options."
)
RADIO_ANSWER_UNKNOWN = Code(
    "radio_answer_unknown", "warning", "A radio or checklist is answered by a text that names no option; it was kept."
)
SEVERAL_RADIO_OPTIONS = Code("several_radio_options", "warning", "A radio has more than one option; all were kept.")

CODES: tuple[Code, ...] = tuple(value for value in tuple(globals().values()) if isinstance(value, Code))


def finding(code: Code, location: Location, message: str) -> Finding:
    """A finding of the reader; `message` must hold no text of the export that was not redacted."""
    return Finding(rule=code.name, severity=code.severity, location=location, message=message)

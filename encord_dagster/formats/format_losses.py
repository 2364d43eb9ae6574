"""What formats that are written at checkout cannot hold of a version: they count it as they write, by these codes."""

LOSSES: dict[str, str] = {
    "coco_keypoints:no_joints": "Shapes without joints are left out; the COCO file holds them.",
    "coco_panoptic:no_area": (
        "Points, lines and skeletons have no pixels, nor have masks of another size than the image; "
        "the COCO file holds them."
    ),
    "coco_panoptic:covered": "Objects that others cover wholly are no segment; the COCO file holds them.",
    "coco_panoptic:frame_too_large": "Images of more than 2**28 pixels are left out; the COCO file has their objects.",
    "dicom_seg:geometry": (
        "Series whose headers are no even stack of parallel slices of one size are left out, and series.json says why; "
        "the COCO file has their objects."
    ),
    "dicom_seg:multiframe": (
        "Series in files of several frames are left out: how exports number those is not documented; "
        "the COCO file has their objects."
    ),
    "dicom_seg:no_area": (
        "Points, lines and skeletons have no voxels, nor have masks of another size than the slice; "
        "the COCO file holds them."
    ),
    "dicom_seg:no_header": (
        "Series of which a slice has no header in the folder are left out; the COCO file has their objects."
    ),
    "dicom_seg:no_series": "Objects on data other than DICOM series are left out; the COCO file holds them.",
    "dicom_seg:no_study": (
        "Series whose headers do not name their study or frame of reference are left out; "
        "the COCO file has their objects."
    ),
    "dicom_seg:object_above_65535": "Objects beyond the 65,535th of a series are left out; the COCO file holds them.",
    "dicom_seg:too_large": (
        "Series whose masks, of each object on each slice, take more than 4 GB are left out; "
        "the COCO file has their objects."
    ),
    "encord_coco:classifications": "Classifications of images are left out, as there; the COCO file holds them.",
    "encord_coco:confidence": "Confidences other than 1 are left out, as there; the COCO file holds them.",
    "encord_coco:not_ticked": (
        "Without the ontology, options that are not ticked are left out instead of false; "
        "the COCO file leaves them out too."
    ),
    "mot:frame_sizes": "Sequences whose frames differ in size have the size of the first; the COCO file has each.",
    "mot:no_box": "Points and lines have no box, and are left out; the COCO file holds them.",
    "mot:no_sequence": "Objects on single images have no track, and are left out; the COCO file holds them.",
    "mot:outline": "The box round a shape stands for it; the COCO file holds the shape.",
    "nifti:covered": "Objects of which others cover a part, on a slice; the COCO file holds the whole.",
    "nifti:geometry": (
        "Series whose headers are no even stack of parallel slices of one size are left out, and series.json says why; "
        "the COCO file has their objects."
    ),
    "nifti:multiframe": (
        "Series in files of several frames are left out: how exports number those is not documented; "
        "the COCO file has their objects."
    ),
    "nifti:no_area": (
        "Points, lines and skeletons have no voxels, nor have masks of another size than the slice; "
        "the COCO file holds them."
    ),
    "nifti:no_header": (
        "Series of which a slice has no header in the folder are left out; the COCO file has their objects."
    ),
    "nifti:no_series": "Objects on data other than DICOM series are left out; the COCO file holds them.",
    "tao:joints": "The box round the joints of a skeleton stands for it; the COCO file holds them.",
    "tao:no_box": "Points and lines have no box, and are left out; the COCO file holds them.",
    "tao:no_sequence": "Objects on single images have no track, and are left out; the COCO file holds them.",
    "voc_masks:no_area": (
        "Points, lines and skeletons have no pixels, nor have masks of another size than the image; "
        "the COCO file holds them."
    ),
    "voc_masks:class_above_254": "Objects of classes beyond the 254th have the value 255; the COCO file holds them.",
    "voc_masks:object_above_254": (
        "Objects beyond the 254th of an image have the value 255 among objects; the COCO file holds them."
    ),
    "voc_masks:frame_too_large": "Images of more than 2**28 pixels are left out; the COCO file has their objects.",
    "yolo_detect:no_box": "Points, lines and boxes outside the image are left out; the COCO file holds them.",
    "yolo_detect:outline": "The box round a shape stands for it; the COCO file holds the shape.",
    "yolo_segment:no_area": "Points, lines, skeletons and empty shapes are left out; the COCO file holds them.",
    "yolo_segment:outline_of_pixels": (
        "Masks, and polygons in parts or with holes, are outlined along their pixels; the COCO file holds them."
    ),
    "yolo_segment:rings_joined": (
        "Parts and holes are joined to one outline by seams of no width; the COCO file holds them apart."
    ),
    "yolo_pose:no_joints": "Shapes without joints are left out; the COCO file holds them.",
    "yolo_pose:no_box": "Points, and skeletons whose box has no area, are left out; the COCO file holds them.",
    "yolo_obb:no_box": "Points, lines and boxes outside the image are left out; the COCO file holds them.",
    "yolo_obb:upright_box": "Shapes that are no box have the upright box round them; the COCO file holds the shape.",
    "yolo_obb:corners_cut": (
        "Corners of turned boxes that lie outside the image are moved to its edge; the COCO file holds them."
    ),
    "youtube_vis:frame_sizes": (
        "Objects on frames of another size than the first of their video are left out; the COCO file holds them."
    ),
    "youtube_vis:no_area": "Points, lines and skeletons have no mask, and are left out; the COCO file holds them.",
    "youtube_vis:outline_as_mask": "Boxes and polygons become pixels; the COCO file holds their points.",
    "youtube_vis:no_sequence": "Objects on single images have no track, and are left out; the COCO file holds them.",
}

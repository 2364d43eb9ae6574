"""The ontology document: classes and skeletons."""

import pytest

from encord_dagster.encord.ontology import OntologyClass, SkeletonTemplate, read_ontology
from encord_dagster.errors import UsageError
from tests.factories import encode, real_export


def test_classes_and_skeletons_are_read_in_order() -> None:
    """Fields that are not used are tolerated; edges name joints by position."""
    document = {
        "objects": [
            {"id": "1", "name": "Car", "color": "#FFFFFF", "shape": "bounding_box", "featureNodeHash": "CarClas1"}
        ],
        "classifications": [{"anything": []}],
        "skeleton_templates": [
            {
                "template": {
                    "name": "Body",
                    "feature_node_hash": "BodyCla1",
                    "skeleton": {"10": {"name": "foot"}, "2": {"name": "head", "featureHash": "HeadJoi1"}},
                    "skeletonEdges": {"2": {"10": {"color": "#000000"}, "77": {}}},
                }
            }
        ],
    }

    ontology = read_ontology(encode(document))

    assert ontology.classes == (
        OntologyClass(feature_hash="CarClas1", name="Car", color="#FFFFFF", shape="bounding_box"),
    )
    assert ontology.skeletons == (
        SkeletonTemplate(
            feature_hash="BodyCla1",
            name="Body",
            joints=("head", "foot"),
            joint_hashes=("HeadJoi1", None),
            edges=((0, 1),),
        ),
    )


def test_the_ontology_of_the_real_rows_is_read() -> None:
    """Seven classes, one for each shape."""
    ontology = read_ontology(real_export("platform_rows.ontology.json"))

    assert len({one.shape for one in ontology.classes}) == len(ontology.classes) == 7


@pytest.mark.parametrize("document", [[], {}, {"objects": 5}, {"objects": [{"name": "x"}]}, {"objects": [5]}])
def test_a_document_that_is_no_ontology_is_refused(document: object) -> None:
    """With a word on where to get one."""
    with pytest.raises(UsageError, match="from Encord again"):
        read_ontology(encode(document))

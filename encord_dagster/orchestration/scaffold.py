"""What `dg scaffold defs encord_dagster.EncordLabelSetComponent` writes."""

import re
from typing import Any

import dagster as dg


class ScaffoldOptions(dg.Model):
    """What may be given on the command line."""

    landing: str = "s3://CHANGE-ME/exports"
    lake: str = "s3://CHANGE-ME/lake"
    name: str = ""  # without it the folder's


class LabelSetScaffolder(dg.Scaffolder[ScaffoldOptions]):
    """Writes a YAML file that loads as it is."""

    @classmethod
    def get_scaffold_params(cls) -> type[ScaffoldOptions]:
        """The options of the command."""
        return ScaffoldOptions

    def scaffold(self, request: dg.ScaffoldRequest[ScaffoldOptions]) -> None:
        """Write `defs.yaml`, or `component.py` where Python is asked for."""
        folder = request.target_path.parent if request.append else request.target_path
        chosen: dict[str, Any] = request.params.model_dump()
        chosen["name"] = chosen["name"] or re.sub(r"[^A-Za-z0-9_-]+", "_", folder.name)
        dg.scaffold_component(request, chosen)

"""All that lies in `defs/`, beside definitions of the project's own."""

from pathlib import Path

import dagster as dg

defs = dg.Definitions.merge(
    dg.load_from_defs_folder(path_within_project=Path(__file__).parent),
    # one step a run: a process of its own would cost more than a small export
    dg.Definitions(executor=dg.in_process_executor),
)

"""What an analysis needs of a dataset."""

from __future__ import annotations

import xarray as xr

from uemdask.cube.contract import VARIABLES
from uemdask.errors import UemError


def require_variables(dataset: xr.Dataset, *names: str) -> None:
    """Raise where variables are not in a dataset, with what makes them.

    Raises
    ------
    UemError
        That names all of them.
    """
    missing = [name for name in names if name not in dataset.variables]
    if missing:
        stages = sorted({VARIABLES[name].stage for name in missing if name in VARIABLES})
        raise UemError(
            f"{', '.join(missing)}: not in this dataset; run the stage that makes it"
            f"{f' ({chr(44).join(stages)})' if stages else ''}, see 'uemdask info'"
        )

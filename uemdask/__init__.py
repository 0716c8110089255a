"""Numbers from films of coherent phonons in ultrafast electron microscopy."""

from uemdask.accessor import UemAccessor
from uemdask.cube import create_run, open_run
from uemdask.errors import FaultsError, UemError
from uemdask.version import __version__

__all__ = ["FaultsError", "UemAccessor", "UemError", "__version__", "create_run", "open_run"]

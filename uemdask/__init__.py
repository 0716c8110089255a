"""Numbers from films of coherent phonons in ultrafast electron microscopy."""

from uemdask.accessor import UemAccessor
from uemdask.cube import create_run, open_run
from uemdask.errors import FaultsError, UemError
from uemdask.nexus import write_nexus
from uemdask.signals import from_hyperspy, to_hyperspy
from uemdask.version import __version__

__all__ = [
    "FaultsError",
    "UemAccessor",
    "UemError",
    "__version__",
    "create_run",
    "from_hyperspy",
    "open_run",
    "to_hyperspy",
    "write_nexus",
]

"""Clusters that do the work: this machine, a batch system, or a scheduler that runs already."""

from uemdask.execution.cluster.allocation import allocation_script
from uemdask.execution.cluster.check import check_cluster
from uemdask.execution.cluster.losses import OverMemory, say_that_it_begins
from uemdask.execution.cluster.opening import Capacity, Cluster, open_cluster
from uemdask.execution.cluster.profile import (
    BatchProfile,
    ClusterProfile,
    ExistingProfile,
    LocalProfile,
    read_profile,
)

__all__ = [
    "BatchProfile",
    "Capacity",
    "Cluster",
    "ClusterProfile",
    "ExistingProfile",
    "LocalProfile",
    "OverMemory",
    "allocation_script",
    "check_cluster",
    "open_cluster",
    "read_profile",
    "say_that_it_begins",
]

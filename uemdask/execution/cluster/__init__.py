"""Clusters that do the work: this machine, a batch system, or a scheduler that runs already."""

from uemdask.execution.cluster.allocation import allocation_script
from uemdask.execution.cluster.capacity import IDLE_WORKER, Capacity, Cluster, capacity_of_pools
from uemdask.execution.cluster.check import check_cluster
from uemdask.execution.cluster.connect import open_cluster
from uemdask.execution.cluster.profile import (
    BatchProfile,
    ClusterProfile,
    ExistingProfile,
    LocalProfile,
    read_profile,
)
from uemdask.execution.cluster.worker_failures import name_of_worker, report_task_begin

__all__ = [
    "IDLE_WORKER",
    "BatchProfile",
    "Capacity",
    "Cluster",
    "ClusterProfile",
    "ExistingProfile",
    "LocalProfile",
    "allocation_script",
    "capacity_of_pools",
    "check_cluster",
    "name_of_worker",
    "open_cluster",
    "read_profile",
    "report_task_begin",
]

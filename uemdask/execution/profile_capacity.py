"""The capacity that a cluster profile gives, known without starting anything."""

from __future__ import annotations

import logging
import math
from collections import Counter
from collections.abc import Mapping

from distributed.worker_memory import parse_memory_limit
from pydantic import BaseModel

from uemdask.execution.cluster import (
    BatchProfile,
    Capacity,
    ClusterProfile,
    ExistingProfile,
    LocalProfile,
    capacity_of_pools,
)

_LOG = logging.getLogger(__name__)


class PoolPreview(BaseModel):
    """Jobs of one pool that a campaign would submit.

    Attributes
    ----------
    pool : str
        Its name.
    jobs, workers : int
        At most at a time; with ``launch: allocation`` nodes of the one job.
    asks : dict of str to str
        What each asks the batch system for.
    """

    pool: str
    jobs: int
    workers: int
    asks: dict[str, str]


def capacity_of(profile: ClusterProfile, gpu: bool) -> Capacity:
    """Return the capacity for GPU tasks or for the others; memory 0 where it is not known."""
    if isinstance(profile, LocalProfile):
        memory = parse_memory_limit(profile.memory, 1, logger=_LOG)
        return Capacity(slots=profile.workers, memory=memory or 0)
    if isinstance(profile, ExistingProfile):
        return Capacity(slots=math.inf, place="the scheduler that runs already")
    return capacity_of_pools(profile, gpu)


def jobs_of(profile: ClusterProfile, widest: Mapping[bool, int]) -> list[PoolPreview]:
    """Return the jobs for a campaign with so many GPU tasks, and others, at a time.

    They follow the demand: of several pools of a kind the first is filled first.
    """
    if not isinstance(profile, BatchProfile):
        return []
    tasks: Counter[str] = Counter()
    for gpu, count in widest.items():
        tasks[profile.pools_for(gpu)[0].resource] += count
    found = []
    for pool in profile.pools:
        if profile.launch == "allocation":
            count = pool.nodes
        else:
            count = math.ceil(tasks[pool.resource] / pool.processes)
            count = min(max(count, pool.minimum), pool.maximum)
            tasks[pool.resource] = max(0, tasks[pool.resource] - count * pool.processes)
        asks = {
            "cores": str(pool.cores),
            "memory": pool.memory,
            "gpus": str(pool.gpus or ""),
            "walltime": profile.walltime_of(pool),
            "queue": pool.queue or profile.queue or "",
        }
        workers = count * pool.processes
        found.append(PoolPreview(pool=pool.name, jobs=count, workers=workers, asks=asks))
    return found

"""Whether a process that starts is Airflow's scheduler, for listeners that do something there and nowhere else."""

from __future__ import annotations

import sys


def is_scheduler(component: object) -> bool:
    """Whether what Airflow's ``on_starting`` tells of is the scheduler itself.

    A task starts too, and is a fork of the scheduler: what it was started with says scheduler as well.
    """
    return sys.argv[1:2] == ["scheduler"] and type(component).__name__ == "Job"

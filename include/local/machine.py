"""The processes of one shop on this machine: Postgres and Airflow, started when a command needs them."""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace

import typer

from include.local import environment, readiness
from include.local.airflow_api import DAGS, Api, now
from include.local.embedded_postgres import HOST, Cluster, locked
from include.local.processes import Airflow, PortTakenError
from include.local.profile import Profile, StandaloneError, state_folder

# A single night runs without the schedule: a scheduled run would be cut off when the night ends.
_NO_SCHEDULE = {"AIRFLOW__SCHEDULER__USE_JOB_SCHEDULE": "False"}
_PORTS_TRIED = 3
_MOST_REVIVED = 3


@dataclass(frozen=True)
class Machine:
    """The processes of one profile on this machine."""

    profile: Profile
    cluster: Cluster
    airflow: Airflow
    variables: dict[str, str] = field(repr=False)
    revived: dict[str, int] = field(default_factory=dict, repr=False)  # how often, by process

    @classmethod
    def ready(cls) -> Machine:
        """The machine for the shop that is asked for (``environment.asked_profile``), its databases started.

        Raises:
            StandaloneError: When there is no such shop, or its database is not named.
        """
        profile, own = asked_shop()
        cluster = own_cluster()
        readiness.start_postgres(profile, cluster)
        airflow = Airflow(profile)
        given = environment.variables(profile, cluster, own, airflow.port)
        readiness.check_settings(given, own)
        return cls(profile, cluster, airflow, given)

    @property
    def url(self) -> str:
        """The address of Airflow's pages and API."""
        return f"http://{HOST}:{self.airflow.port}"

    @property
    def process_environment(self) -> dict[str, str]:
        """The environment of every process of the profile."""
        return environment.process_environment(self.variables, self.cluster)

    def alone(self) -> AbstractContextManager[None]:
        """Wait for another command on this profile to finish: each would stop the other's processes."""
        return locked(self.profile.state / "lock", waiting=lambda: say("Waiting for another night to end"))

    def prepare(self) -> None:
        """Migrate Airflow's database and fill the shop, where that is not done."""
        readiness.prepare(self.profile, self.cluster, self.process_environment, say)

    def fill_shop(self) -> None:
        """Fill the shop, where it comes along and that is not done."""
        readiness.fill_shop(self.profile, self.cluster, self.process_environment, say)

    def start_airflow(self, names: tuple[str, ...], *, stay: bool) -> Api:
        """Start Airflow's processes that do not run; returns its API once it answers and has read the current DAGs."""
        for _ in range(_PORTS_TRIED - 1):
            try:
                return self._start_airflow(names, stay=stay)
            except PortTakenError:
                say("Another program was quicker to take the port; trying another")
        return self._start_airflow(names, stay=stay)

    def _start_airflow(self, names: tuple[str, ...], *, stay: bool) -> Api:
        before = now()
        own = environment.own_variables(os.environ)
        variables = environment.variables(self.profile, self.cluster, own, self.airflow.port)
        if not (stay or self.airflow.stays):
            variables |= _NO_SCHEDULE
        given = environment.process_environment(variables, self.cluster)
        started = self.airflow.start(names, given, fingerprint=environment.fingerprint(variables), stay=stay)
        if started:
            say("Starting Airflow")
        password = environment.login(self.profile)["admin"]
        api = Api.connect(
            self.url, "admin", password, check=lambda: self.airflow.check(names), ours=lambda: self.airflow.listens
        )
        for dag in DAGS:
            api.wait_for_dag(before if started else None, dag)
        self.airflow.start_keeper(given)
        return replace(api, check=lambda: self._revive(names, given))

    def _revive(self, names: tuple[str, ...], environment: Mapping[str, str]) -> None:
        """Start those of Airflow's processes again that ended by themselves: a night outlives them.

        Tasks go on without the API server; those that ended with the scheduler are tried again.

        Raises:
            StandaloneError: When one ended too often; with the end of its log.
        """
        if self.airflow.stays:
            self.airflow.start_keeper(environment)  # which does that
            return
        for name in names:
            if name not in self.airflow.running():
                if self.revived.get(name, 0) >= _MOST_REVIVED:
                    self.airflow.check(names)
                self.revived[name] = self.revived.get(name, 0) + 1
                say(f"Airflow's {name} ended by itself; starting it again")
                self.airflow.revive(name, environment)


def say(line: str) -> None:
    """Print progress to standard error; standard output is for results."""
    typer.echo(line, err=True)


def asked_shop() -> tuple[Profile, dict[str, str]]:
    """The profile of the shop that is asked for, and the user's own variables; a shop of one's own is named in them.

    Raises:
        StandaloneError: When there is no such shop, its database is not named, or several shops are.
    """
    profile, own = environment.asked_profile(), environment.own_variables(os.environ)
    if "STOCKTAKE_SHOPS" in own:
        raise StandaloneError(
            "STOCKTAKE_SHOPS is for a server, where one Airflow has several shops: see docker-compose.yaml. Here every"
            " command is for one shop: SHOP=book-shop."
        )
    if not profile.comes_along and "STOCKTAKE_SHOP_URL" not in own:
        raise StandaloneError(
            f"{profile.name} is a shop of your own: name its database in STOCKTAKE_SHOP_URL, in .env or the"
            " environment, as a role that may only read it."
        )
    return profile, own


def own_cluster() -> Cluster:
    """The Postgres of every profile."""
    return Cluster(state_folder() / "postgres")

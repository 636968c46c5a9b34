"""Which changes are tried: some, several in one night; or, with ``--every-change``, every kind by itself as well."""

from __future__ import annotations

import pytest

from tests.changes.kinds import KINDS, SAMPLES


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """A test that asks for ``kind`` runs for every one that is tried."""
    if "kind" in metafunc.fixturenames:
        every = metafunc.config.getoption("--every-change")
        tried = {kind.name: kind for kind in ((*SAMPLES, *KINDS) if every else SAMPLES)}
        kinds = [pytest.param(kind, marks=pytest.mark.long) for kind in tried.values()]
        metafunc.parametrize("kind", kinds, ids=tried)

"""Which kinds of change are tried: one of every mechanism, or all of them with ``--every-change``."""

from __future__ import annotations

import pytest

from tests.changes.kinds import KINDS


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """A test that asks for ``kind`` runs for every one that is tried."""
    if "kind" in metafunc.fixturenames:
        every = metafunc.config.getoption("--every-change")
        tried = [kind for kind in KINDS if every or kind.is_sample]
        metafunc.parametrize("kind", tried, ids=[kind.name for kind in tried])

"""Where rows come from and go to."""

from __future__ import annotations

from fastapi import APIRouter

from include.serve.api.login import viewer
from include.serve.api.models import Lineage, LineageNode
from include.serve.lineage import lineage, relations_of_shop

router = APIRouter(dependencies=[viewer], tags=["tables"])


@router.get("/lineage")
def whole_lineage() -> Lineage:
    """The shop's tables, the sources that read them, and the published tables: what is made from what."""
    found = lineage(relations_of_shop())
    return Lineage(nodes=[LineageNode(name=name, kind=kind) for name, kind in found.nodes.items()], edges=found.edges)

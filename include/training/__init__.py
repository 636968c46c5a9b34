"""Training sets: point-in-time joins of feature rows, as they were known, with the labels that followed.

Belongs here: which slices of which publication a training set reads, the join as of each instant, and its file. Does
not: making features (``transforms.features``), or publishing them (``include.pipeline.tables_dag``). It may import the
registry of tables, because people name feature sets.
"""

from include.training.entities import EveryEntity, Query
from include.training.errors import (
    ColumnClash,
    MissingColumn,
    MissingVersion,
    NullKey,
    UnknownFeatureSet,
    UnknownPublication,
    WrongKeyType,
    WrongTimestamp,
    WrongTrainingSet,
)
from include.training.sets import training_set, write_training_set

__all__ = [
    "ColumnClash",
    "EveryEntity",
    "MissingColumn",
    "MissingVersion",
    "NullKey",
    "Query",
    "UnknownFeatureSet",
    "UnknownPublication",
    "WrongKeyType",
    "WrongTimestamp",
    "WrongTrainingSet",
    "training_set",
    "write_training_set",
]

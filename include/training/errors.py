"""What can be wrong with what a training set is asked for; every message says what would be right."""

from __future__ import annotations


class WrongTrainingSet(ValueError):
    """A training set was asked for that makes no sense."""


class UnknownFeatureSet(WrongTrainingSet):
    """No feature set, or no set of labels, is called so."""


class MissingColumn(WrongTrainingSet):
    """The entities lack a key or their timestamp, or a feature set lacks a column."""


class ColumnClash(WrongTrainingSet):
    """A column of the entities is called like one that the training set adds."""


class WrongTimestamp(WrongTrainingSet):
    """A timestamp without a time zone, without a value, or infinite: nothing can be known as of it."""


class NullKey(WrongTrainingSet):
    """An entity without a key."""


class WrongKeyType(WrongTrainingSet):
    """A key of the entities is of another type than the shop's."""


class UnknownPublication(WrongTrainingSet):
    """There is no such publication, or none yet of a set that is asked for."""


class MissingVersion(RuntimeError):
    """The lake no longer has a version that was published: what was asked for cannot be made again."""

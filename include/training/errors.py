"""Errors in a request for a training set; every message says what would be right."""

from __future__ import annotations


class WrongTrainingSet(ValueError):
    """The request for a training set is not valid."""


class UnknownFeatureSet(WrongTrainingSet):
    """There is no feature set, or no set of labels, of that name."""


class MissingColumn(WrongTrainingSet):
    """The entities lack a key or their timestamp, or a feature set lacks a column."""


class ColumnClash(WrongTrainingSet):
    """A column of the entities has the name of one that the training set adds."""


class WrongTimestamp(WrongTrainingSet):
    """A timestamp has no time zone, is null, or is infinite."""


class NullKey(WrongTrainingSet):
    """An entity has no key."""


class WrongKeyType(WrongTrainingSet):
    """A key of the entities has another type than the shop's."""


class UnknownPublication(WrongTrainingSet):
    """There is no such publication, or it is older than the first of a set."""


class MissingVersion(RuntimeError):
    """The lake no longer has a version that was published, so the training set cannot be made again."""

"""Channels: who is told of incidents, by Apprise's URLs. A URL holds secrets, so nobody is ever shown one.

Apprise's own log lines quote hosts and tokens, and those of what it calls may: none of them is written.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from pydantic import SecretStr

from include.settings import settings

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Channel:
    """A channel.

    Attributes:
        name: its place in ``STOCKTAKE_ALERTS`` and the scheme of its URL: ``2 slack``.
        url: Apprise's.
    """

    name: str
    url: SecretStr = field(repr=False)

    def take(self, message: str, *, over: bool) -> bool:
        """Send a message, and say whether the channel has taken it; it never raises.

        Args:
            message: the first line is the title.
            over: whether it says that something is over.
        """
        try:
            with _without_its_log():
                taken = self._sent(message, over=over)
        except Exception as error:
            # Only the type of the error: its text may quote the URL.
            _log.warning("channel %s took no message (%s); it is tried again", self.name, type(error).__name__)
            return False
        if not taken:
            _log.warning("channel %s took no message; it is tried again", self.name)
        return taken

    def is_known(self) -> bool:
        """Whether Apprise knows such a service, and the URL has what it needs."""
        import apprise

        with _without_its_log():
            return apprise.Apprise.instantiate(self.url.get_secret_value(), suppress_exceptions=True) is not None

    def _sent(self, message: str, *, over: bool) -> bool:
        import apprise  # 0.5 s with its services, which only those pay that have something to tell

        asset = apprise.AppriseAsset(app_id="Stocktake", app_desc="Stocktake", secure_logging=True)
        told = apprise.Apprise(asset=asset)
        if not told.add(self.url.get_secret_value()):
            return False
        title, _, body = message.partition("\n")
        kind = apprise.NotifyType.SUCCESS if over else apprise.NotifyType.WARNING
        return bool(told.notify(body=body, title=title, notify_type=kind, body_format=apprise.NotifyFormat.TEXT))


def channels() -> list[Channel]:
    """The channels of this deployment."""
    return [
        Channel(f"{number} {url.get_secret_value().partition('://')[0]}", url)
        for number, url in enumerate(settings().alerts, 1)
    ]


@contextmanager
def _without_its_log() -> Iterator[None]:
    """Let nothing into the log, at any level that somebody may have set: a process that tells does nothing else."""
    before = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        yield
    finally:
        logging.disable(before)

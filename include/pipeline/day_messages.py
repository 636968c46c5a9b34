"""Hears of closed days from a message queue, through Airflow's common messaging provider.

Which queues there are is the provider's: a row of ``QUEUES`` says how each is asked. Where it is and with which
password is Airflow's connection ``stocktake_day_closed``. A provider takes a message from its queue before Airflow has
stored the event: a triggerer that is killed in between loses it, and the night begins when the schedule says.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from types import MappingProxyType
from typing import Any, Final

from airflow.triggers.base import BaseEventTrigger, BaseTrigger, TriggerEvent

from include.pipeline.day_closed import (
    NoClosedDay,
    announcement,
    day_in,
    judge,
    seems_settled,
    shop_argument,
    while_set_to,
)  # fmt: skip
from include.settings.shops import use_shop

CONNECTION: Final = "stocktake_day_closed"
_PAUSES: Final = (5.0, 20.0, 60.0)  # seconds between attempts to reach the queue
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Queue:
    """How a kind of queue is asked.

    Attributes:
        arguments: of the provider's trigger, for the setting and the name of the topic, channel or queue in it.
        messages: what its event holds; None where the provider asks us of each message itself.
        provider: the package of Airflow's that knows it.
    """

    arguments: Callable[[str, str], dict[str, Any]]
    messages: Callable[[Any], Iterable[Any]] | None
    provider: str


# A message is taken from its queue: that of a shop whose clock is ahead of ours cannot be read again later.
_GRACE: Final = timedelta(minutes=1)


class NoProvider(RuntimeError):
    """Nothing that is installed knows such a queue; the message names what does."""


def heard(queue: str, message: Any) -> dict[str, str] | None:
    """What a message announces: a closed day whose night is still to begin, or nothing.

    Args:
        queue: where it was, for the log.
        message: text or bytes; of Kafka's client, what holds them.
    """
    said = message.value() if hasattr(message, "value") else message
    at = datetime.now(UTC)
    try:
        day = day_in(said if isinstance(said, str | bytes) else "")
        judge(day, at + _GRACE, at)
    except NoClosedDay as refused:
        _log.warning("A message of %s starts nothing: %s", queue, refused)
        return None
    if seems_settled(day):
        return None
    _log.info("A message of %s says that %s is closed", queue, day)
    return announcement(day, at)


QUEUES: Final[Mapping[str, Queue]] = MappingProxyType(
    {
        # Only a message that announces something ends the provider's trigger, and with it its membership of the group.
        "kafka": Queue(
            lambda setting, topic: {
                "topics": [topic],
                "kafka_config_id": CONNECTION,
                "apply_function": f"{__name__}.heard",
                "apply_function_args": [setting],
                "poll_interval": 0,
            },
            None,
            "apache-airflow-providers-apache-kafka",
        ),
        "redis+pubsub": Queue(
            lambda _, channel: {"channels": [channel], "redis_conn_id": CONNECTION, "poll_interval": 0.5},
            lambda payload: [payload["data"]],
            "apache-airflow-providers-redis",
        ),
        "sqs": Queue(
            lambda _, queue: {"sqs_queue": f"https://{queue}", "aws_conn_id": CONNECTION, "waiter_delay": 10},
            lambda payload: [one.get("Body") for one in payload["message_batch"]],
            "apache-airflow-providers-amazon[aiobotocore]",
        ),
    }
)


class MessageTrigger(BaseEventTrigger):
    """Fires for every message that names a day whose night is still to begin, as ``announcement`` writes it.

    What else a queue brings is refused here, so that it is neither stored nor shown by Airflow.
    """

    def __init__(self, scheme: str, name: str, shop: str | None = None) -> None:
        """Watch a queue.

        Args:
            scheme: one of ``QUEUES``.
            name: of its topic, channel or queue.
            shop: whose, where there are several.
        """
        super().__init__()  # type: ignore[no-untyped-call] # Airflow's base has no types
        self.scheme, self.name, self.shop = scheme, name, shop

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """How Airflow makes it again."""
        said = {"scheme": self.scheme, "name": self.name, **shop_argument(self.shop)}
        return f"{type(self).__module__}.{type(self).__name__}", said

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Every announcement is an event. A queue that is away is waited for."""
        use_shop(self.shop)
        await while_set_to(str(self))
        failures = 0
        while True:
            inner: BaseTrigger | None = None
            try:
                inner = await asyncio.to_thread(self._provider)
                # The trigger of a provider ends with its first message; some have nothing to hold on to between two.
                async for event in inner.run():
                    failures = 0
                    for found in await asyncio.to_thread(self._announced, event.payload):
                        yield TriggerEvent(found)  # type: ignore[no-untyped-call] # the same
            except Exception as error:  # whatever a client raises: without this trigger nobody listens any more
                pause = _PAUSES[min(failures, len(_PAUSES) - 1)]
                failures += 1
                _log.warning("%s cannot be read (%s); the next try is in %g s", self, self._why(error), pause)
                await asyncio.sleep(pause)
            finally:
                if inner is not None:
                    await inner.cleanup()

    def __str__(self) -> str:
        """The setting, as it was given."""
        return f"{self.scheme}://{self.name}"

    def _provider(self) -> BaseTrigger:
        # Looks at all that is installed of Airflow's providers, which takes seconds.
        from airflow.providers.common.messaging.triggers.msg_queue import MessageQueueTrigger

        queue = QUEUES[self.scheme]
        try:
            return MessageQueueTrigger(scheme=self.scheme, **queue.arguments(str(self), self.name)).trigger
        except ValueError:
            raise NoProvider(f"install {queue.provider}") from None

    def _why(self, error: Exception) -> str:
        """An error without a secret: most texts may quote the URL of a broker."""
        name = type(error).__name__
        if isinstance(error, ImportError):  # the provider is there, and what it needs for this is not
            return f"{name}: {error}; install {QUEUES[self.scheme].provider}"
        return f"{name}: {error}" if isinstance(error, NoProvider) else name

    def _announced(self, payload: Any) -> list[dict[str, str]]:
        messages = QUEUES[self.scheme].messages
        if messages is None:
            return [payload]
        return [found for one in messages(payload) if (found := heard(str(self), one)) is not None]

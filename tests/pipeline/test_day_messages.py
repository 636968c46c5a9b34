"""A message that says that a day is closed: from a real Redis, and from the cluster that Kafka's client carries."""

from __future__ import annotations

import asyncio
import json
import logging
import shutil
import subprocess
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, closing, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from airflow.providers.common.messaging.triggers import msg_queue
from airflow.triggers.base import TriggerEvent
from confluent_kafka import Producer
from redis import Redis
from redis.exceptions import ConnectionError as RedisIsAway

from include.ledger import runs
from include.ledger.runs import Run
from include.pipeline.day_messages import QUEUES, MessageTrigger
from include.settings import settings
from tests.conftest import Database
from tests.ports import free_port

YESTERDAY = datetime.now(UTC).date() - timedelta(days=1)
NAME = "closed-days"
REDIS = shutil.which("redis-server")
PASSWORD = "S3cret-of-the-test"  # noqa: S105 - of nobody
Listening = Callable[[str], AbstractAsyncContextManager[asyncio.Queue[TriggerEvent]]]


@pytest.fixture(autouse=True)
def here(empty_ledger: Database, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A shop in UTC, and an empty ledger."""
    monkeypatch.setenv("STOCKTAKE_TIMEZONE", "UTC")
    assert empty_ledger.name
    yield
    settings.cache_clear()


@pytest.fixture
def redis(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], object]]:
    """A Redis with a password, which Airflow's connection has: what says something on the channel."""
    if REDIS is None:
        pytest.skip("Debian's redis-server is not here")
    port = free_port()
    place = {"conn_type": "redis", "host": "127.0.0.1", "port": port, "password": PASSWORD}
    monkeypatch.setenv("AIRFLOW_CONN_STOCKTAKE_DAY_CLOSED", json.dumps(place))
    command = [REDIS, "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", str(tmp_path)]
    with (
        subprocess.Popen([*command, "--requirepass", PASSWORD], stdout=subprocess.DEVNULL) as server,
        closing(Redis(port=port, password=PASSWORD)) as client,
    ):

        def say(message: str) -> object:
            """Say it once somebody listens: Redis keeps nothing."""
            with suppress(RedisIsAway):
                return client.publish(NAME, message)
            return 0

        yield say
        server.kill()


@pytest.fixture
def kafka(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], object]:
    """A cluster of one broker inside Kafka's client: what sends a message to the topic."""
    producer = Producer({"test.mock.num.brokers": 1, "bootstrap.servers": "mock", "log_level": 0})
    [broker] = producer.list_topics(timeout=10).brokers.values()
    place = {
        "bootstrap.servers": f"{broker.host}:{broker.port}", "group.id": "stocktake", "auto.offset.reset": "earliest",
        "enable.auto.commit": False,
        "group.protocol": "consumer",  # the older one lets nobody in for 45 s after somebody has left, in this cluster
    }  # fmt: skip
    monkeypatch.setenv("AIRFLOW_CONN_STOCKTAKE_DAY_CLOSED", json.dumps({"conn_type": "kafka", "extra": place}))

    def say(message: str) -> object:
        producer.produce(NAME, message.encode())
        return producer.flush(10) == 0

    assert say("2020-01-01"), "a topic is there once it has a message, and nobody can listen to none"
    return say


@pytest.fixture(params=["redis+pubsub", "kafka"])
def queue(request: pytest.FixtureRequest) -> tuple[str, Callable[[str], object]]:
    """Each queue: its scheme, and what sends a message."""
    scheme: str = request.param
    return scheme, request.getfixturevalue(scheme.partition("+")[0])


@pytest.fixture
def listening(monkeypatch: pytest.MonkeyPatch) -> Listening:
    """Listen to a queue, where the setting names it."""

    def listen(scheme: str) -> AbstractAsyncContextManager[asyncio.Queue[TriggerEvent]]:
        monkeypatch.setenv("STOCKTAKE_DAY_CLOSED", f"{scheme}://{NAME}")
        settings.cache_clear()
        return _listening(scheme)

    return listen


@asynccontextmanager
async def _listening(scheme: str) -> AsyncIterator[asyncio.Queue[TriggerEvent]]:
    """What a trigger fires, until the block ends."""
    heard = asyncio.Queue[TriggerEvent]()

    async def listen() -> None:
        async for event in MessageTrigger(scheme, NAME).run():
            await heard.put(event)

    task = asyncio.create_task(listen())
    try:
        yield heard
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def said(say: Callable[[str], object], message: str) -> None:
    """Say something until somebody has heard it."""
    async with asyncio.timeout(20):
        while not await asyncio.to_thread(say, message):  # noqa: ASYNC110 - a server does not tell when
            await asyncio.sleep(0.1)


async def test_a_message_that_names_a_closed_day_is_an_event_and_nothing_else_is(
    listening: Listening, queue: tuple[str, Callable[[str], object]], caplog: pytest.LogCaptureFixture
) -> None:
    scheme, say = queue
    caplog.set_level(logging.WARNING, "include")
    today = YESTERDAY + timedelta(days=1)
    async with listening(scheme) as heard:
        for message in ("", "pssst", "z" * 900_000, f"{today}", "2020-01-01", f'{{"business_day": "{YESTERDAY}"}}'):
            await said(say, message)
            await asyncio.sleep(1)  # who listens to Redis begins anew after each
        event = await asyncio.wait_for(heard.get(), 30)
        assert event.payload["business_day"] == f"{YESTERDAY}"
        assert heard.empty()
    assert "names no day" in caplog.text
    assert f"{today} was not over in UTC" in caplog.text
    assert "2020-01-01 is over for more than 7 days" in caplog.text
    assert "pssst" not in caplog.text
    assert "zzz" not in caplog.text


async def test_a_day_whose_night_has_begun_is_no_event(
    listening: Listening, queue: tuple[str, Callable[[str], object]]
) -> None:
    scheme, say = queue
    runs.open_run(Run("manual__1", YESTERDAY, YESTERDAY))
    other = YESTERDAY - timedelta(days=1)
    async with listening(scheme) as heard:
        for day in (YESTERDAY, other):
            await said(say, f"{day}")
            await asyncio.sleep(1)  # who listens to Redis begins anew after each
        assert (await asyncio.wait_for(heard.get(), 30)).payload["business_day"] == f"{other}"
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(heard.get(), 2)


async def test_messages_of_kafka_wait_for_whoever_listens_next(
    listening: Listening, kafka: Callable[[str], object]
) -> None:
    days = [f"{YESTERDAY - timedelta(days=back)}" for back in (2, 1, 0)]
    for day in days:
        assert kafka(day)
    async with listening("kafka") as heard:
        # In any order: they may be in different partitions.
        assert {(await asyncio.wait_for(heard.get(), 30)).payload["business_day"] for _ in days} == set(days)


async def test_a_queue_that_is_away_is_waited_for_and_no_secret_is_said(
    listening: Listening, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    place = {"conn_type": "redis", "host": "127.0.0.1", "port": 1, "password": PASSWORD}
    monkeypatch.setenv("AIRFLOW_CONN_STOCKTAKE_DAY_CLOSED", json.dumps(place))
    caplog.set_level(logging.WARNING, "include")
    async with listening("redis+pubsub") as heard:
        async with asyncio.timeout(30):
            while "cannot be read" not in caplog.text:  # noqa: ASYNC110 - a log does not tell when
                await asyncio.sleep(0.2)
        assert heard.empty()
    assert "redis+pubsub://closed-days cannot be read (ConnectionError); the next try is in 5 s" in caplog.text
    assert PASSWORD not in caplog.text


@pytest.mark.parametrize(
    ("installed", "said"),
    [
        (False, "NoProvider: install apache-airflow-providers-amazon[aiobotocore]"),
        (True, "No module named 'aiobotocore'; install apache-airflow-providers-amazon[aiobotocore]"),
    ],
)
async def test_what_is_not_installed_is_named(
    listening: Listening, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch, installed: bool, said: str
) -> None:
    if not installed:
        monkeypatch.setattr(msg_queue, "MESSAGE_QUEUE_PROVIDERS", [])  # as Airflow finds them where there are none
    caplog.set_level(logging.WARNING, "include")
    async with listening("sqs") as heard:
        async with asyncio.timeout(60):
            while "cannot be read" not in caplog.text:  # noqa: ASYNC110 - the same
                await asyncio.sleep(0.2)
        assert heard.empty()
    assert said in caplog.text


async def test_where_the_setting_names_another_place_nobody_listens(
    listening: Listening, queue: tuple[str, Callable[[str], object]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Airflow keeps the trigger of a DAG that is no more."""
    scheme, say = queue
    asked = listening(scheme)
    monkeypatch.setenv("STOCKTAKE_DAY_CLOSED", "")
    settings.cache_clear()
    async with asked as heard:
        for _ in range(20):
            await asyncio.to_thread(say, f"{YESTERDAY}")
            await asyncio.sleep(0.2)
        assert heard.empty()


@pytest.mark.parametrize("scheme", QUEUES)
def test_what_airflow_stores_of_the_trigger_holds_no_secret(scheme: str) -> None:
    path, arguments = MessageTrigger(scheme, NAME).serialize()
    assert path == "include.pipeline.day_messages.MessageTrigger"
    assert arguments == {"scheme": scheme, "name": NAME}

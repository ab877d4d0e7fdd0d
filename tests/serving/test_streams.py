"""Many streams at once, half of them broken off: nobody hears anything of another's audio."""

import asyncio
import hashlib
import random

import httpx2
import pytest

from tests.serving.conftest import SPEECH, Running, Start, inference, poll
from tests.serving.test_origin import series

SENTENCES = (
    "The ferry left before the harbour was awake.",
    "Nobody on the pier had seen the captain, and nobody asked for her.",
    "Two gulls quarrelled over a loaf of bread.",
    "It rained on the roofs of the market until noon.",
    "Seven letters came for the lighthouse keeper.",
)
FORMATS = ("pcm", "wav", "mp3", "opus", "flac")


def bodies(number: int) -> list[dict[str, object]]:
    """Requests of which no two sound alike."""
    return [
        {
            "model": "tts",
            "input": " ".join(SENTENCES[(first + more) % 5] for more in range(1 + first % 3)),
            "response_format": FORMATS[(first // 3) % 5],
            "seed": first,
        }
        for first in range(number)
    ]


async def whole(client: httpx2.AsyncClient, body: dict[str, object]) -> str:
    answer = await client.post(SPEECH, json=body)
    assert answer.status_code == 200, answer.text
    return hashlib.sha256(answer.content).hexdigest()


async def broken_off(client: httpx2.AsyncClient, body: dict[str, object], chance: random.Random) -> None:
    """Goes away after some bytes, or before there are any."""
    after = chance.choice((0, 0, 1, 30_000))
    try:
        async with asyncio.timeout(chance.random() * 2 if after == 0 else 60):
            async with client.stream("POST", SPEECH, json=body) as answer:
                got = 0
                async for part in answer.aiter_bytes():
                    got += len(part)
                    if after and got >= after:
                        return
    except TimeoutError:
        return


async def at_once(server: Running, alone: dict[int, str], wanted: list[dict[str, object]], many: int) -> None:
    chance = random.Random(4)
    limits = httpx2.Limits(max_connections=None, max_keepalive_connections=0)
    async with (
        httpx2.AsyncClient(base_url=server.url, timeout=300, limits=limits, trust_env=False) as client,
        asyncio.TaskGroup() as group,
    ):
        finished = {}
        for number in range(many):
            which = number % len(wanted)
            finished[number] = group.create_task(whole(client, wanted[which]))
            group.create_task(broken_off(client, wanted[chance.randrange(len(wanted))], chance))
    for number, task in finished.items():
        assert task.result() == alone[number % len(wanted)], wanted[number % len(wanted)]


def streams(server: Running, *, many: int, kinds: int) -> None:
    """`many` that finish and as many that are broken off, of so many kinds."""
    wanted = bodies(kinds)

    async def one_by_one() -> dict[int, str]:
        async with httpx2.AsyncClient(base_url=server.url, timeout=60, trust_env=False) as client:
            return {number: await whole(client, body) for number, body in enumerate(wanted)}

    alone = asyncio.run(one_by_one())
    assert len(set(alone.values())) == kinds
    asyncio.run(at_once(server, alone, wanted, many))
    poll(lambda: series(server)['tts_in_flight{origin="user"}'] == 0, 30, server.process)
    after = series(server)
    assert after['tts_queue_depth{origin="user"}'] == 0
    assert after['tts_requests_total{code="200",origin="user"}'] >= kinds + many
    assert after['tts_requests_total{code="499",origin="user"}'] > 0
    assert after['tts_requests_total{code="500",origin="user"}'] == 0
    assert asyncio.run(one_by_one()) == alone


@pytest.fixture
def roomy(start: Start) -> Running:
    """A server that lets in as many as these tests send."""
    running = start(config=inference("1.0.0", admission={"streams": 200, "queue": 2000, "waitSeconds": 600}))
    running.wait_ready()
    return running


def test_streams_at_once_sound_as_alone(roomy: Running) -> None:
    streams(roomy, many=25, kinds=10)


@pytest.mark.soak
@pytest.mark.timeout(1800)
def test_five_hundred_of_each_at_once_sound_as_alone(roomy: Running) -> None:
    streams(roomy, many=500, kinds=50)

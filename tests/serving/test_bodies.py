"""How much of a body is read, and of all bodies together."""

import asyncio

import pytest
from starlette.exceptions import HTTPException
from starlette.types import Message

from serving.bodies import TEXT, Bodies, Body, BodyLimit

LIMIT = BodyLimit(TEXT.size + 1000, "send less")


def send(body: Body, *sizes: int) -> None:
    """The server reads a body of such pieces."""
    pieces = iter(sizes)

    async def receive() -> Message:
        return {"type": "http.request", "body": bytes(next(pieces))}

    async def read() -> None:
        limited = body.limited(receive)
        for _ in sizes:
            await limited()

    asyncio.run(read())


def begun(bodies: Bodies) -> Body:
    return bodies.begin({"type": "http"})


def test_a_body_that_is_too_large_is_refused_where_it_becomes_so() -> None:
    bodies = Bodies(lambda _: LIMIT)
    send(begun(bodies), TEXT.size, 1000)
    with pytest.raises(HTTPException) as raised:
        send(begun(bodies), TEXT.size, 1000, 1)
    assert raised.value.status_code == 413
    assert raised.value.detail == f"The request's body is over {LIMIT.size} bytes; send less."


def test_large_bodies_share_what_there_is_and_give_it_back() -> None:
    bodies = Bodies(lambda _: LIMIT, large=2500)
    first, second, third = (begun(bodies) for _ in range(3))
    send(first, TEXT.size + 1000)
    send(second, TEXT.size, 500, 500)
    with pytest.raises(HTTPException) as raised:
        send(third, TEXT.size + 1000)
    assert raised.value.status_code == 429
    assert raised.value.headers == {"retry-after": "2"}
    third.done()
    first.done()
    first.done()
    send(begun(bodies), TEXT.size + 1000)
    with pytest.raises(HTTPException):
        send(begun(bodies), TEXT.size + 1000)


def test_texts_need_nothing_of_it() -> None:
    bodies = Bodies(lambda _: LIMIT, large=0)
    for _ in range(3):
        send(begun(bodies), TEXT.size)

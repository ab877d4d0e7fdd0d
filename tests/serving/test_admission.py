"""The door: bounded, fair between callers, and no place is ever lost."""

import random
from collections.abc import Awaitable, Callable
from contextlib import suppress

import anyio
import pytest

from serving.admission import Admission, Doors
from serving.errors import RequestError
from serving.limits import Limits, limits_of
from serving.origin import Origin


def door(*, streams: int = 1, queue: int = 2, wait: float = 5, per_key: int | None = None) -> Admission:
    return Admission(Limits(streams=streams, queue=queue, wait_seconds=wait, per_key=per_key))


def run(what: Callable[[], Awaitable[None]]) -> None:
    anyio.run(what)


def test_one_too_many_is_told_when_to_come_back() -> None:
    async def scene() -> None:
        admission = door()
        async with anyio.create_task_group() as group, admission.enter(""):

            async def later() -> None:
                async with admission.enter(""):
                    pass

            group.start_soon(later)
            group.start_soon(later)
            await anyio.wait_all_tasks_blocked()
            assert (admission.streams, admission.waiting) == (1, 2)
            with pytest.raises(RequestError) as refused:
                async with admission.enter(""):
                    pass
            assert refused.value.status == 429
            assert refused.value.code == "queue_full"
            assert refused.value.headers == {"retry-after": "3"}, "three turns of a second each"
            assert "1 requests are answered and 2 wait" in refused.value.message
        assert (admission.streams, admission.waiting) == (0, 0)

    run(scene)


def test_a_wait_is_bounded() -> None:
    async def scene() -> None:
        admission = door(wait=0.02)
        async with admission.enter(""):
            with pytest.raises(RequestError) as refused:
                async with admission.enter(""):
                    pass
        assert refused.value.status == 429
        assert (admission.streams, admission.waiting) == (0, 0)

    run(scene)


def test_callers_are_let_in_by_turns() -> None:
    async def scene() -> None:
        admission, order = door(queue=10), []
        async with anyio.create_task_group() as group:

            async def enter(caller: str) -> None:
                async with admission.enter(caller):
                    order.append(caller)

            async with admission.enter("first"):
                for caller in ("greedy", "greedy", "greedy", "greedy", "modest", "third"):
                    group.start_soon(enter, caller)
                    await anyio.wait_all_tasks_blocked()
        assert order == ["greedy", "modest", "third", "greedy", "greedy", "greedy"]

    run(scene)


def test_a_key_has_no_more_than_its_share() -> None:
    async def scene() -> None:
        admission = door(streams=5, per_key=2)
        async with admission.enter("ada"), admission.enter("ada"):
            with pytest.raises(RequestError) as refused:
                async with admission.enter("ada"):
                    pass
            assert refused.value.code == "rate_limit_exceeded"
            assert "The key 'ada' has 2 requests under way" in refused.value.message
            async with admission.enter("bob"):
                assert admission.streams == 3
        async with admission.enter("ada"):
            pass

    run(scene)


def test_callers_without_a_key_are_not_one_caller() -> None:
    async def scene() -> None:
        admission = door(streams=3, per_key=1)
        async with admission.enter(""), admission.enter(""):
            assert admission.streams == 2

    run(scene)


@pytest.mark.parametrize("seed", range(20))
def test_no_place_is_lost_whatever_is_given_up(seed: int) -> None:
    async def scene() -> None:
        chance, admission = random.Random(seed), door(streams=2, queue=20, wait=0.02, per_key=9)

        async def one() -> None:
            await anyio.sleep(chance.random() * 0.02)
            with anyio.move_on_after(chance.random() * 0.02):
                with suppress(RequestError):
                    async with admission.enter(chance.choice("abc")):
                        assert admission.streams <= 2
                        await anyio.sleep(chance.random() * 0.004)

        async with anyio.create_task_group() as group:
            for _ in range(60):
                group.start_soon(one)
        assert (admission.streams, admission.waiting) == (0, 0)

    run(scene)


def test_probes_have_a_door_of_their_own_and_take_no_place_of_callers() -> None:
    async def scene() -> None:
        doors = Doors(Limits(streams=1, queue=0, wait_seconds=1), slots=1)
        async with doors.enter(Origin.USER, "ada"), doors.enter(Origin.PROBE, "probe"):
            with pytest.raises(RequestError):
                async with doors.enter(Origin.USER, "bob"):
                    pass
            async with anyio.create_task_group() as group:

                async def wait() -> None:
                    async with doors.enter(Origin.PROBE, "probe"):
                        pass

                for _ in range(4):
                    group.start_soon(wait)
                await anyio.wait_all_tasks_blocked()
                with pytest.raises(RequestError) as refused:
                    async with doors.enter(Origin.PROBE, "probe"):
                        pass
                assert refused.value.code == "queue_full"
                group.cancel_scope.cancel()
        assert (doors.callers.streams, doors.probes.streams) == (0, 0)

    run(scene)


def test_limits_follow_the_slots_and_a_config_takes_their_place() -> None:
    assert limits_of(2) == Limits(streams=16, queue=64, wait_seconds=10)
    given = {"streams": 4, "queue": 0, "waitSeconds": 2.5, "perKey": 3}
    assert limits_of(2, given) == Limits(streams=4, queue=0, wait_seconds=2.5, per_key=3)


@pytest.mark.parametrize(
    "fields",
    [
        {"streams": 0},
        {"queue": -1},
        {"perKey": True},
        {"waitSeconds": "2"},
        {"waitSeconds": float("nan")},
        {"que": 1},
    ],
)
def test_limits_that_make_no_sense_are_refused(fields: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="admission"):
        limits_of(1, fields)

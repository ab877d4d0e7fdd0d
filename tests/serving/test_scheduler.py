"""Slots: never more at a time than there are, the earliest deadline first, nothing lost to a cancel."""

import random
import threading
import time
from collections.abc import Awaitable, Callable

import anyio
import pytest

from serving.scheduler import Scheduler


def run(what: Callable[[], Awaitable[None]]) -> None:
    anyio.run(what)


def test_the_earliest_deadline_goes_first() -> None:
    async def scene() -> None:
        scheduler, order = Scheduler(1), []
        async with anyio.create_task_group() as group:

            async def work(deadline: float) -> None:
                async with scheduler.slot(deadline=deadline):
                    order.append(deadline)
                    await anyio.sleep(0)

            async with scheduler.slot(deadline=0):
                for deadline in (5, 1, 4, 2, 3):
                    group.start_soon(work, deadline)
                await anyio.wait_all_tasks_blocked()
        assert order == [1, 2, 3, 4, 5]
        assert scheduler.busy == 0

    run(scene)


def test_never_more_at_a_time_than_slots() -> None:
    async def scene() -> None:
        scheduler, lock = Scheduler(3), threading.Lock()
        now = most = 0

        def work() -> None:
            nonlocal now, most
            with lock:
                now += 1
                most = max(most, now)
            time.sleep(0.002)
            with lock:
                now -= 1

        async with anyio.create_task_group() as group:

            async def many(seed: int) -> None:
                for _ in range(5):
                    await scheduler.run(work, deadline=random.Random(seed).random())

            for seed in range(10):
                group.start_soon(many, seed)
        assert most == 3

    run(scene)


@pytest.mark.parametrize("seed", range(20))
def test_cancelled_ones_lose_no_slot(seed: int) -> None:
    async def scene() -> None:
        chance, scheduler = random.Random(seed), Scheduler(2)

        async def one() -> None:
            with anyio.move_on_after(chance.random() * 0.01):
                await scheduler.run(lambda: time.sleep(0.002), deadline=chance.random())

        async with anyio.create_task_group() as group:
            for _ in range(30):
                group.start_soon(one)
        assert scheduler.busy == 0
        async with scheduler.slot(deadline=0), scheduler.slot(deadline=0):
            assert scheduler.busy == 2

    run(scene)


def test_a_cancelled_run_ends_after_its_work() -> None:
    async def scene() -> None:
        scheduler, ended = Scheduler(1), threading.Event()

        def work() -> None:
            time.sleep(0.05)
            ended.set()

        with anyio.move_on_after(0.01):
            await scheduler.run(work, deadline=0)
        assert ended.is_set()
        assert scheduler.busy == 0

    run(scene)


def test_an_error_frees_the_slot() -> None:
    async def scene() -> None:
        scheduler = Scheduler(1)
        with pytest.raises(ZeroDivisionError):
            await scheduler.run(lambda: 1 // 0, deadline=0)
        assert scheduler.busy == 0

    run(scene)

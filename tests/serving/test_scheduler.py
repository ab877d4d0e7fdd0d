"""Slots: never more at a time than there are, the earliest deadline first, nothing lost to a cancel."""

import random
import threading
import time
from collections.abc import Awaitable, Callable
from functools import partial

import anyio
import anyio.to_thread
import pytest

from serving.scheduler import Scheduler


def run(what: Callable[[], Awaitable[None]]) -> None:
    anyio.run(what)


def test_the_earliest_deadline_goes_first() -> None:
    async def scene() -> None:
        scheduler, order, free = Scheduler(1), [], threading.Event()
        async with anyio.create_task_group() as group:

            async def work(deadline: float) -> None:
                await scheduler.run(lambda: order.append(deadline), deadline=deadline)

            group.start_soon(partial(scheduler.run, free.wait, deadline=0))
            await anyio.wait_all_tasks_blocked()
            for deadline in (5, 1, 4, 2, 3):
                group.start_soon(work, deadline)
            await anyio.wait_all_tasks_blocked()
            free.set()
        assert order == [1, 2, 3, 4, 5]
        assert scheduler.busy == 0

    run(scene)


def test_a_slot_goes_on_to_the_next_work_without_the_event_loop() -> None:
    async def scene() -> None:
        scheduler, free, second = Scheduler(1), threading.Event(), threading.Event()
        async with anyio.create_task_group() as group:
            group.start_soon(partial(scheduler.run, free.wait, deadline=0))
            group.start_soon(partial(scheduler.run, second.set, deadline=1))
            await anyio.wait_all_tasks_blocked()
            free.set()
            assert second.wait(5), "while the loop is held up here"

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
        both = threading.Barrier(2)
        async with anyio.create_task_group() as group:
            for _ in range(2):
                group.start_soon(partial(scheduler.run, partial(both.wait, 5), deadline=0))

    run(scene)


@pytest.mark.parametrize("told", [True, False])
def test_a_cancelled_run_ends_after_its_work_which_is_told_to_stop(told: bool) -> None:
    async def scene() -> None:
        scheduler, begun, stopped, ended = (
            Scheduler(1),
            threading.Event(),
            threading.Event(),
            threading.Event(),
        )

        def work() -> None:
            begun.set()
            assert stopped.wait(5 if told else 0.05) is told
            ended.set()

        async with anyio.create_task_group() as group:
            more = {"stop": stopped.set} if told else {}
            group.start_soon(partial(scheduler.run, work, deadline=0, **more))
            assert await anyio.to_thread.run_sync(begun.wait, 5)
            group.cancel_scope.cancel()
        assert ended.is_set()
        assert scheduler.busy == 0

    run(scene)


def test_what_is_cancelled_while_it_waits_is_never_run() -> None:
    async def scene() -> None:
        scheduler, free, ran = Scheduler(1), threading.Event(), []
        async with anyio.create_task_group() as group:
            group.start_soon(partial(scheduler.run, free.wait, deadline=0))
            await anyio.wait_all_tasks_blocked()
            with anyio.move_on_after(0.01):
                await scheduler.run(lambda: ran.append(1), deadline=0, stop=lambda: ran.append(2))
            free.set()
        await scheduler.run(lambda: None, deadline=0)
        assert ran == []

    run(scene)


def test_an_error_frees_the_slot() -> None:
    async def scene() -> None:
        scheduler = Scheduler(1)
        with pytest.raises(ZeroDivisionError):
            await scheduler.run(lambda: 1 // 0, deadline=0)
        assert scheduler.busy == 0

    run(scene)

"""How busy the slots are: what an autoscaler goes by."""

import threading
import time

import pytest
import requests
from prometheus_client import CollectorRegistry, generate_latest

from serving.origin import Origin
from serving.slots import BusySlots
from tests.serving.conftest import Running
from tests.serving.test_origin import series

SERIES = 'tts_busy_slot_seconds_total{origin="user"}'


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def seconds(slots: BusySlots) -> dict[str, float]:
    [family] = slots.collect()
    return {sample.labels["origin"]: sample.value for sample in family.samples}


def test_holding_and_waiting_add_up_by_origin_up_to_the_moment_of_reading() -> None:
    clock = Clock()
    slots = BusySlots("1.0.0", clock=clock)
    assert seconds(slots) == {"user": 0}
    with slots.taken(Origin.USER):
        clock.now += 2
        assert seconds(slots) == {"user": 2}
        with slots.taken(Origin.USER), slots.taken(Origin.PROBE):
            clock.now += 3
        clock.now += 1
    clock.now += 10
    assert seconds(slots) == {"user": 2 + 2 * 3 + 1, "probe": 3}
    with pytest.raises(RuntimeError), slots.taken(Origin.MIRROR):
        raise RuntimeError
    clock.now += 10
    assert seconds(slots) == {"user": 9, "probe": 3, "mirror": 0}


def test_prometheus_reads_a_counter() -> None:
    registry = CollectorRegistry()
    registry.register(BusySlots("1.0.0"))
    text = generate_latest(registry).decode()
    assert "# TYPE tts_busy_slot_seconds_total counter" in text
    assert 'tts_busy_slot_seconds_total{origin="user",version="1.0.0"}' in text


def test_a_queue_is_more_than_all_slots(server: Running) -> None:
    first = series(server)
    slots = int(first["tts_slots"])
    text = "The quick brown fox jumps over the lazy dog, again and again and again. " * 6
    body = {"model": "tts", "input": text}
    begin = time.monotonic()
    waiting = [
        threading.Thread(
            target=requests.post,
            args=(f"{server.url}/v1/audio/speech",),
            kwargs={"json": body, "timeout": 60},
        )
        for _ in range(4 * slots)
    ]
    for each in waiting:
        each.start()
    for each in waiting:
        each.join()
    took = time.monotonic() - begin
    busy = (series(server)[SERIES] - first[SERIES]) / took
    assert slots * 1.5 < busy <= 4 * slots
    idle = series(server)[SERIES]
    time.sleep(0.2)
    assert series(server)[SERIES] == idle
    requests.post(
        f"{server.url}/v1/audio/speech", json=body, headers={"x-tts-probe": "a-release"}, timeout=60
    )
    after = series(server)
    assert after[SERIES] == idle, "what a release asks itself is no reason for more pods"
    assert after['tts_busy_slot_seconds_total{origin="probe"}'] > 0

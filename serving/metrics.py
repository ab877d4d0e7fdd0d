"""What the server tells Prometheus about speech requests."""

from collections.abc import Callable, Iterator

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, generate_latest
from prometheus_client.metrics_core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from serving.origin import Origin
from serving.slots import BusySlots
from serving.storage.writer import WRITES

SPEECH_PATH = "/v1/audio/speech"
CLIENT_GONE = "499"
RECORD_OPERATIONS = ("rate", "forget", "expire")
VOICE_OPERATIONS = ADD_VOICE, READ_VOICES, DELETE_VOICE = "add_voice", "read_voices", "delete_voice"

FIRST_AUDIO_SECONDS = (0.025, 0.05, 0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 12.8, 25.6)
REQUEST_SECONDS = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300)
QUEUE_SECONDS = (0.001, 0.01, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
_FACTORS = (0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.5, 0.7, 1, 1.5, 2, 5)


class _LoadTime(Collector):
    """`tts_model_load_seconds`, which is not there until it is known."""

    def __init__(self, version: str, seconds: Callable[[], float | None]) -> None:
        self._version = version
        self._seconds = seconds

    def collect(self) -> Iterator[Metric]:
        family = GaugeMetricFamily(
            "tts_model_load_seconds",
            "Seconds from the start of the load to the first speech; without the fetch of model files.",
            labels=["version"],
        )
        seconds = self._seconds()
        if seconds is not None:
            family.add_metric([self._version], seconds)
        yield family


class Metrics:
    """The server's metrics, each about requests with the labels `version` and `origin`."""

    def __init__(
        self, version: str, *, slots: int, stores: bool = False, records: bool = False, voices: bool = False
    ) -> None:
        self._version = version
        self._registry = CollectorRegistry()
        ProcessCollector(registry=self._registry)
        self._requests = Counter(
            "tts_requests",
            "Speech requests by status code; 499: the client went away.",
            ["code", "version", "origin"],
            registry=self._registry,
        )
        self._first_audio = self._histogram(
            "tts_first_audio_seconds", "Seconds from a request to its first audio.", FIRST_AUDIO_SECONDS
        )
        self._total = self._histogram(
            "tts_request_seconds", "Seconds from a request to the end of its audio.", REQUEST_SECONDS
        )
        self._queue = self._histogram(
            "tts_queue_seconds", "Seconds that a request waited to be let in.", QUEUE_SECONDS
        )
        self._factor = self._histogram(
            "tts_real_time_factor", "Seconds of work for a second of audio, of whole answers.", _FACTORS
        )
        labels = ["version", "origin"]
        self._queued = Gauge(
            "tts_queue_depth", "Speech requests that wait to be let in.", labels, registry=self._registry
        )
        self._audio = Counter("tts_audio_seconds", "Seconds of audio made.", labels, registry=self._registry)
        self._in_flight = Gauge(
            "tts_in_flight", "Speech requests under way.", labels, registry=self._registry
        )
        self._writes = Counter(
            "tts_store_writes",
            "Answers to be kept by what became of them in the store; dropped: there was no room.",
            ["result", "version"],
            registry=self._registry,
        )
        self._records = Counter(
            "tts_record_writes",
            "Records of answers by what became of them in the store; dropped: there was no room.",
            ["result", "version"],
            registry=self._registry,
        )
        self._store_failures = Counter(
            "tts_store_failures",
            "What the store did not carry out of what was asked of it about records and voices.",
            ["operation", "version"],
            registry=self._registry,
        )
        self.slots = BusySlots(version)
        self._registry.register(self.slots)
        Gauge("tts_slots", "Syntheses at the same time.", registry=self._registry).set(slots)
        self._begin_at_zero(stores=stores, records=records, voices=voices)

    def _begin_at_zero(self, *, stores: bool, records: bool, voices: bool) -> None:
        """Those of users exist from the start, so that a rate over them never misses its first request."""
        version, user = self._version, (self._version, Origin.USER.value)
        for code in ("200", "500"):
            self._requests.labels(code, *user)
        for result in WRITES if stores else ():
            self._writes.labels(result, version)
        for result in WRITES if records else ():
            self._records.labels(result, version)
        operations = (RECORD_OPERATIONS if records else ()) + (VOICE_OPERATIONS if voices else ())
        for operation in operations:
            self._store_failures.labels(operation, version)
        for metric in (
            *(self._first_audio, self._total, self._queue, self._factor),
            *(self._audio, self._in_flight, self._queued),
        ):
            metric.labels(*user)

    def _histogram(self, name: str, text: str, buckets: tuple[float, ...]) -> Histogram:
        return Histogram(name, text, ["version", "origin"], buckets=buckets, registry=self._registry)

    def render(self) -> bytes:
        """Prometheus' text format."""
        return generate_latest(self._registry)

    def audio(self, origin: Origin, seconds: float) -> None:
        """Counts audio that was made."""
        self._audio.labels(self._version, origin.value).inc(seconds)

    def written(self, result: str) -> None:
        """An answer was stored, or not."""
        self._writes.labels(result, self._version).inc()

    def recorded(self, result: str) -> None:
        """A record was stored, or not."""
        self._records.labels(result, self._version).inc()

    def store_failed(self, operation: str) -> None:
        """The store did not carry out one of RECORD_OPERATIONS or VOICE_OPERATIONS."""
        self._store_failures.labels(operation, self._version).inc()

    def began(self, origin: Origin) -> None:
        """A speech request came."""
        self._in_flight.labels(self._version, origin.value).inc()

    def count_queue(self, waiting: Callable[[], int]) -> None:
        """Has the depth of the callers' queue read from `waiting`, at each reading."""
        self._queued.labels(self._version, Origin.USER.value).set_function(waiting)

    def watch_load(self, seconds: Callable[[], float | None]) -> None:
        """Has the seconds that the model took to load read from `seconds`, at each reading; None as long as
        it loads."""
        self._registry.register(_LoadTime(self._version, seconds))

    def let_in(self, origin: Origin, waited: float) -> None:
        """A request was let in after so many seconds."""
        self._queue.labels(self._version, origin.value).observe(waited)

    def ended(
        self,
        origin: Origin,
        code: str,
        *,
        first_audio: float | None,
        total: float,
        real_time_factor: float | None,
    ) -> None:
        """A speech request ended; times in seconds, those of failed requests stay out of the histograms."""
        labels = (self._version, origin.value)
        self._in_flight.labels(*labels).dec()
        self._requests.labels(code, *labels).inc()
        if first_audio is not None:
            self._first_audio.labels(*labels).observe(first_audio)
        if code == "200":
            self._total.labels(*labels).observe(total)
            if real_time_factor is not None:
                self._factor.labels(*labels).observe(real_time_factor)

"""What an application is made of."""

from dataclasses import dataclass, field
from pathlib import Path

from serving.config import VERSIONS_FILE, InferenceConfig
from serving.edge import Activity
from serving.host import EngineHost
from serving.keys import Keys
from serving.metrics import Metrics
from serving.records import Records
from serving.storage.outputs import Outputs
from serving.voices.voices import Voices


@dataclass(frozen=True, kw_only=True)
class Parts:
    """The parts of one revision's application. `outputs` keeps the answers, None where nobody does; `keys`
    are those that it wants, None where it answers everybody; `records` is None where none are made; `voices`
    takes them from recordings, where the model can."""

    config: InferenceConfig
    host: EngineHost
    activity: Activity
    metrics: Metrics
    outputs: Outputs | None = None
    keys: Keys | None = None
    records: Records | None = None
    voices: Voices = field(default_factory=Voices)
    versions_file: Path = VERSIONS_FILE

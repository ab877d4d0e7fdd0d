"""How a release walks: steps, how long each is held, and what the rising revision must keep."""

from dataclasses import dataclass
from math import ceil, log

from components.reader import Reader

IMMEDIATE = "immediate"
DEFAULT_FIRST_AUDIO_RATIO = 1.25
DEFAULT_STEPS = (10, 50, 100)

# What the release needs before it may say pass (release/): the same numbers here, so that a limit that no
# release could ever meet is refused before one begins.
_MISS = 0.05  # how often a pass may be wrong
_GATE_ANSWERS = 20  # the pairs that the gate compares at least, beside its texts
_CANDIDATES_SHARE = 3  # of the probes, at least one in so many reaches the candidate
_FIRST_AUDIO_PERCENT = 5  # of the answers may be later than limits.firstAudioSeconds
_P99_PERCENT = 1


@dataclass(frozen=True)
class Limits:
    """None is no limit. Times in seconds; ratios to the revision that serves beside the rising one."""

    error_percent: float
    first_audio_ratio: float
    first_audio_seconds: float | None
    p99_seconds: float | None
    p99_ratio: float | None


@dataclass(frozen=True)
class Rollout:
    """`steps`: the candidate's weights in percent, rising to 100. Each is held for `hold_seconds` at least
    and, while the evidence is not enough, for `max_hold_seconds` at most; `ready_seconds` until its pods
    answer. `strategy`: gradual, or immediate, which gives all weight in one step."""

    strategy: str
    steps: tuple[int, ...]
    hold_seconds: int
    max_hold_seconds: int
    ready_seconds: int
    min_samples: int
    probes_per_second: float
    limits: Limits

    @property
    def walked(self) -> int:
        """The steps that are really taken."""
        return 1 if self.strategy == IMMEDIATE else max(1, len(self.steps))


def read_rollout(reader: Reader, *, texts: int) -> Rollout:
    """The rollout of the stack; `texts`: how many the gate lets a candidate speak at least."""
    section = reader.section("rollout", optional=True)
    hold = section.whole("holdSeconds", low=0, high=86_400, default=30)
    longest = section.whole("maxHoldSeconds", low=0, high=172_800, default=hold + 60)
    if longest < hold:
        section.refuse(
            "maxHoldSeconds", f"is {longest}, which is below holdSeconds ({hold}): raise it or leave it out."
        )
    rollout = Rollout(
        strategy=section.choice("strategy", options=("gradual", IMMEDIATE), default="gradual"),
        steps=_read_steps(section),
        hold_seconds=hold,
        max_hold_seconds=max(hold, longest),
        ready_seconds=section.whole("readySeconds", low=1, high=3600, default=120),
        min_samples=section.whole("minSamples", low=1, high=10_000, default=10),
        probes_per_second=section.number("probesPerSecond", low=0.1, high=100, default=6),
        limits=_read_limits(section.section("limits", optional=True)),
    )
    _refuse_undecidable(section, rollout, texts)
    section.finish()
    return rollout


def answers_needed(percent: float) -> int:
    """Right answers in a row that show, with 95 % confidence, that fewer than `percent` are wrong."""
    return ceil(log(_MISS) / log(1 - percent / 100))


def answers_to_expect(rollout: Rollout, texts: int) -> int:
    """The candidate's answers that a release can count on from its own requests alone."""
    probes = rollout.probes_per_second * rollout.max_hold_seconds * rollout.walked
    return int(probes / _CANDIDATES_SHARE) + texts + _GATE_ANSWERS


def _read_steps(section: Reader) -> tuple[int, ...]:
    steps: list[int] = []
    for index, step in enumerate(section.items("steps", default=DEFAULT_STEPS)):
        if (
            isinstance(step, bool)
            or not isinstance(step, int | float)
            or step != int(step)
            or not 1 <= step <= 100
        ):
            section.refuse(f"steps[{index}]", f"is {step!r}: write a whole number of percent from 1 to 100.")
            continue
        if steps and step <= steps[-1]:
            section.refuse(
                f"steps[{index}]",
                f"is {step}, which is not above the step before it ({steps[-1]}): let them rise.",
            )
        steps.append(int(step))
    if not steps or steps[-1] != 100:
        last = f"end at {steps[-1]}" if steps else "are empty"
        section.refuse(
            "steps", f"{last}, but the last step must give the candidate all traffic: end with 100."
        )
    return tuple(steps)


def _read_limits(section: Reader) -> Limits:
    limits = Limits(
        error_percent=section.number("errorPercent", low=0.01, high=50, default=5),
        first_audio_ratio=section.number(
            "firstAudioRatio", low=1, high=100, default=DEFAULT_FIRST_AUDIO_RATIO
        ),
        first_audio_seconds=section.limit("firstAudioSeconds", low=0.001, high=600),
        p99_seconds=section.limit("p99Seconds", low=0.001, high=3600),
        p99_ratio=section.limit("p99Ratio", low=1, high=100),
    )
    section.finish()
    return limits


def _refuse_undecidable(section: Reader, rollout: Rollout, texts: int) -> None:
    """A limit that the evidence can never meet would hold every release until it fails. One that gives all
    weight at once asks for no such evidence: it only fails on what is plainly wrong."""
    if rollout.strategy == IMMEDIATE:
        return
    limits, expected = rollout.limits, answers_to_expect(rollout, texts)
    needed = [
        ("errorPercent", limits.error_percent, limits.error_percent, "raise it"),
        ("firstAudioSeconds", limits.first_audio_seconds, _FIRST_AUDIO_PERCENT, "drop it"),
        ("p99Seconds", limits.p99_seconds, _P99_PERCENT, "drop it"),
        ("p99Ratio", limits.p99_ratio, _P99_PERCENT, "drop it"),
    ]
    for name, value, percent, remedy in needed:
        answers = answers_needed(percent)
        if value is not None and expected < answers:
            section.refuse(
                f"limits.{name}",
                f"is {value:g}, which takes {answers} answers of the candidate to decide, but at "
                f"{rollout.probes_per_second:g} probes a second {rollout.walked} steps of at most "
                f"{rollout.max_hold_seconds} seconds and the gate give it {expected}: {remedy}, or raise "
                "maxHoldSeconds or probesPerSecond.",
            )

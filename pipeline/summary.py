"""A preview as a comment of a pull request: what a person wants to know before they say yes."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from pipeline.preview import Preview
from pipeline.refusals import refusals
from pipeline.release import Plan, Release, Sizes, find_release

Links = Callable[[str, str], Sequence[str]]
"""Model and version -> the addresses of what its registration stored: the gate's table, then the samples."""

MARKER = "<!-- tts: release summary -->"
"""The first line, by which the comment is found again and edited."""

_VERBS = {
    "create": "to create",
    "update": "to update",
    "replace": "to replace",
    "delete": "to delete",
}


@dataclass(frozen=True)
class Price:
    """What one GPU costs for an hour."""

    amount: float
    currency: str


def comment(sections: Sequence[str]) -> str:
    """The whole comment."""
    return "\n\n".join([MARKER, *sections]) + "\n"


def section(
    stack: str,
    preview: Preview,
    sizes: Sizes,
    *,
    price: Price | None = None,
    promoted: bool = False,
    links: Links | None = None,
) -> str:
    """What happens to one stack; `promoted`: its images will be those that another stack builds first.
    Without `links` nothing is said of registrations."""
    release = find_release(preview, sizes)
    lines = [_title(stack, release), ""]
    for sentence in refusals(preview):
        lines += [f"> **Refused.** {sentence}", ""]
    rows = [*_rows(release, price, promoted=promoted)] if release else []
    changes = _changes(preview)
    if release and links:
        rows.append(("Gate", _gate(release.new, links)))
    if rows:
        lines += ["| | |", "|---|---|", *(f"| {name} | {text} |" for name, text in rows)]
        lines += [f"| Changes | {changes} |"]
    else:
        lines.append(f"Nothing changes that a release is told. {changes[0].upper()}{changes[1:]}.")
    return "\n".join([*lines, *_details(preview)])


def _title(stack: str, release: Release | None) -> str:
    if release is None:
        return f"### {stack}: no release"
    new = release.new
    if release.old is None:
        return f"### {stack}: {new.model} {new.target.version}, for the first time"
    old = release.old.target
    if old.version == new.target.version:
        return f"### {stack}: {new.model} {new.target.version}, released again as {new.target.name}"
    return f"### {stack}: {new.model} {old.version} → {new.target.version}"


def _rows(release: Release, price: Price | None, *, promoted: bool) -> Iterable[tuple[str, str]]:
    yield "Traffic", _traffic(release)
    yield "Image", _image(release, promoted=promoted)
    yield "Ramp", _ramp(release)
    overlap = release.overlap
    if overlap.gpus:
        yield "GPUs at the peak", f"{overlap.gpus}, {overlap.more} more than now"
        hours = f"at most {overlap.gpu_hours:.1f} GPU hours in {_minutes(overlap.seconds)}"
        yield "Overlap", hours + (f", {_money(overlap.gpu_hours, price)}" if price else "")


def _traffic(release: Release) -> str:
    after = _weights(release.new)
    return f"{_weights(release.old)} → {after}" if release.old else after


def _weights(plan: Plan) -> str:
    """The share of each version, and what stands beside without one."""
    parts = []
    for each in plan.revisions:
        weight = plan.weights.get(each.name, 0)
        parts.append(f"{each.version} {weight} %" if weight else f"{each.version} {each.role}")
    return ", ".join(parts)


def _image(release: Release, *, promoted: bool) -> str:
    if release.digest:
        return f"promoted, nothing is built: `{release.digest}`"
    if promoted:
        return "promoted: the one that staging builds first"
    files = f"{_size(release.new_bytes)} of model files new, {_size(release.same_bytes)} as before"
    parts = [f"{'**build**' if each.built else 'reuse'} `{each.tag}`" for each in release.images]
    return "<br>".join([*parts, files])


def _gate(plan: Plan, links: Links) -> str:
    """What a person can look at and listen to before they say yes."""
    version = plan.target.version
    found = links(plan.model, version)
    if not found:
        return f"{version} was added without `make register`: there is no table, and there are no samples"
    samples = " ".join(f"[{number}]({address})" for number, address in enumerate(found[1:], start=1))
    return f"passed when {version} was registered: [table]({found[0]}), samples {samples}"


def _ramp(release: Release) -> str:
    walk = " → ".join(str(step) for step in release.walked)
    least, most = release.ramp_seconds
    return (
        f"{walk} %: {_minutes(least)} to {_minutes(most)}, after at most {_minutes(release.before_seconds)}"
    )


def _changes(preview: Preview) -> str:
    counts = preview.counts
    parts = [f"{counts[op]} {words}" for op, words in _VERBS.items() if op in counts]
    parts += [f"{number} {op}" for op, number in counts.items() if op not in _VERBS]
    return ", ".join(parts) or "nothing to change"


def _details(preview: Preview) -> Iterable[str]:
    changed = [
        step for step in preview.steps if step.changes and not step.type.startswith(("tts:", "pulumi:"))
    ]
    if not changed:
        return
    yield "\n<details><summary>Every change, in order</summary>\n"
    for step in changed:
        kept = ", which stays where it is" if step.op == "delete" and step.retained else ""
        yield f"- {step.op} {step.kind} `{step.name}`{kept}"
    yield "\n</details>"


def _size(number: int) -> str:
    if number < 1_000_000:
        return f"{number / 1000:.0f} kB" if number else "nothing"
    return f"{number / 1e6:,.1f} MB" if number < 1e9 else f"{number / 1e9:,.2f} GB"


def _minutes(seconds: float) -> str:
    minutes = seconds / 60
    return f"{minutes:.0f} min" if minutes >= 10 or minutes == int(minutes) else f"{minutes:.1f} min"


def _money(hours: float, price: Price) -> str:
    return f"{hours * price.amount:,.2f} {price.currency}"

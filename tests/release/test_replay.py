"""A receipt is decided again: whoever changed a value, a verdict or the outcome is found out."""

import copy
import json

import pytest

from release.findings import ReceiptError, find
from release.replay import UNDECIDED, main, replay

NEW = "hibari-1-1-0-bbbbbb"
GOOD = [0.04 + 0.0001 * number for number in range(30)]
SLOW = [1.5 * each for each in GOOD]
SAID = "So it was."
FRESH = {"max": 2, "maxAgeSeconds": 60}
RATIO = {"ratio": 1.25, "samples": 20}


def placed(name, rule, values, limits, *, phase="step", step=0, subject=NEW):
    step = step if phase == "step" else None
    finding = find(name, subject, rule, values=values, limits=limits, sentence=SAID)
    return {"phase": phase, "revision": NEW, "step": step, **finding.document()}


def level(value=-20.0, **more):
    return placed("level", "range", {"value": value}, {"min": -35, "max": -15}, phase="gate", **more)


def errors(wrong, of, **more):
    return placed("errors", "share", {"wrong": wrong, "of": of}, {"percent": 5, "samples": 10}, **more)


def receipt(outcome, *findings, refused_for=(), steps=1):
    return json.loads(json.dumps({
        "release": "hibari-release-91c0aa", "outcome": outcome, "refusedFor": list(refused_for),
        "findings": list(findings), "findingsLeftOut": 0, "steps": [{"at": 1.0}] * steps,
    }))  # fmt: skip


EVERY_RULE = (
    level(),
    placed("identity", "exact", {"value": True}, {"wanted": True}, phase="gate"),
    placed("prosody", "unjudged", {"value": None}, {"required": False}, phase="gate"),
    placed("firstAudioRatio", "ratio", {"candidate": GOOD, "reference": GOOD}, RATIO),
    placed("prometheus.p99Seconds", "measured", {"value": 1, "ageSeconds": 3}, FRESH),
    errors(0, 60),
)  # fmt: skip
RELEASED = receipt("released", *EVERY_RULE)

AGREEING = {
    "released": RELEASED,
    "released after waiting": receipt("released", errors(0, 20), errors(0, 40), errors(0, 60)),
    "released without a step": receipt("released", level(), steps=0),
    "refused by the gate": receipt("refused", level(), level(-60), steps=0),
    "refused by a slow candidate": receipt("refused", level(), placed(
        "firstAudioRatio", "ratio", {"candidate": SLOW, "reference": GOOD}, RATIO)),
    "refused by errors": receipt("refused", errors(9, 20)),
    "refused undecided": receipt("refused", level(), errors(0, 20)),
    "refused without a judge": receipt(
        "refused", placed("prosody", "unjudged", {}, {"required": True}, phase="gate"), steps=0),
    "refused, never ready": receipt("refused", refused_for=["Revision x was not ready."], steps=0),
    "refused, another pod undecided": receipt(
        "refused", errors(0, 20, subject="one"), errors(0, 60, subject="two")),
    "refused, an earlier step undecided": receipt("refused", errors(0, 20), errors(0, 60, step=1), steps=2),
    **{word: receipt(word, level(), errors(0, 20)) for word in UNDECIDED},
    "no room for a step": {**receipt("released", level(), steps=3), "findingsLeftOut": 40},
}  # fmt: skip


@pytest.mark.parametrize("kind", AGREEING)
def test_what_was_decided_honestly_is_decided_the_same(kind, tmp_path, capsys):
    assert replay(AGREEING[kind]) == []
    path = tmp_path / "receipt.json"
    path.write_text(json.dumps(AGREEING[kind]))
    assert main(path) == 0
    assert capsys.readouterr().out.startswith(f"{AGREEING[kind]['outcome']}: the same verdicts")


TAMPERED = {
    "identity": {"value": 1},
    "level": {"value": -60.0},
    "prosody": None,
    "firstAudioRatio": {"candidate": SLOW},
    "prometheus.p99Seconds": {"ageSeconds": 61},
    "errors": {"wrong": 1},
}


@pytest.mark.parametrize("name", TAMPERED)
def test_a_changed_value_is_found(name, tmp_path, capsys):
    changed = copy.deepcopy(RELEASED)
    (finding,) = (each for each in changed["findings"] if each["name"] == name)
    if TAMPERED[name] is None:
        finding["limits"]["required"] = True
    else:
        finding["values"].update(TAMPERED[name])
    difference, *others = replay(changed)
    assert len(others) == (name == "prosody")  # which is then undecided as well
    assert difference.startswith(f"{name} of {NEW} (")
    assert difference.endswith(SAID)
    path = tmp_path / "receipt.json"
    path.write_text(json.dumps(changed))
    assert main(path) == 1
    assert difference in capsys.readouterr().out


@pytest.mark.parametrize("number", range(len(EVERY_RULE)))
@pytest.mark.parametrize("verdict", ["pass", "fail", "hold"])
def test_a_changed_verdict_is_found(number, verdict):
    changed = copy.deepcopy(RELEASED)
    before = changed["findings"][number]["verdict"]
    changed["findings"][number]["verdict"] = verdict
    differences = replay(changed)
    assert (differences == []) == (verdict == before)


@pytest.mark.parametrize(
    "kind", [kind for kind, each in AGREEING.items() if each["outcome"] in ("released", "refused")]
)
def test_a_changed_outcome_is_found(kind):  # fmt: skip
    other = {"released": "refused", "refused": "released"}[AGREEING[kind]["outcome"]]
    differences = replay({**AGREEING[kind], "outcome": other})
    assert any(f"The outcome is kept as {other}" in difference for difference in differences)
    assert any("perfect" in difference for difference in replay({**AGREEING[kind], "outcome": "perfect"}))


def test_evidence_that_is_taken_away_is_missed():
    assert replay(receipt("released", level(), errors(0, 60), steps=2)) == ["Step 2 has no finding."]
    assert replay(receipt("released")) == ["Step 1 has no finding."]


def test_the_step_is_told_as_people_count():
    changed = receipt("released", errors(0, 60), errors(0, 60, step=1), steps=2)
    changed["findings"][1]["values"]["wrong"] = 9
    assert f"errors of {NEW} (step 2) is kept as pass, but its values say fail" in replay(changed)[0]


def without(key, **changes):
    return {**{other: value for other, value in RELEASED.items() if other != key}, **changes}


NO_RECEIPTS = [
    None, [], "released", 7, {}, without("outcome"), without("findings"), without("outcome", outcome=3),
    without("findings", findings={}), without("findings", findings=[3]),
    without("refusedFor", refusedFor="x"),
    without("findings", findings=[{**level(), "phase": "later"}]),
    without("findings", findings=[{**level(), "step": "1"}]),
    without("findings", findings=[{**level(), "step": True}]),
    without("findings", findings=[{**level(), "rule": "perhaps"}]),
    without("findings", findings=[{**level(), "verdict": "good"}]),
]  # fmt: skip


@pytest.mark.parametrize("document", NO_RECEIPTS)
def test_what_is_no_receipt_is_refused(document, tmp_path, capsys):
    with pytest.raises(ReceiptError):
        replay(document)
    path = tmp_path / "receipt.json"
    path.write_text(json.dumps(document))
    assert main(path) == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    assert f"{path} is no receipt: " in shown.err


@pytest.mark.parametrize("content", [b"", b"{", b"\xff\xfe", b"[" * 100_000])
def test_a_file_that_is_no_json(content, tmp_path, capsys):
    path = tmp_path / "receipt.json"
    path.write_bytes(content)
    assert main(path) == 2
    assert "is no receipt" in capsys.readouterr().err
    assert main(tmp_path / "nowhere.json") == 2

"""The rules: nothing that is missing, stale or NaN passes, and what is decided can be decided again."""

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from release.findings import RULES, Finding, ReceiptError, Verdict, decide, find, finding_from

PASS, FAIL, HOLD = Verdict.PASS, Verdict.FAIL, Verdict.HOLD
NO_NUMBERS = [None, math.nan, math.inf, -math.inf, "", "0.5", "NaN", True, [], {}]

anything = (
    st.sampled_from([*NO_NUMBERS, 0, -1, 1, 5, 50, 0.5, [1, "x"], {"a": None}])
    | st.floats(width=32)
    | st.lists(st.floats(0.01, 5), max_size=8)
)
values = st.dictionaries(
    st.sampled_from(["value", "wrong", "of", "error", "ageSeconds", "candidate", "reference"]), anything
)
limits = st.dictionaries(
    st.sampled_from(
        ["wanted", "min", "max", "maxAgeSeconds", "percent", "passPercent", "samples", "ratio", "required"]
    ),
    anything,
)


@given(st.sampled_from(sorted(RULES)), values, limits)
def test_whatever_comes_is_decided_and_decided_the_same_from_the_receipt(rule, measured, limit):
    finding = find("name", "pod", rule, values=measured, limits=limit, sentence="It is so.")
    read = finding_from(json.loads(json.dumps(finding.document(), allow_nan=False)))
    assert read == finding
    assert decide(rule, read.values, read.limits) is finding.verdict


@given(values, limits)
def test_without_its_numbers_no_rule_passes(measured, limit):
    for key in ("value", "wrong", "of", "candidate", "reference"):
        measured.pop(key, None)
    assert [decide(rule, measured, limit) for rule in RULES if rule != "unjudged"].count(PASS) == 0


@pytest.mark.parametrize(
    ("value", "wanted", "verdict"),
    [
        (True, True, PASS), (1, True, FAIL), (0, 0, PASS), (0, False, FAIL), (1, 1.0, PASS), (2, 1, FAIL),
        ([24000, 24000], [24000, 24000], PASS), ([24000, None], [24000, 24000], FAIL),
        ([24000], [24000, 24000], FAIL), ("1.1.0", "1.1.0", PASS), (math.nan, math.nan, FAIL),
        (None, True, FAIL), (None, None, PASS),
    ],
)  # fmt: skip
def test_exact(value, wanted, verdict):
    assert decide("exact", {"value": value}, {"wanted": wanted}) is verdict


@pytest.mark.parametrize(("measured", "limit"), [({}, {"wanted": None}), ({"value": None}, {}), ({}, {})])
def test_exact_does_not_take_nothing_for_nothing(measured, limit):
    assert decide("exact", measured, limit) is FAIL


@pytest.mark.parametrize(
    ("value", "limit", "verdict"),
    [
        (5, {"min": 5, "max": 6}, True), (6, {"min": 5, "max": 6}, True), (7, {"min": 5}, True),
        (4.999, {"min": 5, "max": 6}, False), (6.001, {"min": 5, "max": 6}, False), (9, {"max": 5}, False),
        (-7, {"max": 5}, True), (0, {"max": 0}, True), (1, {"min": 5}, False),
    ],
)  # fmt: skip
def test_range_and_measured_hold_a_value_to_its_limits(value, limit, verdict):
    for rule in ("range", "measured"):
        assert decide(rule, {"value": value}, limit) is (PASS if verdict else FAIL)


@pytest.mark.parametrize("value", NO_NUMBERS)
def test_what_is_no_number_fails_where_it_is_our_own_and_holds_where_it_is_not(value):
    assert decide("range", {"value": value}, {"max": 1}) is FAIL
    assert decide("measured", {"value": value}, {"max": 1}) is HOLD


@pytest.mark.parametrize(
    "limit", [{}, {"max": None}, {"max": "1"}, {"min": 0, "max": math.nan}, {"maximum": 3}]
)
def test_a_limit_that_cannot_be_read_passes_nothing(limit):
    assert decide("range", {"value": 0.5}, limit) is FAIL
    assert decide("measured", {"value": 0.5}, limit) is HOLD


@pytest.mark.parametrize(
    ("age", "verdict"),
    [(0, PASS), (60, PASS), (-1, PASS), (60.1, HOLD), (-61, HOLD), *((age, HOLD) for age in NO_NUMBERS)],
)  # fmt: skip
def test_measured_data_has_an_age(age, verdict):
    assert decide("measured", {"value": 1, "ageSeconds": age}, {"max": 2, "maxAgeSeconds": 60}) is verdict


def test_measured_data_without_an_age_holds_and_old_data_cannot_fail():
    assert decide("measured", {"value": 1}, {"max": 2, "maxAgeSeconds": 60}) is HOLD
    assert decide("measured", {"value": 9, "ageSeconds": 61}, {"max": 2, "maxAgeSeconds": 60}) is HOLD
    assert decide("measured", {"value": 9, "ageSeconds": 59}, {"max": 2, "maxAgeSeconds": 60}) is FAIL
    assert decide("measured", {"value": 1, "ageSeconds": 1}, {"max": 2, "maxAgeSeconds": None}) is HOLD
    assert decide("measured", {"value": 1, "error": "503"}, {"max": 2}) is HOLD


def share(wrong, of, percent=5, samples=10, **more):
    return decide("share", {"wrong": wrong, "of": of}, {"percent": percent, "samples": samples, **more})


@pytest.mark.parametrize(
    ("wrong", "of", "verdict"),
    [
        (0, 58, HOLD), (0, 59, PASS), (0, 0, HOLD), (1, 93, PASS), (1, 92, HOLD),
        (1, 1, HOLD),  # the lower bound of 1 in 1 is 5 %, not more
        (2, 2, FAIL), (1, 2, HOLD), (3, 10, FAIL), (5, 100, HOLD), (11, 100, FAIL),
    ],
)  # fmt: skip
def test_share_by_its_interval(wrong, of, verdict):
    assert share(wrong, of) is verdict


def test_share_needs_its_samples_to_pass_but_not_to_fail():
    assert share(0, 99, samples=100) is HOLD
    assert share(0, 100, samples=100) is PASS
    assert share(3, 3, samples=100) is FAIL


def test_share_of_zero_percent_takes_no_wrong_answer():
    assert share(0, 9, percent=0) is HOLD
    assert share(0, 10, percent=0) is PASS
    assert share(1, 1_000_000, percent=0) is FAIL
    assert share(0.2, 50, percent=0) is FAIL
    assert share(0.0001, 50, percent=0) is FAIL


def test_share_may_ask_for_less_to_pass_than_to_fail():
    assert share(0, 10, passPercent=100) is PASS
    assert share(0, 9, passPercent=100) is HOLD
    assert share(3, 10, passPercent=100) is FAIL
    assert share(0, 0, samples=0, passPercent=100) is PASS
    assert share(0, 59, passPercent=4) is HOLD
    assert share(0, 59, passPercent="much") is HOLD


@pytest.mark.parametrize(
    ("wrong", "of"),
    [(-1, 5), (6, 5), (0, -3), *((count, 9) for count in NO_NUMBERS), *((0, count) for count in NO_NUMBERS)],
)
def test_counts_that_cannot_be_hold(wrong, of):
    assert share(wrong, of) is HOLD
    assert share(wrong, of, percent=0) is HOLD


def test_all_wrong_is_all_wrong_whatever_the_last_bit_says():
    assert share(10.299999999999999, 10.299999999999997) is FAIL


@given(st.integers(0, 300), st.integers(0, 300), st.integers(0, 100))
def test_one_more_wrong_answer_never_makes_it_better(wrong, right, percent):
    rank = {FAIL: 0, HOLD: 1, PASS: 2}
    of = wrong + right + 1
    assert rank[share(wrong + 1, of, percent)] <= rank[share(wrong, of, percent)]


SLOW, SAME = [0.06 + 0.0001 * i for i in range(30)], [0.04 + 0.0001 * i for i in range(30)]


@pytest.mark.parametrize(
    ("candidate", "reference", "samples", "verdict"),
    [
        (SAME, SAME, 20, PASS), (SLOW, SAME, 20, FAIL), (SAME, SLOW, 20, PASS), (SAME, SAME, 31, HOLD),
        (SLOW, SAME, 31, HOLD), (SAME[:29], SAME, 20, HOLD), ([], [], 0, HOLD), (None, None, 0, HOLD),
        ([*SAME[:29], math.nan], SAME, 20, HOLD), (SAME, [*SAME[:29], 0], 20, HOLD),
        (SAME, [*SAME[:29], -1], 20, HOLD), (["0.04"] * 30, SAME, 20, HOLD),
    ],
)  # fmt: skip
def test_ratio(candidate, reference, samples, verdict):
    measured = {"candidate": candidate, "reference": reference}
    assert decide("ratio", measured, {"ratio": 1.25, "samples": samples}) is verdict


def test_ratio_may_ask_for_less_to_pass_than_to_fail():
    near = {"candidate": [1.22 * each for each in SAME[::3]], "reference": SAME[::3]}
    wide = {"candidate": [1.2, 1.3] * 6, "reference": [1.0] * 12}
    assert decide("ratio", near, {"ratio": 1.25, "samples": 5, "passRatio": 1.2}) is HOLD
    assert decide("ratio", wide, {"ratio": 1.25, "samples": 5}) is HOLD
    assert decide("ratio", wide, {"ratio": 1.25, "samples": 5, "passRatio": 1.5}) is PASS


def test_a_few_slow_answers_in_a_row_refuse_nothing_yet():
    few, many = ({"candidate": SLOW[:count], "reference": SAME[:count]} for count in (19, 20))
    limits = {"ratio": 1.25, "samples": 1, "passRatio": 1e6, "leastPairs": 20}
    assert (decide("ratio", few, limits), decide("ratio", many, limits)) == (HOLD, FAIL)


def test_a_required_check_without_a_judge_fails_and_another_is_only_listed():
    assert decide("unjudged", {}, {"required": True}) is FAIL
    assert decide("unjudged", {}, {}) is FAIL
    assert decide("unjudged", {}, {"required": False}) is HOLD


def test_an_unknown_rule_is_an_error():
    with pytest.raises(ValueError, match="no rule 'perhaps'"):
        decide("perhaps", {}, {})


GOOD = find(
    "level", "pod-1", "range", values={"value": -20}, limits={"max": -15}, sentence="Fine."
).document()


@pytest.mark.parametrize(
    "changes",
    [{"name": None}, {"subject": 3}, {"rule": "perhaps"}, {"values": []}, {"limits": None}, {"verdict": "ok"},
     {"verdict": None}, {"sentence": None}],
)  # fmt: skip
def test_what_is_no_finding_is_refused_by_name(changes):
    with pytest.raises(ReceiptError, match="finding"):
        finding_from({**GOOD, **changes})
    for key in changes:
        with pytest.raises(ReceiptError):
            finding_from({other: value for other, value in GOOD.items() if other != key})
    with pytest.raises(ReceiptError, match="is an object"):
        finding_from("a text")


def test_a_finding_is_read_beside_what_else_stands_there():
    found = finding_from({**GOOD, "phase": "gate", "step": None})
    assert found == Finding("level", "pod-1", "range", {"value": -20}, {"max": -15}, PASS, "Fine.")


def test_what_json_has_no_word_for_is_refused_when_it_is_found():
    with pytest.raises(TypeError, match="bytes cannot be kept"):
        find("it", "pod", "exact", values={"value": b"x"}, limits={"wanted": 1}, sentence="")


# What went wrong elsewhere, and must not here.


def test_argo_rollouts_4479_measurements_that_all_errored_or_failed_are_no_success():
    """Five measurements of `result < 0.02` at a service without traffic: three errored, two failed. Neither
    the limit of failures (more than 2) nor that of errors in a row (more than 4) was reached, so the metric
    counted as successful."""
    errored = {"value": None, "error": "The provider gave no number for this window."}
    failed = {"value": 600.0, "error": ""}
    measured = [errored, failed, errored, failed, errored]
    assert [decide("measured", each, {"max": 0.02}) for each in measured] == [HOLD, FAIL, HOLD, FAIL, HOLD]
    assert decide("measured", {**errored, "value": 0.01}, {"max": 0.02}) is HOLD


def test_flagger_1035_no_traffic_is_neither_success_nor_failure():
    """No request came, so the rate of good ones has no value and the latency's quantile is NaN."""
    assert share(0, 0, percent=1, samples=10) is HOLD
    assert decide("measured", {"value": None, "error": "no values found"}, {"max": 0.5}) is HOLD
    assert decide("measured", {"value": math.nan}, {"max": 0.5}) is HOLD


def test_flagger_1011_traffic_that_stopped_leaves_old_values_that_do_not_advance():
    """At first there was traffic; later there was none, and the last good value went on being read."""
    limit = {"max": 0.5, "maxAgeSeconds": 60}
    fresh = {"value": 0.21, "ageSeconds": 12.0}
    assert decide("measured", fresh, limit) is PASS
    assert decide("measured", {**fresh, "ageSeconds": 312.0}, limit) is HOLD


@pytest.mark.parametrize(
    ("wrong", "of", "verdict"), [(1, 1, "hold"), (1, 400, "pass"), (2, 2, "fail"), (2, 3, "fail")]
)
def test_one_wrong_answer_alone_never_fails_where_two_are_asked_for(
    wrong: int, of: int, verdict: str
) -> None:
    limits = {"percent": 1, "passPercent": 100, "samples": 10, "leastWrong": 2}
    assert decide("share", {"wrong": wrong, "of": of}, limits) is Verdict(verdict)
    if (wrong, of) == (1, 1):
        assert decide("share", {"wrong": wrong, "of": of}, {**limits, "leastWrong": 1}) is Verdict.FAIL

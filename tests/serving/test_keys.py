"""API keys: who is known, and what a file may not hold."""

from pathlib import Path

import pytest

from serving.errors import ConfigError
from serving.keys import Keys, hash_of, parse


def keys_of(folder: Path, text: str, now: list[float]) -> Keys:
    (folder / "keys").write_text(text)
    return Keys(folder / "keys", clock=lambda: now[0])


def test_a_known_key_says_whose_it_is(tmp_path: Path) -> None:
    keys = keys_of(tmp_path, f"# ours\n\nada {hash_of('secret')}\nbob {hash_of('other')}\n", [0.0])
    assert keys.caller("Bearer secret") == "ada"
    assert keys.caller("bearer  other") == "bob"


@pytest.mark.parametrize(
    "header", [None, "", "secret", "Basic secret", "Bearer", "Bearer wrong", "Bearer SECRET"]
)
def test_anything_else_is_nobody(tmp_path: Path, header: str | None) -> None:
    assert keys_of(tmp_path, f"ada {hash_of('secret')}", [0.0]).caller(header) is None


def test_the_hash_itself_opens_nothing(tmp_path: Path) -> None:
    assert keys_of(tmp_path, f"ada {hash_of('secret')}", [0.0]).caller(f"Bearer {hash_of('secret')}") is None


def test_a_key_taken_out_ends_within_seconds_and_a_broken_file_changes_nothing(tmp_path: Path) -> None:
    now = [0.0]
    keys = keys_of(tmp_path, f"ada {hash_of('secret')}", now)
    (tmp_path / "keys").write_text("half a li")
    now[0] = 6
    assert keys.caller("Bearer secret") == "ada"
    (tmp_path / "keys").write_text(f"bob {hash_of('other')}")
    now[0] = 12
    assert keys.caller("Bearer secret") is None
    assert keys.caller("Bearer other") == "bob"


def test_a_wrong_line_is_named_and_not_quoted() -> None:
    with pytest.raises(ConfigError, match=r"Line 2 of the file is no key") as wrong:
        parse(f"ada {hash_of('a')}\nbob hunter2\n", "the file")
    assert "hunter2" not in str(wrong.value)


def test_a_file_without_keys_or_none_at_all_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="holds none"):
        keys_of(tmp_path, "# nobody yet\n", [0.0])
    with pytest.raises(ConfigError, match="cannot be read"):
        Keys(tmp_path / "missing")


def test_when_all_keys_are_taken_out_nobody_is_answered_any_more(tmp_path: Path) -> None:
    now = [0.0]
    keys = keys_of(tmp_path, f"ada {hash_of('secret')}", now)
    (tmp_path / "keys").write_text("# all revoked\n")
    now[0] = 6
    assert keys.caller("Bearer secret") is None

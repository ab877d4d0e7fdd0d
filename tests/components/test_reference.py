"""The pages of the reference say what the schema and the server say now."""

import pytest

from docs.reference.generate import HERE, described, pages, settings_page


@pytest.mark.parametrize("name", ["settings.md", "api.md"])
def test_a_page_is_what_its_source_says(name: str) -> None:
    assert (HERE / name).read_text() == pages()[name], "run `make reference`"


def test_a_new_setting_changes_the_page() -> None:
    said = settings_page({"tts:new": {"type": "string", "description": "A <b> | c."}})
    assert "| `tts:new` | string | must be set | A &lt;b> \\| c. |" in said


def test_every_path_that_is_served_is_described() -> None:
    page = pages()["api.md"]
    for path, methods in described()["paths"].items():
        assert all(f"## `{method.upper()} {path}`" in page for method in methods)

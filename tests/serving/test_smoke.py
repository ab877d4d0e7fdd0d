"""The pipeline's inspection of a live service, of a real server."""

from pipeline.smoke import by_http, inspect

from .conftest import Running


def test_a_real_server_passes_as_its_version_and_as_no_other(server: Running) -> None:
    assert inspect(by_http(server.url, key=""), version="1.0.0") == []
    (sentence,) = inspect(by_http(server.url, key=""), version="1.1.0")
    assert sentence == "The live version is 1.0.0, and 1.1.0 was released."


def test_where_nobody_listens_nobody_answers() -> None:
    (sentence,) = inspect(by_http("http://127.0.0.1:9", key=""), version="")
    assert sentence.startswith("Nobody answers")

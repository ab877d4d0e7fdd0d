"""Voices in the store: whole or not there, never another's, gone everywhere once they are deleted."""

import threading
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from serving.errors import StorageError
from serving.storage.store import FolderStore, Store, Stored
from serving.voices import library as library_module
from serving.voices import references as references_module
from serving.voices.checks import Finding
from serving.voices.library import Library
from serving.voices.references import References
from serving.voices.voice import STATEMENT, Consent, Voice, as_json, from_json, is_id, new_id
from tests.serving.conftest import poll
from tests.serving.recordings import RATE, TEXT, encoded, voice
from tests.serving.test_store import bucket_store

NOW = datetime(2026, 11, 28, 6, tzinfo=UTC)
AUDIO = encoded("flac")
FOLDER = "prod/voices/toy"


def new(name: str = "Ada", created: datetime = NOW) -> Voice:
    return Voice(
        id="",
        name=name,
        created=created,
        transcript=TEXT,
        seconds=5.0,
        container="wav",
        sample_rate=RATE,
        channels=1,
        sha256="",
        warnings=(Finding("noisy", "It is noisy."),),
        consent=Consent(statement=STATEMENT, by="ada", time=created, request_id="r-1"),
    )


class Faulty:
    """A store whose `nth` call of one verb fails from then on until it is mended; what it was asked to put is
    there all the same where `does` says so: only its answer was lost."""

    def __init__(self, store: Store, verb: str, nth: int, *, does: bool = False) -> None:
        self.store, self.verb, self.left, self.does, self.mended = store, verb, nth, does, False

    def _ask(self, verb: str) -> bool:
        if self.mended or verb != self.verb:
            return False
        self.left -= 1
        return self.left <= 0

    def put(self, key: str, content: bytes | bytearray, metadata: Mapping[str, str]) -> None:
        fails = self._ask("put")
        if not fails or self.does:
            self.store.put(key, content, metadata)
        if fails:
            raise StorageError("The store is away.", transient=True)

    def get(self, key: str) -> Stored | None:
        if self._ask("get"):
            raise StorageError("The store is away.", transient=True)
        return self.store.get(key)

    def list(self, prefix: str = "") -> Iterator[str]:
        if self._ask("list"):
            raise StorageError("The store is away.", transient=True)
        return self.store.list(prefix)

    def delete(self, key: str) -> None:
        if self._ask("delete"):
            raise StorageError("The store is away.", transient=True)
        self.store.delete(key)


@pytest.fixture
def folder(tmp_path: Path) -> FolderStore:
    return FolderStore(tmp_path / "store")


@pytest.fixture(params=["folder", "bucket"])
def store(request: pytest.FixtureRequest, folder: FolderStore) -> Iterator[Store]:
    if request.param == "folder":
        yield folder
        return
    made = bucket_store(request.getfixturevalue("object_store").url)
    yield made
    for key in list(made.list(FOLDER)):
        made.delete(key)


def test_a_voice_is_read_back_as_it_was_written() -> None:
    whole = replace(new("Ada 你好 \ud800"), id=new_id(), sha256="0" * 64)
    assert from_json(as_json(whole)).consent == whole.consent
    assert replace(from_json(as_json(whole)), name=whole.name) == whole
    for content in (b"", b"[]", b"{}", b'{"id": 1}', b"\xff"):
        with pytest.raises(ValueError):  # noqa: PT011 - of several kinds
            from_json(content)


def test_a_voice_belongs_to_its_owner_and_to_every_server(store: Store) -> None:
    here, there = Library(store, FOLDER), Library(store, FOLDER)
    first = here.add("ada", new("first"), AUDIO)
    second = here.add("ada", new("second", NOW + timedelta(seconds=1)), AUDIO)
    assert is_id(first.id)
    assert first.id != second.id
    assert there.all_of("ada") == [first, second]
    assert there.count("ada") == 2
    assert there.find("ada", first.id) == first
    assert there.audio("ada", first) == AUDIO
    for other in ("bob", "", "ad"):
        assert there.all_of(other) == []
        assert there.find(other, first.id) is None
        assert not there.delete(other, first.id)
    assert there.delete("ada", first.id)
    assert here.find("ada", first.id) is None
    assert here.audio("ada", first) is None
    assert here.all_of("ada") == [second]
    assert not here.delete("ada", first.id)
    assert here.delete("ada", second.id)
    assert list(store.list(FOLDER)) == []


@pytest.mark.parametrize(
    "voice_id",
    [
        "",
        "..",
        "../bob",
        "voice_",
        "voice_" + "0" * 31,
        "voice_" + "0" * 32 + "/..",
        "VOICE_" + "0" * 32,
        f"../bob/voice_{'0' * 32}",
        "voice_" + "٠" * 32,
    ],
)
def test_what_is_no_id_leads_nowhere(folder: FolderStore, voice_id: str) -> None:
    class Untouched:
        def __getattr__(self, name: str) -> None:
            raise AssertionError(f"the store was asked to {name}")

    library = Library(Untouched(), FOLDER)  # type: ignore[arg-type]
    assert library.find("ada", voice_id) is None
    assert not library.delete("ada", voice_id)


def test_an_id_that_is_taken_is_not_used_again(folder: FolderStore) -> None:
    ids = iter(["voice_" + "0" * 32, "voice_" + "0" * 32, "voice_" + "1" * 32])
    library = Library(folder, FOLDER, make_id=lambda: next(ids))
    first = library.add("ada", new("first"), AUDIO)
    second = library.add("ada", new("second"), encoded("flac", voice(300)))
    assert [first.id[-1], second.id[-1]] == ["0", "1"]
    assert library.all_of("ada") == [first, second]
    assert library.audio("ada", first) == AUDIO


def test_ids_that_are_all_taken_are_an_error_and_touch_nothing(folder: FolderStore) -> None:
    library = Library(folder, FOLDER, make_id=lambda: "voice_" + "0" * 32)
    first = library.add("ada", new(), AUDIO)
    with pytest.raises(StorageError, match="all taken"):
        library.add("ada", new("second"), b"other")
    assert Library(folder, FOLDER).all_of("ada") == [first]
    assert library.audio("ada", first) == AUDIO


@pytest.mark.parametrize("does", [False, True])
@pytest.mark.parametrize("nth", [1, 2])
def test_an_upload_that_fails_leaves_nothing(folder: FolderStore, nth: int, does: bool) -> None:
    """`does`: the store took it, and only said so no more."""
    faulty = Faulty(folder, "put", nth, does=does)
    with pytest.raises(StorageError, match="away"):
        Library(faulty, FOLDER).add("ada", new(), AUDIO)
    assert list(folder.list()) == []


def test_an_upload_whose_store_goes_away_for_good_is_no_voice_and_swept_later(folder: FolderStore) -> None:
    class Gone(Faulty):
        def put(self, key: str, content: bytes | bytearray, metadata: Mapping[str, str]) -> None:
            if key.endswith(".json"):
                self.verb, self.left = "list", 0
                raise StorageError("The store is away.", transient=True)
            super().put(key, content, metadata)

    with pytest.raises(StorageError, match="away"):
        Library(Gone(folder, "", 0), FOLDER).add("ada", new(), AUDIO)
    (half,) = folder.list()
    assert half.endswith("/reference.flac")
    library = Library(folder, FOLDER)
    whole = library.add("ada", new(), AUDIO)
    assert library.all_of("ada") == [whole]
    assert library.count("ada") == 1
    assert library.sweep() == 0, "it could be an upload that is under way"
    assert library.sweep() == 1
    assert library.all_of("ada") == [whole]
    assert library.audio("ada", whole) == AUDIO
    assert len(list(folder.list())) == 2


def test_a_deletion_that_breaks_off_can_be_asked_for_again(folder: FolderStore) -> None:
    kept = Library(folder, FOLDER).add("ada", new(), AUDIO)
    faulty = Faulty(folder, "delete", 2)
    library = Library(faulty, FOLDER)
    with pytest.raises(StorageError, match="away"):
        library.delete("ada", kept.id)
    assert library.find("ada", kept.id) is None, "what makes it a voice goes first"
    faulty.mended = True
    assert library.delete("ada", kept.id)
    assert list(folder.list()) == []


def test_a_recording_that_was_changed_in_the_store_is_not_spoken(folder: FolderStore) -> None:
    library = Library(folder, FOLDER)
    kept = library.add("ada", new(), AUDIO)
    key = f"{FOLDER}/ada/{kept.id}/reference.flac"
    folder.delete(key)
    folder.put(key, encoded("flac", voice(300)), {})
    with pytest.raises(StorageError, match="not the one that was added"):
        library.audio("ada", kept)


def test_uploads_and_deletions_at_the_same_time(folder: FolderStore) -> None:
    """Each sees whole voices alone, and the folder of an owner comes and goes."""
    library, stop = Library(folder, FOLDER), threading.Event()

    def look() -> int:
        seen = 0
        while not stop.is_set():
            for each in Library(folder, FOLDER).all_of("ada"):
                assert each.name == "Ada"
                seen += 1
        return seen

    def come_and_go() -> None:
        for _ in range(40):
            kept = library.add("ada", new(), AUDIO)
            assert library.delete("ada", kept.id)

    with ThreadPoolExecutor(5) as pool:
        looking = pool.submit(look)
        going = [pool.submit(come_and_go) for _ in range(3)]
        for each in going:
            each.result()
        stop.set()
        assert looking.result() > 0
    assert list(folder.list()) == []


def test_one_deletion_of_two_at_the_same_time_finds_it(folder: FolderStore) -> None:
    library = Library(folder, FOLDER)
    kept = library.add("ada", new(), AUDIO)
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda _: library.delete("ada", kept.id), range(4)))
    assert any(found)
    assert list(folder.list()) == []


class Forgotten(list[str]):
    """The digests that an engine was told."""

    def __call__(self, digest: str) -> None:
        self.append(digest)


def test_a_reference_is_loaded_once_and_the_store_is_asked_each_time(folder: FolderStore) -> None:
    library = Library(folder, FOLDER)
    kept = library.add("ada", new(), AUDIO)
    references = References(library, Forgotten())
    found = references.find("ada", kept.id)
    assert found is not None
    assert found[0] == kept
    assert (found[1].sample_rate, found[1].transcript) == (48_000, TEXT)
    assert found[1].seconds == pytest.approx(5, abs=0.01)
    again = references.find("ada", kept.id)
    assert again is not None
    assert again[1] is found[1]
    assert references.find("bob", kept.id) is None, "what is in memory is its owner's alone"


def test_what_another_server_deletes_is_forgotten_here(folder: FolderStore) -> None:
    library, told = Library(folder, FOLDER), Forgotten()
    kept, other = (library.add("ada", new(), encoded("flac", voice(pitch))) for pitch in (200, 300))
    references = References(library, told)
    used = references.find("ada", kept.id)
    stays = references.find("ada", other.id)
    assert used is not None
    assert stays is not None
    Library(folder, FOLDER).delete("ada", kept.id)
    references.look()
    assert told == [used[1].digest]
    assert references.find("ada", kept.id) is None
    told.clear()
    references.look()
    assert told == [used[1].digest], "a synthesis that had begun may have derived it once more"
    told.clear()
    references.look()
    assert told == []
    assert references.find("ada", other.id) is not None


def test_it_is_forgotten_at_the_next_request_already(folder: FolderStore) -> None:
    library, told = Library(folder, FOLDER), Forgotten()
    kept = library.add("ada", new(), AUDIO)
    references = References(library, told)
    used = references.find("ada", kept.id)
    Library(folder, FOLDER).delete("ada", kept.id)
    assert references.find("ada", kept.id) is None
    assert used is not None
    assert told == [used[1].digest]


def test_the_same_recording_of_two_owners_is_forgotten_with_the_last_one(folder: FolderStore) -> None:
    library, told = Library(folder, FOLDER), Forgotten()
    references = References(library, told)
    voices = {owner: library.add(owner, new(), AUDIO) for owner in ("ada", "bob")}
    digests = set()
    for owner, kept in voices.items():
        found = references.find(owner, kept.id)
        assert found is not None
        digests.add(found[1].digest)
    (digest,) = digests
    library.delete("ada", voices["ada"].id)
    references.drop("ada", voices["ada"].id)
    assert told == []
    assert references.uses(digest)
    library.delete("bob", voices["bob"].id)
    references.drop("bob", voices["bob"].id)
    assert told == [digest]
    assert not references.uses(digest)


def test_a_store_that_is_away_is_no_deletion(folder: FolderStore) -> None:
    library = Library(folder, FOLDER)
    kept = library.add("ada", new(), AUDIO)
    faulty, told = Faulty(folder, "get", 1), Forgotten()
    faulty.mended = True
    references = References(Library(faulty, FOLDER), told)
    assert references.find("ada", kept.id) is not None
    faulty.mended = False
    with pytest.raises(StorageError):
        references.look()
    with pytest.raises(StorageError):
        references.find("ada", kept.id)
    assert told == []


def test_it_looks_and_sweeps_by_itself(folder: FolderStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(references_module, "WATCH_SECONDS", 0.01)
    monkeypatch.setattr(library_module, "_SWEEP_SECONDS", 0.02)
    library, told = Library(folder, FOLDER), Forgotten()
    kept = library.add("ada", new(), AUDIO)
    references = References(library, told)
    found = references.find("ada", kept.id)
    folder.put(f"{FOLDER}/ada/{new_id()}/reference.flac", AUDIO, {})
    references.watch()
    library.sweep_now_and_then()
    Library(folder, FOLDER).delete("ada", kept.id)
    poll(lambda: bool(told) and not list(folder.list()), 10)
    assert found is not None
    assert told[0] == found[1].digest


def test_references_in_memory_are_bounded(folder: FolderStore) -> None:
    library = Library(folder, FOLDER)
    references = References(library, Forgotten())
    audio = encoded("flac", voice(seconds=3))
    kept = [library.add("ada", new(), audio) for _ in range(12)]
    for each in kept:
        assert references.find("ada", each.id) is not None
    loaded = references._loaded
    assert len(loaded) == 8
    assert ("ada", kept[-1].id) in loaded

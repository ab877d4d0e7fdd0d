"""What the page asks of the API, and what becomes of the answers."""

import json

import pytest

from tests.page.node import run

PARTS = [
    ("  One. Two.  ", 20, ["One. Two."]),
    ("One. Two. Three.", 11, ["One. Two.", "Three."]),
    ("One. Two.", 4, ["One.", "Two."]),
    ("He said “No!” Then he left.", 16, ["He said “No!”", "Then he left."]),
    ("Pi is 3.14159 or so", 13, ["Pi is 3.14159", "or so"]),
    ("no sentence ends here", 11, ["no sentence", "ends here"]),
    ("你好。世界。", 4, ["你好。", "世界。"]),
    ("a line\nanother line", 10, ["a line", "another", "line"]),
    ("abcdef", 4, ["abcd", "ef"]),
    ("abc😀def", 4, ["abc", "😀de", "f"]),
    ("Hello there. ... !!", 12, ["Hello there."]),
    ("... ... ...", 4, ["..."]),
    ("", 4, [""]),
]


def test_a_text_is_cut_at_sentence_ends() -> None:
    asked = [[text, most] for text, most, _ in PARTS]
    found = run(f"give({json.dumps(asked)}.map(([text, most]) => parts(text, most)))")
    assert found == [expected for _, _, expected in PARTS]


def test_no_part_is_longer_than_a_request_may_be_and_nothing_is_lost() -> None:
    from serving.speech import MAX_CHARACTERS

    text = " ".join(f"This is sentence number {number}, and it goes on for a while." for number in range(300))
    found, words, most = run(
        f"give([parts({json.dumps(text)}), parts('word '.repeat(3000)), MOST_CHARACTERS])"
    )
    assert len(found) == 5
    assert all(len(part) <= 4096 and part.endswith(".") for part in found)
    assert " ".join(found) == text
    assert words[0].endswith("word")
    assert most == MAX_CHARACTERS


LONG = "const text = 'Word word word word. '.repeat(450);\n"


def test_a_long_text_is_spoken_by_pinned_requests_into_one_recording() -> None:
    found = run(f"""{LONG}
        const told = [];
        const grown = [];
        const tell = (at, of) => told.push([at, of]);
        const begin = ({{ seconds, parts, recording }}) =>
          grown.push(seconds < parts[0].text.length / 24000, recording.done);
        const asking = wish(text, {{ voice: "heart", phonemes: {{ a: "b" }} }});
        const take = await speak(server(["1.0.0"]), asking, how({{ version: "1.0.0", tell, begin }}));
        const {{ samples, done }} = take.recording;
        const {{ model, response_format, speed, seed, voice, phonemes }} = asked[0];
        give({{ versions: take.versions, requests: take.requests, told, grown, done,
               pins: asked.map(({{ pin }}) => pin), texts: asked.map(({{ input }}) => input.length),
               length: samples.length, order: [...new Set(samples)],
               body: [model, response_format, speed, seed, voice, phonemes] }});
    """)
    assert found["versions"] == ["1.0.0"]
    assert found["requests"] == ["q0", "q1", "q2"]
    assert found["told"] == [[1, 3], [2, 3], [3, 3]]
    assert found["grown"] == [True, False]  # it is given while it grows
    assert found["done"]
    assert found["pins"] == ["1.0.0"] * 3
    assert found["length"] == sum(found["texts"])
    assert found["order"] == [1, 2, 3]
    assert found["body"] == ["tts", "wav", 1, 3, "heart", {"a": "b"}]


def test_a_version_that_goes_away_in_the_middle() -> None:
    found = run(f"""{LONG}
        const take = await speak(server(["1.0.0", "1.1.0"]), wish(text), how({{ version: "1.0.0" }}));
        const pins = asked.map(({{ pin }}) => pin);
        asked.length = 0;
        const other = outcome(speak(server(["1.0.0", "1.1.0"], [24000, 44100]), wish(text), how()));
        give([take.versions, take.version, pins, await other]);
    """)
    pins = ["1.0.0", "1.0.0", "1.1.0"]
    assert found == [["1.0.0", "1.1.0"], "1.1.0", pins, "Unfitting: another sample rate"]


def test_what_fails_is_told_apart_and_ends_the_recording() -> None:
    found = run("""
        let begun = null;
        const begin = (take) => { begun = take; };
        const refused = await speak(server([429]), wish("Hello."), how()).catch((error) => error);
        const down = await outcome(speak(server(["down"]), wish("Hello."), how()));
        asked.length = 0;
        const broken = await outcome(speak(server(["broken"]), wish("Hello."), how({ begin })));
        const away = new AbortController();
        away.abort();
        const aborted = speak(server(["down"]), wish("Hello."), how({ signal: away.signal }));
        const { status, code, param, wait, message } = refused;
        give([[refused instanceof Refusal, status, code, param, wait, message], down, broken,
              begun.recording.done, begun.recording.length, await outcome(aborted)]);
    """)
    refused, down, broken, done, length, aborted = found
    assert refused == [True, 429, "code-429", "input", 7, "status 429"]
    assert (down, broken) == ("Unreachable: no answer came", "Unreachable: the answer broke off")
    assert (done, length) == (True, 2)
    assert aborted == "TypeError: fetch failed"  # whoever gave up is not told that nothing is there


def test_a_key_is_sent_and_forgotten() -> None:
    found = run("""
        const api = server([401, "1.0.0", 404]);
        api.key = "secret";
        await outcome(api.get("v1/models"));
        api.key = "";
        await api.speech({ input: "x" }, { version: "1.0.0" });
        const nothing = await api.get("v1/versions");
        await outcome(api.rate("a/b", { rating: "up" }));
        await outcome(api.forget("q1"));
        give([asked.map(({ path, method, key }) => [path, method ?? "GET", key]), nothing, [...storedKeys]]);
    """)
    assert found == [
        [
            ["v1/models", "GET", "Bearer secret"],
            ["v1/audio/speech", "POST", None],
            ["v1/versions", "GET", None],
            ["v1/audio/speech/a%2Fb/rating", "POST", None],
            ["v1/audio/speech/q1", "DELETE", None],
        ],
        None,
        [],
    ]


def test_another_format_is_made_by_the_same_version_with_the_same_seed() -> None:
    found = run(f"""{LONG}
        const api = server(["1.0.0"]);
        const take = await speak(api, wish(text), how());
        asked.length = 0;
        const blob = await encoded(api, wish(text), take, "mp3");
        const asks = asked.map(({{ pin, seed, response_format }}) => [pin, seed, response_format]);
        asked.length = 0;
        const gone = await outcome(encoded(server(["1.0.0", "1.1.0"]), wish(text), take, "mp3"));
        const entry = entryOf(wish("Good morning, world! Now go on."), [take]);
        give([asks, blob.size, blob.type, gone, fileName(entry, "mp3")]);
    """)
    asks, size, kind, gone, name = found
    assert asks == [["1.0.0", 3, "mp3"]] * 3
    assert size == 3 * 44 + 2 * (450 * 21 - 1 - 2)
    assert kind == "audio/wav"
    assert gone == "VersionGone: version 1.0.0 is gone"
    assert name == "good-morning-world-now-go-1.0.0.mp3"


def test_a_wav_is_read_in_any_pieces() -> None:
    found = run("""
        const samples = Int16Array.from({ length: 1000 }, (_, at) => at * 30 - 15000);
        const file = wavFile(samples, 44100);
        const extra = [...new TextEncoder().encode("LIST"), 4, 0, 0, 0, 1, 2, 3, 4];
        const list = new Uint8Array([...file.slice(0, 36), ...extra, ...file.slice(36)]);
        const read = [1, 7, 45, 5000].flatMap((size) => [file, list].map((bytes) => {
          const reader = new WavReader();
          const found = [];
          for (let at = 0; at < bytes.length; at += size) {
            found.push(...reader.read(bytes.subarray(at, at + size)));
          }
          return [reader.sampleRate, String(found) === String([...samples])];
        }));
        const wrong = (at, value) => {
          const bytes = wavFile(samples, 44100);
          bytes[at] = value;
          return outcome(Promise.resolve().then(() => new WavReader().read(bytes)));
        };
        const back = Recording.fromWav(wavFile(samples, 44100));
        give([read, await wrong(0, 1), await wrong(22, 2), await wrong(34, 8), back.done, back.length]);
    """)
    read, *wrong, done, length = found
    assert read == [[44100, True]] * 8
    assert wrong == ["NoAudio: not a WAV file"] + ["NoAudio: not 16-bit PCM in one channel"] * 2
    assert (done, length) == (True, 1000)


def test_a_recording_grows_with_its_peaks() -> None:
    found = run("""
        const recording = new Recording(22050);
        const events = [];
        for (const name of ["grow", "end"]) recording.addEventListener(name, () => events.push(name));
        const sample = (_, at) => (at % 2 ? -1 : 1) * Math.floor(at / 10);
        const samples = Int16Array.from({ length: 220500 }, sample);
        for (let at = 0; at < samples.length; at += 12345) recording.append(samples.subarray(at, at + 12345));
        recording.append(new Int16Array(0));
        recording.end();
        recording.end();
        const slice = [...recording.slice(220498, 230000)];
        const { seconds, peaks } = recording;
        give([seconds, peaks.length, peaks[0], peaks[999], events.length, slice]);
    """)
    seconds, peaks, first, last, events, piece = found
    assert (seconds, peaks, events) == (10, 1000, 19)
    assert first == pytest.approx(22 / 32768)
    assert last == pytest.approx(22049 / 32768)
    assert piece == pytest.approx([22049 / 32768, -22049 / 32768])

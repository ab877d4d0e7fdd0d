"""Writes the pages of the reference: settings from Pulumi.yaml, the API from the server's own description.

python docs/reference/generate.py      (`make reference`)
"""

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
sys.path.insert(0, str(ROOT))

from serving.app import create_api  # noqa: E402 - this file is run as a script
from serving.config import parse_inference  # noqa: E402
from serving.edge import Activity  # noqa: E402
from serving.host import EngineHost  # noqa: E402
from serving.metrics import Metrics  # noqa: E402
from serving.parts import Parts  # noqa: E402

Json = dict[str, Any]
MADE = "<!-- Made by `make reference`; edit its source instead. -->\n"
SETTINGS_HEAD = f"""{MADE}
# Settings

The config of a stack, `Pulumi.<stack>.yaml`. A name or a type that is wrong is refused by the Pulumi CLI and
by `make up` alike, a value by the program, which reports every mistake at once. What an object may hold
stands in its description; a number in brackets is the default. The source of this page is
[Pulumi.yaml](../../Pulumi.yaml).

| key | type | default | what it is |
|---|---|---|---|
"""
API_HEAD = f"""{MADE}
# The speech API

What a server answers, from its own description at `/openapi.json`.
[How to use it](../speech-api.md) has examples in curl and Python.

"""


def main() -> None:
    """Writes every page."""
    for name, text in pages().items():
        (HERE / name).write_text(text, encoding="utf-8")


def pages() -> dict[str, str]:
    """File name -> text."""
    schema = yaml.safe_load((ROOT / "Pulumi.yaml").read_text(encoding="utf-8"))["config"]
    return {"settings.md": settings_page(schema), "api.md": api_page(described())}


def settings_page(schema: Json) -> str:
    """One row a key; those without a default must be set."""
    rows = []
    for key, setting in schema.items():
        default = f"`{_value(setting['default'])}`" if "default" in setting else "must be set"
        rows.append(f"| `{key}` | {setting['type']} | {default} | {_cell(setting['description'])} |\n")
    return SETTINGS_HEAD + "".join(rows)


def described() -> Json:
    """The server's own description, of a server that has loaded nothing."""
    entry = yaml.safe_load((ROOT / "models/hibari/1.1.0.yaml").read_text(encoding="utf-8"))
    fields = {key: entry[key] for key in ("model", "version", "engine", "sampleRate", "languages", "license")}
    config = parse_inference({**fields, "revision": "hibari-1-1-0-3fa9c2", "artifacts": [], "slots": 1})
    metrics = Metrics(config.version, slots=config.slots)
    parts = Parts(config=config, host=EngineHost(config, Path()), activity=Activity(), metrics=metrics)
    return create_api(parts).openapi()


def api_page(document: Json) -> str:
    """One section an operation, one an object that is sent or answered."""
    operations = [
        _operation(method, path, operation)
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    ]
    objects = [_object(name, schema) for name, schema in document["components"]["schemas"].items()]
    about = document["info"]["description"]
    return "\n".join([API_HEAD + about, "", *operations, "# Objects", "", *objects]).rstrip() + "\n"


def _operation(method: str, path: str, operation: Json) -> str:
    about = str(operation.get("description", operation["summary"]))
    lines = [f"## `{method.upper()} {path}`", "", about, ""]
    for parameter in operation.get("parameters", []):
        said = parameter.get("description", parameter["schema"].get("description", ""))
        lines.append(f"- `{parameter['name']}` ({parameter['in']}) {said}".rstrip())
    body = operation.get("requestBody", {}).get("content", {})
    lines += [f"- sent: {_content(kind, found)}" for kind, found in body.items()]
    for status, answer in operation["responses"].items():
        kinds = ", ".join(_content(kind, found) for kind, found in answer.get("content", {}).items())
        code = "any other" if status == "default" else status
        lines.append(f"- {code}: {answer['description']}" + (f" ({kinds})" if kinds else ""))
    return "\n".join([*lines, ""])


def _content(kind: str, found: Json) -> str:
    reference = found.get("schema", {}).get("$ref")
    return f"{_link(reference)} as {kind}" if reference else kind


def _object(name: str, schema: Json) -> str:
    required = set(schema.get("required", []))
    lines = [f"## {name}", ""]
    lines += [schema["description"], ""] if "description" in schema else []
    lines += ["| field | type | what it is |", "|---|---|---|"]
    for field, found in schema.get("properties", {}).items():
        must = ", must be given" if field in required else ""
        lines.append(f"| `{field}` | {_type(found)}{must} | {_cell(found.get('description', ''))} |")
    for example in schema.get("examples", []):
        lines += ["", "```json", json.dumps(example, ensure_ascii=False, indent=2), "```"]
    return "\n".join([*lines, ""])


def _type(schema: Json) -> str:
    return " or ".join(dict.fromkeys(_types(schema)))


def _types(schema: Json) -> Iterator[str]:
    if "$ref" in schema:
        yield _link(schema["$ref"])
    elif "anyOf" in schema:
        for each in schema["anyOf"]:
            yield from _types(each)
    elif "enum" in schema:
        yield from (f"`{value}`" for value in schema["enum"])
    elif "const" in schema:
        yield f"`{schema['const']}`"
    elif schema.get("type") == "array" and "items" in schema:
        yield f"list of {_type(schema['items'])}"
    else:
        yield str(schema.get("type", "any"))


def _link(reference: str) -> str:
    name = reference.rpartition("/")[2]
    return f"[{name}](#{name.lower()})"


def _value(value: object) -> str:
    return value if isinstance(value, str) and value else json.dumps(value)


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|").replace("<", "&lt;")


if __name__ == "__main__":
    main()

#!/usr/bin/env python3
"""Makes docs/api/reference.md from docs/api/openapi.json, which the gateway's build makes from the protos and proto/http.yaml, and from who may
call what in server/control/access/rights.c. To standard output: api_reference.py OPENAPI_JSON RIGHTS_C
"""

import json
import re
import sys
from pathlib import Path

SERVICES = {"BACKUP": "BackupService", "OFFSITE": "OffsiteService", "ALERT": "AlertService", "RECOVERY": "DisasterRecoveryService", "ADMIN": "AdminService"}


def rights(path):
    """{"Service_Method": who may call it}"""
    rows = re.findall(r"^    \{(\w+)\((\w+)\), MOS_ROLE_(\w+), (NULL|\"[^\"]*\"), \w+, (\w+), (true|false)\},$", path.read_text(), re.M)
    assert len(rows) == len(re.findall(r"^    \{\w+\(\w+\), MOS_ROLE_", path.read_text(), re.M)), "a row is not understood"
    result = {}
    for service, method, role, right, kind, confirmed in rows:
        said = role + ("" if right == "NULL" else f", or the right {right[1:-1]}")
        said += ", no session of the POS" if kind == "LASTING" else ""
        said += "; with MOSAAJII_SECOND_PERSON confirmed by another" if confirmed == "true" else ""
        result[f"{SERVICES[service]}_{method}"] = said
    return result


def shape(schema):
    """The type of a value, with a link where it is a message."""
    if "$ref" in schema:
        name = schema["$ref"].rsplit("/", 1)[1]
        return f"[{name}](#{name.lower()})"
    if "anyOf" in schema:
        return shape(schema["anyOf"][0])
    if "enum" in schema:
        return ", ".join(word for word in schema["enum"] if word is not None)
    kind = schema.get("type", "any")
    kind = next((word for word in kind if word != "null"), "any") if isinstance(kind, list) else kind
    if kind == "array":
        return f"list of {shape(schema['items'])}"
    if kind == "object" and isinstance(schema.get("additionalProperties"), dict):
        return f"map to {shape(schema['additionalProperties'])}"
    if schema.get("format") == "date-time":
        return "time"
    limits = [str(schema[word]) for word in ("minimum", "maximum") if word in schema]
    return {"boolean": "true or false", "string": "text"}.get(kind, kind) + (f", {' to '.join(limits)}" if len(limits) == 2 else "")


def cell(text):
    return " ".join(text.replace("|", "\\|").split())


def fields(properties, required=()):
    lines = ["", "| field | type | meaning |", "|---|---|---|"]
    for name, schema in properties:
        must = " (required)" if name in required else ""
        lines.append(f"| `{name}`{must} | {shape(schema)} | {cell(schema.get('description', ''))} |")
    return lines if len(lines) > 3 else []


def answer_of(operation):
    code, answer = next((code, answer) for code, answer in operation["responses"].items() if code.startswith("2"))
    contents = answer.get("content", {})
    if "application/json" not in contents:
        kinds = ", ".join(contents) or "nothing"
        told = next((shape(one["schema"]) for one in contents.values() if "$ref" in one.get("schema", {})), "")
        return f"{code}: {kinds}{' of ' + told if told else ''}"
    data = contents["application/json"]["schema"].get("properties", {}).get("data")
    return f"{code}: {shape(data) if data else 'no data'}"


def operation_lines(method, path, operation, who):
    name = operation["operationId"]
    lines = ["", f"### {name.split('_')[-1]}", "", f"`{method.upper()} {path}`"]
    if "_" in name:
        lines[-1] += f" · gRPC `mosaajii.backup.v1.{name.replace('_', '/')}` · {who[name]}"
    said = " ".join(filter(None, (operation.get("summary"), operation.get("description"))))
    lines += ["", cell(said)] if said else []
    parameters = [(one["name"], one["schema"] | {"description": one.get("description", "")}) for one in operation.get("parameters", [])]
    lines += fields(parameters, [one["name"] for one in operation.get("parameters", []) if one.get("required")])
    for content in operation.get("requestBody", {}).get("content", {}).values():
        lines += ["", f"Body: {shape(content['schema'])}"]
    return [*lines, "", f"Answer {answer_of(operation)}"]


def reference(document, who):
    lines = [
        "# API",
        "",
        "<!-- Made from docs/api/openapi.json and server/control/access/rights.c by deploy/docs/api_reference.py; `make lint` compares. -->",
        "",
        "Each call over gRPC and over REST, and who may make it. Field names are those of JSON; in the protos",
        "([proto/mosaajii/backup/v1](../../proto/mosaajii/backup/v1)) they are written with underscores. REST puts every answer into",
        '`{"success": true, "data": …}`, lists with `"pagination"`, failures into `{"success": false, "error": …, "code": …, "details": […]}`;',
        "watch routes answer lines of JSON or server-sent events ([gateway](../design/gateway.md)).",
    ]
    for tag in document["tags"]:
        lines += ["", f"## {tag['name']}", *(["", cell(tag["description"])] if tag.get("description") else [])]
        for path, methods in document["paths"].items():
            for method, operation in methods.items():
                if operation.get("tags") == [tag["name"]]:
                    lines += operation_lines(method, path, operation, who)
    lines += ["", "## Messages"]
    for name, schema in document["components"]["schemas"].items():
        lines += ["", f"### {name}", *(["", cell(schema["description"])] if schema.get("description") else [])]
        lines += [*fields(schema.get("properties", {}).items(), schema.get("required", ()))]
        lines += ["", f"One of {shape(schema)}."] if "enum" in schema else []
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.stdout.write(reference(json.loads(Path(sys.argv[1]).read_text()), rights(Path(sys.argv[2]))))

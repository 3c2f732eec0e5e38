"""OpenAPI 3.0 and 3.1: a tool for each operation.

Path, query and body parameters become the tool's parameters. An object in the body is spread out
into them, so that a call is flat; a name that stands in two places gets its place as a prefix
(`body_id`). Headers and cookies are left out: they are the client's matter, not the model's.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from looptool.errors import ConfigError
from looptool.importing import Found, Note
from looptool.importing.naming import is_legal, legal_name
from looptool.importing.schemas import Schemas, Unusable, Warn
from looptool.tools import Tool, check_tool

METHODS = ("get", "put", "post", "delete", "options", "head", "patch", "trace")

_FORMS = ("application/x-www-form-urlencoded", "multipart/form-data")


def read_openapi(document: Mapping[str, Any], where: str, found: Found) -> None:
    """Add a tool to `found` for each operation, or the reason why there is none.

    Raises:
        ConfigError: if the document is of another version, or has no paths.
    """
    version = str(document.get("openapi"))
    if "swagger" in document:
        raise ConfigError(
            f"{where}: swagger: {document['swagger']} is not read, OpenAPI 3 is; convert it: "
            f"`npx swagger2openapi {where} -o openapi.json`"
        )
    if not version.startswith(("3.0", "3.1")):
        raise ConfigError(f"{where}: openapi: {version!r} is unknown (allowed: 3.0, 3.1)")
    paths = document.get("paths") or {}
    if not isinstance(paths, Mapping):
        raise ConfigError(f"{where}: paths: must be an object")
    schemas = Schemas(document, old=version.startswith("3.0"))
    operations = list(_operations(paths, schemas, found))
    names = _names(operations, found)
    for (what, _, _, _), name in zip(operations, names, strict=True):
        if name is None:
            found.skipped.append(Note(what, "the operation must be an object"))
    for (what, path_item, operation, path), name in zip(operations, names, strict=True):
        if name is None:
            continue
        told: list[str] = []
        try:
            tool = _tool(name, what, path_item, operation, path, schemas, told.append)
        except Unusable as reason:
            found.skipped.append(Note(what, str(reason)))
            continue
        if problem := check_tool(tool):
            found.skipped.append(Note(what, problem))
            continue
        found.tools.append(tool)
        found.warnings += [Note(name, text) for text in dict.fromkeys(told)]


def _operations(
    paths: Mapping[str, Any], schemas: Schemas, found: Found
) -> Iterator[tuple[str, Mapping[str, Any], Any, str]]:
    """Yield (method and path, what holds for the whole path, operation, path)."""
    for path, item in paths.items():
        if path.startswith("x-"):
            continue
        try:
            item = schemas.target(item)
            if not isinstance(item, Mapping):
                raise Unusable("the path must be an object")
        except Unusable as reason:
            found.skipped.append(Note(str(path), str(reason)))
            continue
        for method in METHODS:
            if method in item:
                yield f"{method.upper()} {path}", item, item[method], path


def _names(
    operations: list[tuple[str, Mapping[str, Any], Any, str]], found: Found
) -> list[str | None]:
    """Return each operation's name; a legal operationId keeps its own, whatever stands before."""
    wanted: list[Any] = [
        operation.get("operationId") if isinstance(operation, Mapping) else None
        for _, _, operation, _ in operations
    ]
    taken: set[str] = set()
    names: list[str | None] = [None] * len(operations)
    for place, identity in enumerate(wanted):
        if isinstance(identity, str) and is_legal(identity) and identity not in taken:
            names[place] = identity
            taken.add(identity)
    for place, (what, _, operation, _) in enumerate(operations):
        if names[place] is not None or not isinstance(operation, Mapping):
            continue
        identity = wanted[place]
        twice = isinstance(identity, str) and identity in taken
        own = isinstance(identity, str) and bool(identity.strip()) and not twice
        name = legal_name(identity if own else _derived(what), taken)
        if twice:
            found.warnings.append(
                Note(name, f"{what}: another operation is called {identity!r} already")
            )
        elif own and name != identity:
            found.warnings.append(
                Note(name, f"{what}: {identity!r} is no name that a model can emit")
            )
        names[place] = name
        taken.add(name)
    return names


def _derived(what: str) -> str:
    """Return a name out of "GET /shows/{id}": get_shows_id."""
    method, path = what.split(" ", 1)
    parts = [part.strip("{}") for part in path.split("/") if part.strip("{}")]
    return "_".join([method.lower(), *parts])


def _tool(
    name: str,
    what: str,
    item: Mapping[str, Any],
    operation: Mapping[str, Any],
    path: str,
    schemas: Schemas,
    warn: Warn,
) -> Tool:
    places = [
        *_parameters(item, operation, schemas, warn),
        *_body(operation.get("requestBody"), schemas, warn),
    ]
    properties: dict[str, Any] = {}
    required = []
    for place, key, schema, needed in places:
        free = key
        if free in properties:
            free = _numbered(f"{place}_{key}", properties)
            warn(f"{key} stands in several places; in {place} it is called {free}")
        properties[free] = schema
        if needed:
            required.append(free)
    for part in path.split("/"):
        if part.startswith("{") and part.endswith("}") and part[1:-1] not in properties:
            warn(f"the path's {part} is described nowhere; it is taken for a text")
            properties[part[1:-1]] = {"type": "string"}
            required.append(part[1:-1])
    if operation.get("deprecated") is True:
        warn("is deprecated")
    return {
        "name": name,
        "description": _description(operation, item, what, warn),
        "parameters": {"type": "object", "properties": properties, "required": required},
    }


def _numbered(name: str, taken: Mapping[str, Any]) -> str:
    """Return `name`, numbered where it is taken."""
    free, number = name, 2
    while free in taken:
        free, number = f"{name}_{number}", number + 1
    return free


def _description(
    operation: Mapping[str, Any], item: Mapping[str, Any], what: str, warn: Warn
) -> str:
    """Return the summary, and what the description says beyond it in its first paragraph."""
    texts = [
        " ".join(str(part.get(key) or "").split("\n\n")[0].split())
        for part in (operation, item)
        for key in ("summary", "description")
    ]
    summary, more = texts[:2] if any(texts[:2]) else texts[2:]
    if not summary and not more:
        warn("has no description; a model sees method and path")
        return what
    if not summary or more.casefold().startswith(summary.casefold().rstrip(".")):
        return more
    if not more:
        return summary
    return f"{summary}{'' if summary.endswith(('.', '!', '?')) else '.'} {more}"


def _parameters(
    item: Mapping[str, Any], operation: Mapping[str, Any], schemas: Schemas, warn: Warn
) -> Iterator[tuple[str, str, dict[str, Any], bool]]:
    """Yield (place, name, schema, whether it is required) of path and query, in their order.

    Raises:
        Unusable: if a parameter has no name or place, or its schema cannot be used.
    """
    chosen: dict[tuple[str, str], Mapping[str, Any]] = {}
    for part in (item, operation):
        listed = part.get("parameters") or []
        if not isinstance(listed, list):
            raise Unusable("parameters: must be a list")
        for parameter in listed:
            parameter = schemas.target(parameter)
            if not isinstance(parameter, Mapping):
                raise Unusable("parameters: each must be an object")
            place, name = parameter.get("in"), parameter.get("name")
            if not isinstance(name, str) or not name or not isinstance(place, str):
                raise Unusable("parameters: each needs name and in")
            chosen[place, name] = parameter
    for (place, name), parameter in chosen.items():
        if place in ("header", "cookie"):
            warn(f"{place} {name} is left out")
            continue
        if place not in ("path", "query"):
            raise Unusable(
                f"parameters.{name}.in: {place!r} is unknown (allowed: path, query, header, cookie)"
            )
        schema = parameter.get("schema")
        content = parameter.get("content")
        if schema is None and isinstance(content, Mapping) and content:
            schema = next(iter(content.values())).get("schema")
        if schema is None:
            warn(f"{name} has no schema; it is taken for a text")
            schema = {"type": "string"}
        plain = schemas.plain(schema, warn)
        if isinstance(text := parameter.get("description"), str) and text.strip():
            plain = {**plain, "description": " ".join(text.split())}
        if "example" in parameter and "examples" not in plain:
            plain = {**plain, "examples": [parameter["example"]]}
        yield place, name, plain, place == "path" or parameter.get("required") is True


def _body(
    body: Any, schemas: Schemas, warn: Warn
) -> Iterator[tuple[str, str, dict[str, Any], bool]]:
    """Yield the parameters that a request's body is spread out into.

    Raises:
        Unusable: if it cannot be used.
    """
    if body is None:
        return
    body = schemas.target(body)
    content = body.get("content") if isinstance(body, Mapping) else None
    if not isinstance(content, Mapping) or not content:
        warn("the body has no content; it is left out")
        return
    kind = _media_type(content)
    media = content[kind]
    schema = media.get("schema") if isinstance(media, Mapping) else None
    if schema is None:
        schema = {"type": "object"} if "json" in kind else {"type": "string"}
        warn(f"the body ({kind}) has no schema")
    plain = schemas.plain(_without_read_only(schema, schemas), warn)
    needed = body.get("required") is True
    properties = plain.get("properties")
    if isinstance(properties, dict) and not {"anyOf", "oneOf"} & set(plain):
        must = [name for name in plain.get("required", ()) if name in properties]
        for name, part in properties.items():
            yield "body", name, part, needed and name in must
        if isinstance(plain.get("additionalProperties"), dict):
            warn("the body takes further fields, which are left out")
        return
    if isinstance(text := body.get("description"), str) and "description" not in plain:
        plain = {**plain, "description": " ".join(text.split())}
    yield "body", "body", plain, needed


def _media_type(content: Mapping[str, Any]) -> str:
    """Return the media type that a model can fill best: JSON, then forms, then the first."""
    kinds = [str(kind) for kind in content]
    for wanted in ("application/json", "+json", "json", *_FORMS):
        for kind in kinds:
            if wanted in kind.casefold():
                return kind
    return kinds[0]


def _without_read_only(schema: Any, schemas: Schemas, depth: int = 0) -> Any:
    """Return a body's schema without the fields that only answers have."""
    node = schemas.target(schema)
    if not isinstance(node, Mapping) or depth > 8:
        return schema
    made = dict(node)
    if isinstance(fields := made.get("properties"), Mapping):
        kept = {name: part for name, part in fields.items() if not _is_read_only(part, schemas)}
        if len(kept) == len(fields) and "allOf" not in made:
            return schema
        made["properties"] = kept
        if isinstance(made.get("required"), list):
            made["required"] = [name for name in made["required"] if name in kept]
    if isinstance(made.get("allOf"), list):
        made["allOf"] = [_without_read_only(part, schemas, depth + 1) for part in made["allOf"]]
    return made


def _is_read_only(schema: Any, schemas: Schemas) -> bool:
    if isinstance(schema, Mapping) and schema.get("readOnly") is True:
        return True
    try:
        target = schemas.target(schema)
    except Unusable:
        return False
    return isinstance(target, Mapping) and target.get("readOnly") is True

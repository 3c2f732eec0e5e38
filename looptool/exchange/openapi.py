"""OpenAPI 3.0 and 3.1: a tool for each operation.

Path, query and body parameters become the tool's parameters. The fields of an object in the body
become parameters of their own, so that calls are flat. A name that occurs in two places gets the
place as a prefix (`body_id`). Examples of a body become those of its fields. Headers and cookies
are left out; setting them is the client's job.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from typing import Any

from looptool.core.errors import ConfigError
from looptool.core.tools import Tool
from looptool.exchange import Note, SourceTools, problem_of
from looptool.exchange.examples import field_values, shortened, told, with_examples
from looptool.exchange.naming import is_legal, legal_name
from looptool.exchange.plain_schemas import Unusable, Warn
from looptool.exchange.schemas import Schemas

METHODS = ("get", "put", "post", "delete", "options", "head", "patch", "trace")

_FIELDS = {"parameters", "summary", "description", "servers", "$ref"}  # of a path, besides methods
_MEDIA = (
    r"application/json",
    r"(application|text)/(x-)?json|application/(?!json-patch|merge-patch)[^/]+\+json",
    r"application/merge-patch\+json",
    r"application/x-www-form-urlencoded",
    r"multipart/form-data",
    r"(\*|application)/\*",
)  # in order of preference; any other type comes last
_RULES = {
    "patternProperties", "propertyNames", "minProperties", "maxProperties", "dependentRequired",
    "dependentSchemas", "if", "not",
}  # fmt: skip


def read_openapi(document: Mapping[str, Any], where: str, result: SourceTools) -> None:
    """Add each operation to `result` as a tool, or as skipped with the reason.

    Raises:
        ConfigError: if the document has an unsupported version, or `paths` is not an object.
    """
    version = str(document.get("openapi"))
    if "swagger" in document:
        raise ConfigError(
            f"{where}: swagger: {document['swagger']} is not supported; convert it to OpenAPI "
            f"3 with `npx swagger2openapi {where} -o openapi.json`"
        )
    if not version.startswith(("3.0", "3.1")):
        raise ConfigError(f"{where}: openapi: {version!r} is unknown (allowed: 3.0, 3.1)")
    paths = document.get("paths") or {}
    if not isinstance(paths, Mapping):
        raise ConfigError(f"{where}: paths: must be an object")
    schemas = Schemas(document, old=version.startswith("3.0"), requests=True)
    operations = list(_operations(paths, schemas, result))
    names = _names(operations, result)
    for (what, _, _, _), name in zip(operations, names, strict=True):
        if name is None:
            result.skipped.append(Note(what, "the operation must be an object"))
    for (what, path_item, operation, path), name in zip(operations, names, strict=True):
        if name is None:
            continue
        warnings: list[str] = []
        try:
            tool = _tool(name, what, path_item, operation, path, schemas, warnings.append)
        except Unusable as reason:
            result.skipped.append(Note(what, str(reason)))
            continue
        except RecursionError:
            result.skipped.append(Note(what, "is nested too deeply"))
            continue
        if problem := problem_of(tool):
            result.skipped.append(Note(what, problem))
            continue
        result.tools.append(tool)
        result.warnings += [Note(name, text) for text in dict.fromkeys(warnings)]


def _operations(
    paths: Mapping[str, Any], schemas: Schemas, result: SourceTools
) -> Iterator[tuple[str, Mapping[str, Any], Any, str]]:
    """Yield (method and path, path item, operation, path)."""
    for path, item in paths.items():
        if path.startswith("x-"):
            continue
        try:
            target = schemas.target(item)
            if not isinstance(target, Mapping):
                raise Unusable("the path must be an object")
        except Unusable as reason:
            result.skipped.append(Note(path, str(reason)))
            continue
        if target is not item:  # fields next to a reference count too
            target = {**target, **item}
        for key in target:
            if key not in METHODS and key not in _FIELDS and not key.startswith("x-"):
                why = f"is not a method (allowed: {', '.join(METHODS)})"
                result.skipped.append(Note(f"{path} {key}", why))
        for method in METHODS:
            if method in target:
                yield f"{method.upper()} {path}", target, target[method], path


def _names(
    operations: list[tuple[str, Mapping[str, Any], Any, str]], result: SourceTools
) -> list[str | None]:
    """Return each operation's tool name; legal and unique operationIds are kept."""
    wanted: list[Any] = [
        operation.get("operationId") if isinstance(operation, Mapping) else None
        for _, _, operation, _ in operations
    ]
    taken: set[str] = set()
    seen: set[str] = set()
    names: list[str | None] = [None] * len(operations)
    for place, identity in enumerate(wanted):
        if isinstance(identity, str) and is_legal(identity) and identity not in taken:
            names[place] = identity
            taken.add(identity)
    for place, (what, _, operation, _) in enumerate(operations):
        if names[place] is not None or not isinstance(operation, Mapping):
            continue
        identity = wanted[place]
        twice = isinstance(identity, str) and (identity in taken or identity in seen)
        is_usable = isinstance(identity, str) and bool(identity.strip()) and not twice
        name = legal_name(identity if is_usable else _derived(what), taken)
        if is_usable:
            seen.add(identity)
        if twice:
            result.warnings.append(
                Note(name, f"{what}: another operation is called {identity!r} already")
            )
        elif is_usable and name != identity:
            result.warnings.append(
                Note(name, f"{what}: {identity!r} is not a name that a model can emit")
            )
        names[place] = name
        taken.add(name)
        result.made.add(name)
    return names


def _derived(what: str) -> str:
    """Derive a name: "GET /shows/{id}" → get_shows_id."""
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
        *_parameters(item, operation, path, schemas, warn),
        *_body(operation.get("requestBody"), schemas, warn),
    ]
    properties: dict[str, Any] = {}
    required = []
    for place, key, schema, needed in places:
        free = key
        if free in properties:
            free = _numbered(f"{place}_{key}", properties)
            warn(f"{key} occurs in several places; in {place} it is called {free}")
        properties[free] = shortened(schema)
        if needed:
            required.append(free)
    if operation.get("deprecated") is True:
        warn("is deprecated")
    parameters = {"type": "object", "properties": properties, "required": required}
    schemas.limit("its parameters", parameters)
    return {
        "name": name,
        "description": _description(operation, item, what, warn),
        "parameters": parameters,
    }


def _numbered(name: str, taken: Mapping[str, Any]) -> str:
    """Return `name`, with a number if it is taken."""
    free, number = name, 2
    while free in taken:
        free, number = f"{name}_{number}", number + 1
    return free


def _description(
    operation: Mapping[str, Any], item: Mapping[str, Any], what: str, warn: Warn
) -> str:
    """Return the summary and the description's first paragraph if it says more."""
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
    item: Mapping[str, Any], operation: Mapping[str, Any], path: str, schemas: Schemas, warn: Warn
) -> Iterator[tuple[str, str, dict[str, Any], bool]]:
    """Yield (place, name, schema, required) of the path and query parameters, in order.

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
    template = _template(path, chosen)
    for place, name in chosen:
        if place == "path" and name not in [each for _, _, each in template]:
            warn(f"{name} is one of the path's parameters, but the path does not contain it")
    for expression, place, name in template:
        if (place, name) not in chosen:
            warn(f"the path's {expression} is not described; it is taken for a string")
            needed = not expression.startswith(("{?", "{&"))
            chosen[place, name] = {"schema": {"type": "string"}, "required": needed}
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
            media = next(iter(content.values()))
            schema = media.get("schema") if isinstance(media, Mapping) else None
        if schema is None:
            warn(f"{name} has no schema; it is taken for a string")
            schema = {"type": "string"}
        plain = schemas.plain(schema, warn)
        if isinstance(text := parameter.get("description"), str) and text.strip():
            plain = {**plain, "description": " ".join(text.split())}
        plain = with_examples(plain, told(parameter, schemas))
        yield place, name, plain, place == "path" or parameter.get("required") is True


def _template(path: str, known: Collection[tuple[str, str]]) -> list[tuple[str, str, str]]:
    """Return (expression, place, name) of each parameter in a path template.

    Each `{name}` is one path parameter, also next to other text in its segment (OpenAPI 3.1.1,
    section 4.8.8.2). Frameworks and RFC 6570 put more into the braces, which is not part of the
    name unless a parameter is called so: `{name:path}`, `{name*}`, `{+name}`, `{a,b}`. `{?a,b}` and
    expressions after a question mark are query parameters.

    Raises:
        Unusable: if braces are unbalanced or empty.
    """
    parameters = []
    queried = False
    for before, expression in _expressions(path):
        queried |= "?" in before
        inside = expression[1:-1].strip()
        if ("path", inside) in known:
            parameters.append((expression, "path", inside))
            continue
        queried |= inside.startswith(("?", "&"))
        place = "query" if queried else "path"
        plain = re.sub(r":\d+(?=,|$)", "", inside.lstrip("?&+#./;*"))  # RFC 6570: maximum length
        plain = re.split("[:=]", plain)[0]  # a pattern or default follows
        for part in plain.split(","):
            name = part.strip().rstrip("*+?")
            if not name:
                raise Unusable(f"its path's {expression} has no name")
            parameters.append((expression, place, name))
    return parameters


def _expressions(path: str) -> Iterator[tuple[str, str]]:
    """Yield (text since the previous expression, expression) for each expression of a template."""
    depth = start = end = 0
    for place, sign in enumerate(path):
        if sign == "{":
            start = start if depth else place
            depth += 1
        elif sign == "}":
            depth -= 1
            if depth == 0:
                yield path[end:start], path[start : place + 1]
                end = place + 1
        if depth < 0:
            break
    if depth:
        raise Unusable("its path has an unmatched brace")


def _body(
    body: Any, schemas: Schemas, warn: Warn
) -> Iterator[tuple[str, str, dict[str, Any], bool]]:
    """Yield (place, name, schema, required) of the parameters that the request body becomes.

    Raises:
        Unusable: if the body cannot be used.
    """
    if body is None:
        return
    body = schemas.target(body)
    content = body.get("content") if isinstance(body, Mapping) else None
    if not isinstance(content, Mapping) or not content:
        warn("the body has no content; it is left out")
        return
    kind = _media_type(content, warn)
    media = content[kind]
    schema = media.get("schema") if isinstance(media, Mapping) else None
    if schema is None:
        schema = {"type": "object"} if "json" in kind else {"type": "string"}
        warn(f"the body ({kind}) has no schema")
    plain = schemas.plain(schema, warn)
    if isinstance(media, Mapping):
        plain = with_examples(plain, told(media, schemas))
    needed = body.get("required") is True
    if _is_flat(plain):
        must = plain.get("required", ())
        bodies = plain.get("examples", ())
        for name, part in plain["properties"].items():
            part = with_examples(part, field_values(bodies, name))
            yield "body", name, part, needed and name in must
        if isinstance(plain.get("additionalProperties"), dict):
            warn("the body takes further fields, which are left out")
        if rules := sorted(_RULES & set(plain)):
            warn(f"what {', '.join(rules)} says about the body is left out")
        return
    if isinstance(text := body.get("description"), str) and "description" not in plain:
        plain = {**plain, "description": " ".join(text.split())}
    yield "body", "body", plain, needed


def _is_flat(schema: Mapping[str, Any]) -> bool:
    """Whether a body's fields can become parameters next to the others."""
    kind, fields = schema.get("type", "object"), schema.get("properties")
    return (
        (kind == "object" or (isinstance(kind, list) and "object" in kind))
        and isinstance(fields, dict)
        and not {"anyOf", "oneOf"} & set(schema)
        and (bool(fields) or not isinstance(schema.get("additionalProperties"), dict))
    )


def _media_type(content: Mapping[str, Any], warn: Warn) -> str:
    """Return the preferred media type; see `_MEDIA`.

    Types are compared without parameters and case (RFC 9110, section 8.3.1). Types with a schema
    take precedence.
    """

    def schema(kind: str) -> Any:
        media = content[kind]
        return media.get("schema") if isinstance(media, Mapping) else None

    def rank(kind: str) -> tuple[bool, int]:
        name = kind.split(";")[0].strip().casefold()
        places = (place for place, each in enumerate(_MEDIA) if re.fullmatch(each, name))
        return schema(kind) is None, next(places, len(_MEDIA))

    chosen = min(content, key=rank)
    others = [kind for kind in content if schema(kind) not in (None, schema(chosen))]
    if others:
        warn(f"the body is taken as {chosen}; {', '.join(others)} is left out")
    return chosen

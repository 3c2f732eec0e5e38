"""A server that speaks the API of Hugging Face's hub, as far as `huggingface_hub` uses it.

It is told apart from the real one by HF_ENDPOINT. Repositories are in memory, with commits and
branches; large files go through a redirect, as on the hub; faults can be set for any request.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
import socket
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

TOKEN, USER = "hf_aTokenForTests", "owner"
STRANGER = "hf_aTokenOfAnother"  # of an account without access to anything gated or private
LARGE = 20_000  # bytes from which a file is kept in large file storage


@dataclass
class Repository:
    """One repository: files by commit, and what its branches point to."""

    kind: str  # models or datasets
    private: bool = False
    gated: bool = False
    commits: dict[str, dict[str, bytes]] = field(default_factory=dict)
    branches: dict[str, str] = field(default_factory=dict)

    def commit(self, files: Mapping[str, bytes], branch: str = "main") -> str:
        text = json.dumps({name: hashlib.sha1(data).hexdigest() for name, data in files.items()})
        number = str(len(self.commits))
        sha = hashlib.sha1((text + number).encode()).hexdigest()
        self.commits[sha] = dict(files)
        self.branches[branch] = sha
        return sha


@dataclass
class Fault:
    """What goes wrong with requests whose path contains a text, a number of times.

    Attributes:
        how: a status code, `cut` (the connection breaks after half of the body), `corrupt` (other
            bytes of the same number), or `down` (the connection breaks at once).
    """

    path: str
    how: int | str
    times: int = 10**6
    headers: Mapping[str, str] = field(default_factory=dict)


class Hub:
    """The server's state. `log` has (method, path, range) of each request."""

    def __init__(self, endpoint: str) -> None:
        self.endpoint = endpoint
        self.repositories: dict[tuple[str, str], Repository] = {}
        self.faults: list[Fault] = []
        self.log: list[tuple[str, str, str | None]] = []
        self.stored: dict[str, bytes] = {}  # large files that were uploaded
        self.tokens: set[str] = set()

    def model(self, name: str, files: Mapping[str, bytes] | Path, **access: bool) -> str:
        return self._add("models", name, files, access)

    def data(self, name: str, files: Mapping[str, bytes], **access: bool) -> str:
        return self._add("datasets", name, files, access)

    def _add(self, kind: str, name: str, files: Any, access: dict[str, bool]) -> str:
        if isinstance(files, Path):
            files = {path.name: path.read_bytes() for path in files.iterdir() if path.is_file()}
        held = self.repositories.setdefault((kind, name), Repository(kind, **access))
        return held.commit(files)

    def bytes_sent(self, path: str) -> list[str | None]:
        return [span for method, each, span in self.log if method == "GET" and path in each]


class _Handler(BaseHTTPRequestHandler):
    hub: Hub
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: Any) -> None:
        pass

    def do_GET(self) -> None:
        self._serve()

    def do_HEAD(self) -> None:
        self._serve()

    def do_POST(self) -> None:
        self._serve()

    def do_PUT(self) -> None:
        self._serve()

    def _serve(self) -> None:
        address = urlsplit(self.path)
        path = unquote(address.path)
        length = int(self.headers.get("content-length") or 0)
        self.body = self.rfile.read(length)
        self.query = parse_qs(address.query)
        self.hub.log.append((self.command, path, self.headers.get("range")))
        token = (self.headers.get("authorization") or "").removeprefix("Bearer ")
        self.hub.tokens |= {token} - {""}
        self.known, self.stranger = token == TOKEN, token == STRANGER
        self.fault = next((f for f in self.hub.faults if f.path in path and f.times > 0), None)
        if self.fault:
            self.fault.times -= 1
            if self.fault.how == "down":
                return self._break()
            if isinstance(self.fault.how, int):
                return self._send(self.fault.how, {"error": "a fault"}, self.fault.headers)
        if token and not self.known and not self.stranger:
            return self._error(401, None, "Invalid credentials in Authorization header")
        for pattern, answer in _ROUTES:
            if found := re.fullmatch(pattern, path):
                return answer(self, **found.groupdict())
        self._error(404, "EntryNotFound", f"no route {path}")

    # answers

    def _send(self, status: int, body: Any, headers: Mapping[str, str] | None = None) -> None:
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.send_response(status)
        kind = "application/octet-stream" if isinstance(body, bytes) else "application/json"
        for name, value in {"Content-Type": kind, **(headers or {})}.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        if self.command == "HEAD":
            return
        how = self.fault.how if self.fault else None
        if how == "cut":
            self.wfile.write(data[: len(data) // 2])
            return self._break()
        self.wfile.write(bytes(255 - each for each in data) if how == "corrupt" else data)

    def _break(self) -> None:
        self.wfile.flush()
        self.close_connection = True
        self.connection.shutdown(socket.SHUT_RDWR)

    def _error(self, status: int, code: str | None, message: str) -> None:
        headers = {"X-Error-Message": message, **({"X-Error-Code": code} if code else {})}
        self._send(status, {"error": message}, headers)

    def _held(self, kind: str, name: str) -> Repository | None:
        held = self.hub.repositories.get((kind, name))
        if held is None or (held.private and not self.known):
            if self.known or self.stranger:
                self._error(404, "RepoNotFound", "Repository not found")
            else:  # the hub does not tell whether it exists
                self._error(401, "RepoNotFound", "Invalid username or password.")
            return None
        return held

    def _at(self, held: Repository, revision: str) -> tuple[str, dict[str, bytes]] | None:
        sha = held.branches.get(revision, revision)
        if sha not in held.commits:
            self._error(404, "RevisionNotFound", f"Invalid rev id: {revision}")
            return None
        return sha, held.commits[sha]

    # the API

    def whoami(self) -> None:
        if not self.known and not self.stranger:
            return self._error(401, None, "Invalid username or password.")
        name = USER if self.known else "stranger"
        self._send(200, {"type": "user", "name": name, "orgs": [{"name": "team"}], "auth": {}})

    def info(self, kind: str, name: str, revision: str = "main") -> None:
        if (held := self._held(kind, name)) and (found := self._at(held, revision)):
            sha, files = found
            siblings = [{"rfilename": path, **_file(data)} for path, data in sorted(files.items())]
            if "blobs" not in self.query:
                siblings = [{"rfilename": each["rfilename"]} for each in siblings]
            self._send(
                200,
                {"id": name, "modelId": name, "_id": "0", "sha": sha, "private": held.private,
                 "gated": "auto" if held.gated else False, "disabled": False, "downloads": 0,
                 "likes": 0, "tags": [], "siblings": siblings},
            )  # fmt: skip

    def tree(self, kind: str, name: str, revision: str, folder: str | None = None) -> None:
        if (held := self._held(kind, name)) and (found := self._at(held, revision)):
            prefix = f"{folder}/" if folder else ""
            entries: dict[str, Any] = {}
            for path, data in sorted(found[1].items()):
                if not path.startswith(prefix):
                    continue
                inside = path.removeprefix(prefix)
                if "/" in inside:
                    top = prefix + inside.split("/")[0]
                    entries[top] = {"type": "directory", "path": top, "oid": "0" * 40, "size": 0}
                if "/" not in inside or self.query.get("recursive") == ["true"]:
                    entries[path] = {"type": "file", "path": path, **_file(data, "oid", "oid")}
            if folder and not entries:
                return self._error(404, "EntryNotFound", f"{folder} does not exist")
            self._send(200, list(entries.values()))

    def paths_info(self, kind: str, name: str, revision: str) -> None:
        if (held := self._held(kind, name)) and (found := self._at(held, revision)):
            if self.body[:1] == b"{":
                wanted = json.loads(self.body)["paths"]
            else:
                wanted = parse_qs(self.body.decode())["paths"]
            entries = []
            for path in wanted:
                if path in found[1]:
                    data = found[1][path]
                    entries.append({"type": "file", "path": path, **_file(data, "oid", "oid")})
                elif any(each.startswith(f"{path}/") for each in found[1]):
                    entries.append({"type": "directory", "path": path, "oid": "0" * 40, "size": 0})
            self._send(200, entries)

    def resolve(self, name: str, revision: str, path: str, kind: str = "models") -> None:
        if (held := self._held(kind, name)) and (found := self._at(held, revision)):
            sha, files = found
            if held.gated and not self.known:
                status = 403 if self.stranger else 401
                return self._error(status, "GatedRepo", f"Access to {name} is restricted.")
            if path not in files:
                return self._error(404, "EntryNotFound", f"{path} does not exist")
            data = files[path]
            headers = {"X-Repo-Commit": sha, "Accept-Ranges": "bytes"}
            if len(data) < LARGE:
                return self._range(data, {**headers, "ETag": f'"{_git(data)}"'})
            digest = hashlib.sha256(data).hexdigest()
            self.hub.stored[digest] = data
            linked = {"X-Linked-Size": str(len(data)), "X-Linked-Etag": f'"{digest}"'}
            elsewhere = self.hub.endpoint.replace("127.0.0.1", "localhost")  # another host
            place = {"Location": f"{elsewhere}/cdn/{digest}"}
            self._send(302, b"", {**headers, **linked, **place})

    def cdn(self, digest: str) -> None:
        self._range(self.hub.stored[digest], {"ETag": f'"{digest}"', "Accept-Ranges": "bytes"})

    def _range(self, data: bytes, headers: Mapping[str, str]) -> None:
        span = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("range") or "")
        if not span:
            return self._send(200, data, headers)
        start, end = int(span[1]), int(span[2] or len(data) - 1)
        place = {"Content-Range": f"bytes {start}-{end}/{len(data)}"}
        self._send(206, data[start : end + 1], {**headers, **place})

    def create(self) -> None:
        asked = json.loads(self.body)
        if not self.known and not self.stranger:
            return self._error(401, None, "Invalid username or password.")
        owner = asked.get("organization") or USER
        kind = {"dataset": "datasets"}.get(asked.get("type", "model"), "models")
        key = (kind, f"{owner}/{asked['name']}")
        if key in self.hub.repositories:
            return self._error(409, None, "You already created this repo")
        if owner not in (USER, "team"):
            return self._error(403, None, f"You don't have the rights to create in {owner}")
        private = asked.get("private") or asked.get("visibility") == "private"
        self.hub.repositories[key] = Repository(kind, private=bool(private))
        self.hub.repositories[key].commit({".gitattributes": b"*.safetensors filter=lfs\n"})
        prefix = "datasets/" if kind == "datasets" else ""
        self._send(200, {"url": f"{self.hub.endpoint}/{prefix}{key[1]}", "name": key[1]})

    def validate(self) -> None:
        self._send(200, {"errors": [], "warnings": []})

    def preupload(self, kind: str, name: str, revision: str) -> None:
        if (held := self._held(kind, name)) and (found := self._at(held, revision)):
            modes = [
                {
                    "path": each["path"],
                    "uploadMode": "lfs" if each["size"] >= LARGE else "regular",
                    "shouldIgnore": False,
                    "oid": _file(found[1][each["path"]])["blobId"]
                    if each["path"] in found[1] else None,
                }
                for each in json.loads(self.body)["files"]
            ]  # fmt: skip
            for mode in modes:
                data = found[1].get(mode["path"])
                if data is not None and len(data) >= LARGE:
                    mode["oid"] = hashlib.sha256(data).hexdigest()
            self._send(200, {"files": modes})

    def batch(self, name: str, kind: str = "models") -> None:
        objects = []
        for each in json.loads(self.body)["objects"]:
            entry: dict[str, Any] = {"oid": each["oid"], "size": each["size"]}
            if each["oid"] not in self.hub.stored:
                entry["actions"] = {"upload": {"href": f"{self.hub.endpoint}/lfs/{each['oid']}"}}
            objects.append(entry)
        self._send(200, {"transfer": "basic", "objects": objects})

    def store(self, digest: str) -> None:
        if hashlib.sha256(self.body).hexdigest() != digest:
            return self._error(400, None, "wrong content")
        self.hub.stored[digest] = self.body
        self._send(200, {})

    def commit(self, kind: str, name: str, revision: str) -> None:
        if (held := self._held(kind, name)) and (found := self._at(held, revision)):
            files = dict(found[1])
            for line in self.body.splitlines():
                entry = json.loads(line)
                value = entry["value"]
                if entry["key"] == "file":
                    files[value["path"]] = base64.b64decode(value["content"])
                elif entry["key"] == "lfsFile":
                    files[value["path"]] = self.hub.stored[value["oid"]]
                elif entry["key"] == "deletedFile":
                    del files[value["path"]]
            sha = held.commit(files, revision)
            url = f"{self.hub.endpoint}/{name}/commit/{sha}"
            self._send(200, {"success": True, "commitUrl": url, "commitOid": sha, "hookOutput": ""})

    def auth_check(self, kind: str, name: str) -> None:
        if held := self._held(kind, name):
            if held.gated and not self.known:
                status = 403 if self.stranger else 401
                return self._error(status, "GatedRepo", f"Access to {name} is restricted.")
            self._send(200, {})

    def refs(self, kind: str, name: str) -> None:
        if held := self._held(kind, name):
            branches = [{"name": each, "ref": f"refs/heads/{each}", "targetCommit": sha}
                        for each, sha in held.branches.items()]  # fmt: skip
            self._send(200, {"branches": branches, "tags": [], "converts": []})


def _git(data: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()


def _file(data: bytes, blob: str = "blobId", digest: str = "sha256") -> dict[str, Any]:
    found: dict[str, Any] = {"size": len(data), blob: _git(data)}
    if len(data) >= LARGE:
        found["lfs"] = {
            digest: hashlib.sha256(data).hexdigest(), "size": len(data), "pointerSize": 130
        }  # fmt: skip
    return found


_ID = r"(?P<name>[^/]+/[^/]+)"
_API = rf"/api/(?P<kind>models|datasets)/{_ID}"
_ROUTES: list[tuple[str, Any]] = [
    (r"/api/whoami-v2", _Handler.whoami),
    (r"/api/repos/create", _Handler.create),
    (r"/api/validate-yaml", _Handler.validate),
    (_API, _Handler.info),
    (_API + r"/refs", _Handler.refs),
    (_API + r"/auth-check", _Handler.auth_check),
    (_API + r"/revision/(?P<revision>.+)", _Handler.info),
    (_API + r"/tree/(?P<revision>[^/]+)(?:/(?P<folder>.+))?", _Handler.tree),
    (_API + r"/paths-info/(?P<revision>.+)", _Handler.paths_info),
    (_API + r"/preupload/(?P<revision>.+)", _Handler.preupload),
    (_API + r"/commit/(?P<revision>.+)", _Handler.commit),
    (rf"/(?P<kind>datasets)/{_ID}/resolve/(?P<revision>[^/]+)/(?P<path>.+)", _Handler.resolve),
    (rf"/{_ID}/resolve/(?P<revision>[^/]+)/(?P<path>.+)", _Handler.resolve),
    (rf"/(?:(?P<kind>datasets)/)?{_ID}\.git/info/lfs/objects/batch", _Handler.batch),
    (r"/cdn/(?P<digest>\w+)", _Handler.cdn),
    (r"/lfs/(?P<digest>\w+)", _Handler.store),
]


@contextmanager
def serving() -> Iterator[Hub]:
    """Run the server on a free port of this machine."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    hub = Hub(f"http://127.0.0.1:{server.server_address[1]}")
    server.RequestHandlerClass = type("Handler", (_Handler,), {"hub": hub})
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()

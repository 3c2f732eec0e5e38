"""The server of the review page, for one reviewer, on this machine alone.

Every request needs the token of the address that `looptool review` prints. The page sets texts of
samples as text and loads nothing, which its content security policy enforces too.
"""

import errno
import secrets
import socket
import threading
from importlib import resources
from typing import Annotated, Any

from fastapi import Body, FastAPI, Request
from fastapi.responses import HTMLResponse, JSONResponse, PlainTextResponse, Response

from looptool.core.errors import ConfigError, TableError
from looptool.review.decisions import Decisions
from looptool.review.verdicts import Reviewed

HOST = "127.0.0.1"
_POLICY = (
    "default-src 'none'; script-src 'nonce-{nonce}'; style-src 'nonce-{nonce}'; "
    "connect-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'"
)
_HEADERS = {
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}


def make_app(reviewed: Reviewed, decisions: Decisions, token: str) -> FastAPI:
    """Return the app that serves the page and takes decisions."""
    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
    page = (resources.files("looptool.review") / "page.html").read_text("utf-8")
    writing = threading.Lock()
    keys = list(reviewed.table.select("sample_id", "label_id").iter_rows())
    facets = reviewed.facets()
    Row = Annotated[int, Body(ge=0, lt=len(keys))]

    @app.middleware("http")
    async def guard(request: Request, call_next: Any) -> Response:
        """Refuse requests without the token, and those that reached this port by another name."""
        host = request.headers.get("host", "").partition(":")[0]
        given = request.headers.get("x-review-token") or request.query_params.get("token") or ""
        if request.url.path.startswith("/api/"):
            given = request.headers.get("x-review-token") or ""
        if host not in (HOST, "localhost"):
            return PlainTextResponse("unknown host", 400, _HEADERS)
        if not secrets.compare_digest(given.encode(), token.encode()):
            text = "open the address that `looptool review` printed"
            return PlainTextResponse(text, 403, _HEADERS)
        response: Response = await call_next(request)
        response.headers.update(_HEADERS)
        return response

    @app.get("/")
    def show_page() -> Response:
        nonce = secrets.token_urlsafe(16)
        headers = {"Content-Security-Policy": _POLICY.format(nonce=nonce)}
        return HTMLResponse(page.replace("{{nonce}}", nonce), headers=headers)

    def count() -> int:
        decided = decisions.decided(reviewed)
        return sum(key in decided for key in keys)

    @app.get("/api/state")
    def state() -> dict[str, Any]:
        sampled = None if reviewed.table["weight"].is_null().all() else len(keys)
        return {
            "title": reviewed.title, "reviewer": decisions.reviewer, "total": len(keys),
            "decided": count(), "facets": facets, "sampled": sampled,
        }  # fmt: skip

    @app.get("/api/order")
    def order(request: Request) -> Any:
        filters, decided = dict(request.query_params), decisions.decided(reviewed)
        try:
            return {"order": reviewed.order(filters, decided)}
        except ValueError:
            return JSONResponse({"problem": "confidence must be a number"}, 422)

    @app.get("/api/item/{row}")
    def item(row: int) -> Any:
        if not 0 <= row < len(keys):
            return JSONResponse({"problem": "no such row"}, 404)
        return reviewed.item(row) | {
            "mine": decisions.mine(reviewed, row),
            "decisions": decisions.of_others(reviewed, row),
        }

    @app.post("/api/check")
    def check(row: Row, text: str = Body()) -> dict[str, Any]:
        try:
            reviewed.read_label(row, text)
        except ValueError as error:
            return {"problem": str(error)}
        return {"problem": None}

    @app.post("/api/decide")
    def decide(
        row: Row,
        decision: str = Body(),
        label: str | None = Body(None),
        note: str = Body(""),
        seconds: float = Body(0.0),
    ) -> Any:
        try:
            with writing:
                mine = decisions.add(reviewed, row, decision, label, note, seconds)
                decided = count()
        except ValueError as error:
            return JSONResponse({"problem": str(error)}, 422)
        except TableError as error:  # a full disk: nothing was decided
            return JSONResponse({"problem": str(error).splitlines()[0]}, 500)
        return {"decided": decided, "mine": mine}

    return app


def bind(port: int) -> socket.socket:
    """Return a socket that listens on a port of this machine.

    Raises:
        ConfigError: if the port is in use or not allowed.
    """
    listening = socket.socket()
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((HOST, port))
        listening.listen(64)
    except (OSError, OverflowError) as error:
        listening.close()
        taken = getattr(error, "errno", None) == errno.EADDRINUSE
        reason = "is in use" if taken else f"cannot be used ({error})"
        raise ConfigError(f"--port: {port} {reason}; name another, such as {port + 1}") from None
    return listening


def serve(app: FastAPI, listening: socket.socket) -> None:
    """Serve until the process is interrupted."""
    import uvicorn

    config = uvicorn.Config(app, log_level="error", access_log=False, lifespan="off")
    uvicorn.Server(config).run(sockets=[listening])

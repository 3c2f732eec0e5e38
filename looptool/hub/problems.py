"""Failures of the hub, each as one line: the repository, what is wrong, what to do."""

from __future__ import annotations

import contextlib
import errno
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from looptool.core.errors import LooptoolError
from looptool.core.hub_name import HubName

if TYPE_CHECKING:
    from huggingface_hub.errors import HfHubHTTPError

Kind = Literal["model", "dataset"]  # of a repository

LOG_IN = "log in with `hf auth login` or set HF_TOKEN"
_AGAIN = "run the same command again, which keeps the files that are complete"


@contextlib.contextmanager
def told(name: HubName, kind: Kind = "model") -> Iterator[None]:
    """Raise a LooptoolError of one line for what `huggingface_hub` and `datasets` raise."""
    try:
        yield
    except (LooptoolError, KeyboardInterrupt):
        raise
    except Exception as error:
        chain = list(causes(error))
        problem = next(filter(None, (_problem(name, kind, each) for each in chain)), "")
        if not problem and any(isinstance(each, FileNotFoundError) for each in chain):
            problem = f"no hub answers ({_first_line(error)}); {_AGAIN}"  # a proxy, for example
        if not problem:
            raise
        raise LooptoolError(f"{name}: {problem}") from None


def causes(error: BaseException) -> Iterator[BaseException]:
    """Yield an error and what led to it: the first of them that is known explains most."""
    found: BaseException | None = error
    while found is not None:
        yield found
        found = found.__cause__ or found.__context__


def _problem(name: HubName, kind: Kind, error: BaseException) -> str:
    """Return what is wrong and what to do; empty for an unknown error."""
    from huggingface_hub import constants, errors, get_token

    folder = "datasets/" if kind == "dataset" else ""
    page = f"{constants.ENDPOINT}/{folder}{name.repository}"
    has_token = get_token() is not None
    if isinstance(error, errors.OfflineModeIsEnabled):
        if kind == "dataset" or not name.pinned:
            return "HF_HUB_OFFLINE is set, so the hub cannot be asked; unset it"
        return (
            f"HF_HUB_OFFLINE is set, and the hub's cache ({constants.HF_HUB_CACHE}) lacks a part; "
            "unset it, or fill the cache"
        )
    if isinstance(error, errors.LocalTokenNotFoundError):
        return f"you are not logged in; {LOG_IN}"
    if isinstance(error, errors.GatedRepoError):
        access = "your account has no access" if has_token else f"you are not logged in; {LOG_IN}"
        return f"is gated, and {access}; ask for access at {page}"
    if isinstance(error, errors.RevisionNotFoundError):
        return f"has no revision {name.revision}; choose a branch, tag or commit of {page}"
    if isinstance(error, errors.RepositoryNotFoundError):
        if has_token:
            return (
                "does not exist, or is private and your token may not read it; check the name, and "
                f"the token's permissions at {constants.ENDPOINT}/settings/tokens"
            )
        return f"does not exist, or is private; check the name, or {LOG_IN}"
    if isinstance(error, errors.HfHubHTTPError):
        return _status(error)
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        return f"the disk is full; make room, or set HF_HOME to a folder on another disk; {_AGAIN}"
    if isinstance(error, OSError) and error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return f"{error.filename}: cannot be written; set HF_HOME to a folder of yours"
    if isinstance(error, _failures()) or "Consistency check" in str(error):
        return f"the connection to {constants.ENDPOINT} failed ({_first_line(error)}); {_AGAIN}"
    return ""


def _failures() -> tuple[type[BaseException], ...]:
    """Return the classes of failures of a connection."""
    from huggingface_hub.errors import HfHubHTTPError

    # the base class of HfHubHTTPError is that of the HTTP library, which differs by version;
    # hf_xet, which the hub's library downloads large files with, raises RuntimeError
    return ConnectionError, TimeoutError, RuntimeError, HfHubHTTPError.__bases__[0]


def _status(error: HfHubHTTPError) -> str:
    from huggingface_hub import get_token

    code, seconds = error.response.status_code, error.response.headers.get("retry-after")
    if code == 401:
        return f"the hub does not accept your token (401); {LOG_IN}"
    if code == 403 and get_token() is None:
        return f"the hub does not permit this without a login (403); {LOG_IN}"
    if code == 403:
        return "your token does not permit this (403); use one with the right permissions"
    if code == 409:
        return "is there already, and your token may not see it (409); choose another name or token"
    if code == 429:
        wait = f"wait {seconds} s" if seconds else "wait some minutes"
        return f"too many requests to the hub (429); {wait}, or {LOG_IN}; {_AGAIN}"
    if code >= 500:
        return f"the hub has a problem ({code}); try again later; {_AGAIN}"
    why = error.server_message or "no reason given"
    return f"the hub refuses the request ({code}: {' '.join(why.split())[:200]})"


def _first_line(error: BaseException) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0].rstrip(".") if lines else type(error).__name__


def check_space(name: HubName, needed: int, folder: Path) -> None:
    """Raise LooptoolError unless the disk of a folder, which need not exist, has room.

    Args:
        needed: bytes to be written.
    """
    place = next(path for path in (folder, *folder.parents) if path.exists())
    free = shutil.disk_usage(place).free
    if needed > free:
        raise LooptoolError(
            f"{name}: the disk of {folder} is too full: {needed / 1e6:,.1f} MB are needed, "
            f"{free / 1e6:,.1f} MB are free; make room, or set HF_HOME to a folder on another disk"
        )

"""Names of repositories on Hugging Face's hub, as params and commands take them."""

from __future__ import annotations

import re
from dataclasses import dataclass

PREFIX = "hf:"
FORM = "hf:owner/name or hf:owner/name@revision"
_PART = r"[A-Za-z0-9_](?:[A-Za-z0-9_.-]*[A-Za-z0-9_])?"
_NAME = re.compile(rf"hf:({_PART}/{_PART})(?:@([^\s:@]+))?")
_NEVER = re.compile(r"--|\.\.|\.git$")  # in a repository's name, by the hub's rules
_LONGEST = 96
_COMMIT = re.compile(r"[0-9a-f]{40}")


@dataclass(frozen=True, slots=True)
class HubName:
    """A repository and one of its revisions, written `hf:owner/name@revision`.

    Attributes:
        repository: `owner/name`.
        revision: a commit, branch or tag; None for the newest commit.
    """

    repository: str
    revision: str | None = None

    def __str__(self) -> str:
        return f"{PREFIX}{self.repository}" + (f"@{self.revision}" if self.revision else "")

    @property
    def pinned(self) -> bool:
        """Whether the revision is a whole commit hash, which never means other content."""
        return self.revision is not None and _COMMIT.fullmatch(self.revision) is not None


def hub_name(text: str) -> HubName | None:
    """Parse `hf:owner/name[@revision]`; None if the text does not begin with `hf:`.

    Raises:
        ValueError: if it begins so and is no such name; the message is a rule.
    """
    if not text.startswith(PREFIX):
        return None
    found = _NAME.fullmatch(text)
    if not found or _NEVER.search(found[1]) or len(found[1]) > _LONGEST:
        raise ValueError(f"must be {FORM}")
    return HubName(found[1], found[2])

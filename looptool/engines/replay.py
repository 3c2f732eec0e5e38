"""An engine that answers from a file of predictions made elsewhere, or scripted for tests."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from looptool.core.errors import ConfigError
from looptool.core.fingerprints import hash_path
from looptool.core.samples import sample_id
from looptool.engines import Arrived, Completion, Prompt, Sampling
from looptool.engines.syntax import HERMES_STYLE, Style, known_style, read_text, special_tokens
from looptool.engines.templates import TemplateOf

FILE = Path("data/replay.jsonl")
_FORM = 'a line is {"sample_id": text, "text": text, "tokens": number, "logprob": number or null}'


@dataclass
class ReplayEngine:
    """Looks up the answer to a prompt by its sample_id. A missing answer is the empty text.

    The file holds JSON lines `{"sample_id", "text", "tokens", "logprob"}` (docs/models.md).
    """

    answers: dict[str, Completion]
    identity: str
    independent: bool = False
    style: Style = HERMES_STYLE
    special: frozenset[str] = frozenset()

    @classmethod
    def load(cls, file: Path, model: Path | str) -> ReplayEngine:
        """Read the answers from a file.

        Args:
            model: the model that wrote them; if it is a folder, its template tells the syntax.

        Raises:
            ConfigError: if the file is missing or a line is malformed.
        """
        answers, number = {}, 0
        try:
            for line in file.read_text("utf-8").splitlines():
                number += 1
                row = json.loads(line)
                answers[row["sample_id"]] = Completion(
                    row["text"], row["tokens"], row["logprob"], "stop"
                )
        except FileNotFoundError:
            raise ConfigError(f"{file}: does not exist, but engine: replay reads it") from None
        except KeyError as error:
            raise ConfigError(f"{file}: line {number}: the field {error} is missing") from None
        except (ValueError, TypeError, AttributeError) as error:
            raise ConfigError(f"{file}: line {number}: {error}; {_FORM}") from None
        engine = cls(answers, f"replay {hash_path(file)}")
        if Path(model).is_dir():
            template = TemplateOf.folder(Path(model))
            engine.style, engine.special = known_style(template), special_tokens(template)
        return engine

    def generate(
        self, prompts: Sequence[Prompt], sampling: Sampling, arrived: Arrived = lambda group: None
    ) -> list[Completion]:
        nothing = Completion("", 0, 0.0, "stop")
        completions = [
            self._read(self.answers.get(sample_id(prompt.tools, prompt.messages), nothing), prompt)
            for prompt in prompts
        ]
        arrived(list(enumerate(completions)))
        return completions

    def _read(self, answer: Completion, prompt: Prompt) -> Completion:
        if self.style.is_hermes:
            return answer
        text, read = read_text(self.style, answer.text, prompt.tools, self.special)
        return replace(answer, text=text, read=read)

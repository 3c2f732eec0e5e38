"""Chat templates: the one conversation that all of them are given, and what they write of it.

Every engine gives a template the same conversation: tools as `{"type": "function", "function": …}`,
calls with ids and with arguments as objects, results with the id and the name of their call. This
is the form that the makers of models write their templates for.
"""

from __future__ import annotations

import datetime as dt
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from looptool.core.answers import label_message
from looptool.core.errors import ConfigError
from looptool.core.params import FILE, Model
from looptool.core.samples import Label, Message
from looptool.core.tools import Tool
from looptool.engines import Completion, Prompt

PROJECT_TEMPLATE = Path(__file__).parent / "chat_template.jinja"
_TURN_END = "<|im_end|>"  # as the project's template writes it
_OPTIONS = "template_options"  # in tokenizer_config.json
TODAY = "today"  # the option with the date, YYYY-MM-DD, for templates that print today's
_RESERVED = {"messages", "tools", "documents", "tokenize", "add_generation_prompt", "conversation"}
_TODAY_CALL = re.compile(r"""strftime_now\(\s*(['"])(.*?)\1\s*\)""")


def conversation(messages: Sequence[Message]) -> list[Message]:
    """Return messages with ids for calls, and with the id and name of its call in each result."""
    result: list[Message] = []
    open_calls: list[tuple[str, str]] = []
    for place, message in enumerate(messages):
        if items := message.get("tool_calls"):
            open_calls = [
                (f"call{place:03}{number:02}", item["function"]["name"])
                for number, item in enumerate(items)
            ]
            calls = [
                {"id": identity, "type": "function", "function": item["function"]}
                for (identity, _), item in zip(open_calls, items, strict=True)
            ]
            result.append({**message, "tool_calls": calls})
        elif message["role"] == "tool" and open_calls:
            identity, name = open_calls.pop(0)
            result.append({"name": name, **message, "tool_call_id": identity})
        else:
            result.append(dict(message))
    return result


def wrapped(tools: Sequence[Tool]) -> list[dict[str, Any]]:
    """Return tools as OpenAI's API has them, the keys of each in this order."""
    keys = ("name", "description", "parameters")
    return [
        {"type": "function", "function": {key: tool[key] for key in keys if key in tool}}
        for tool in tools
    ]


def choose_template(tokenizer: Any, model: Model) -> None:
    """Give a tokenizer the chat template and the template options that params choose.

    Both are saved with the tokenizer, so that every models/j has them.
    """
    if model.chat_template == "looptool":
        tokenizer.chat_template = project_template(tokenizer)
    elif model.chat_template != "own":
        tokenizer.chat_template = read_template(Path(model.chat_template))
    if model.chat_template != "own":  # it would read answers in the syntax of the base's template
        tokenizer.init_kwargs.pop("response_template", None)
        if getattr(tokenizer, "response_template", None) is not None:
            tokenizer.response_template = None
    set_options(tokenizer, model.template_options, "model")


def set_options(tokenizer: Any, given: Mapping[str, Any], section: str) -> None:
    """Save template options with a tokenizer; `section` of params has them.

    Raises:
        ConfigError: if an option is none that a template can be given.
    """
    options = dict(given)
    if reserved := sorted(options.keys() & _RESERVED):
        raise ConfigError(
            f"{FILE}: {section}.template_options.{reserved[0]}: every prompt sets it; remove it"
        )
    tokenizer.chat_template = one_template(tokenizer.chat_template)
    if TODAY in options and tokenizer.chat_template:
        date = options.pop(TODAY)
        tokenizer.chat_template = with_date(tokenizer.chat_template, date, section)
    if options:
        tokenizer.init_kwargs[_OPTIONS] = options


def one_template(templates: Any) -> Any:
    """Return a tokenizer's template, the one for tools if it has several by name."""
    if isinstance(templates, list):
        templates = {each["name"]: each["template"] for each in templates}
    if isinstance(templates, dict):
        return templates.get("tool_use", templates.get("default"))
    return templates


def read_template(file: Path) -> str:
    """Return the chat template in a file.

    Raises:
        ConfigError: if there is no such file, or it is not a Jinja template.
    """
    import jinja2
    from transformers.utils.chat_template_utils import render_jinja_template

    field = f"{FILE}: model.chat_template: {file}"
    try:
        text = file.read_text("utf-8")
        render_jinja_template([[]], chat_template=text)
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "not valid UTF-8"
        raise ConfigError(f"{field}: {reason}") from None
    except jinja2.TemplateSyntaxError as error:
        raise ConfigError(
            f"{field}: line {error.lineno}: not a Jinja template: {error.message}"
        ) from None
    except Exception:  # it needs a conversation; `check_template` gives it one
        pass
    return text


def project_template(tokenizer: Any) -> str:
    """Return the project's template with the tokenizer's BOS and its end of a turn.

    Raises:
        ConfigError: if the tokenizer has no token that ends a turn.
    """
    if not tokenizer.eos_token:
        raise ConfigError(
            "model.chat_template: looptool: the base's tokenizer has no eos_token; add one to its "
            "tokenizer_config.json"
        )
    text = PROJECT_TEMPLATE.read_text("utf-8")
    if tokenizer.eos_token == _TURN_END:
        return text
    text = text.replace(_TURN_END, '" ~ eos_token ~ "')
    return f"{{{{- bos_token -}}}}{text}" if tokenizer.bos_token else text


def render(tokenizer: Any, prompt: Prompt) -> str:
    """Return the text of a prompt, up to where the answer starts.

    Where a template refuses or drops the system turn of a prompt without tools, as models in roles
    get it, this turn is put at the head of the first user turn.

    Raises:
        ConfigError: if the template cannot render it.
    """
    first = prompt.messages[0] if prompt.messages else {}
    merged = None
    if not prompt.tools and first.get("role") == "system":
        merged = Prompt(_without_system_turn(prompt.messages))
    try:
        text = _apply(tokenizer, prompt.messages, prompt.tools, add_generation_prompt=True)
    except ConfigError:
        if merged is None:
            raise
        return render(tokenizer, merged)
    if merged is not None and first["content"].strip() not in text:
        return render(tokenizer, merged)
    if _drops_calls(tokenizer, prompt):
        raise ConfigError("the chat template drops one of several calls of a turn")
    return text


def _apply(tokenizer: Any, messages: Sequence[Message], tools: Sequence[Tool], **more: bool) -> str:
    """Return what a template writes, or raise ConfigError with its own error."""
    try:
        text: str = tokenizer.apply_chat_template(
            conversation(messages), tools=wrapped(tools) or None, tokenize=False,
            **more, **options_of(tokenizer),
        )  # fmt: skip
    except Exception as error:  # a template is code of someone else's
        what = "a prompt" if more else "an answer"
        raise ConfigError(f"the chat template cannot render {what}: {_line(error)}") from None
    return text


def _drops_calls(tokenizer: Any, prompt: Prompt) -> bool:
    """Return whether one of several calls of a turn does not reach the prompt."""
    names: list[str] = []
    messages: list[Message] = []
    for message in prompt.messages:
        items = message.get("tool_calls") or ()
        if len(items) > 1:
            marked = [f"call_{len(names) + number}_marked" for number in range(len(items))]
            names += marked
            calls = [
                {**item, "function": {**item["function"], "name": name}}
                for item, name in zip(items, marked, strict=True)
            ]
            message = {**message, "tool_calls": calls}
        messages.append(message)
    if not names:
        return False
    text = _apply(tokenizer, messages, prompt.tools, add_generation_prompt=True)
    return any(name not in text for name in names)


def _without_system_turn(messages: Sequence[Message]) -> list[Message]:
    """Return a conversation with its system turn at the head of the first user turn."""
    system, *rest = messages
    if not rest or rest[0]["role"] != "user":
        return [{"role": "user", "content": system["content"]}, *rest]
    first = {**rest[0], "content": f"{system['content']}\n\n{rest[0]['content']}"}
    return [first, *rest[1:]]


def renderings(
    tokenizer: Any, prompts: Sequence[Prompt]
) -> tuple[list[str], dict[int, Completion]]:
    """Render prompts; those that the template cannot render are answered by a refusal.

    Returns:
        The text of each prompt, empty if it was refused, and the refusals by place.
    """
    texts: list[str] = []
    refusals: dict[int, Completion] = {}
    for place, prompt in enumerate(prompts):
        try:
            texts.append(render(tokenizer, prompt))
        except ConfigError as error:
            texts.append("")
            refusals[place] = Completion("", 0, None, "refused", str(error))
    return texts, refusals


def replace_options(tokenizer: Any, options: Mapping[str, Any] | None) -> str:
    """Give a tokenizer other template options than were saved with it, unless they are None.

    Returns:
        What identifies these options, empty if there are none.
    """
    if options is None:
        return ""
    tokenizer.init_kwargs.pop(_OPTIONS, None)
    set_options(tokenizer, options, "a role")
    return f" {json.dumps(dict(options), sort_keys=True)}"


def options_of(tokenizer: Any) -> dict[str, Any]:
    """Return the template options that are saved with a tokenizer."""
    return dict(tokenizer.init_kwargs.get(_OPTIONS, {}))


def with_date(template: str, today: str, section: str = "model") -> str:
    """Return a template that prints a fixed date, YYYY-MM-DD, where it would print today's."""
    try:
        date = dt.date.fromisoformat(today)
    except (TypeError, ValueError):
        raise ConfigError(
            f"{FILE}: {section}.template_options.{TODAY}: must be a date, YYYY-MM-DD, found "
            f"{today!r}"
        ) from None
    return _TODAY_CALL.sub(lambda call: json.dumps(date.strftime(call[2])), template)


def answer_of(tokenizer: Any, prompt: Prompt, label: Label) -> str:
    """Return how the template writes a label as the answer to a prompt, with the end of the turn.

    Raises:
        ConfigError: if the template cannot render it, or the prompt is no prefix of the whole.
    """
    before = render(tokenizer, prompt)
    whole = _apply(tokenizer, [*prompt.messages, label_message(label)], prompt.tools)
    if not whole.startswith(before):
        raise ConfigError(
            "a prompt is not the beginning of the same conversation with its answer; "
            "model.template_options: {enable_thinking: false} may help"
        )
    return whole[len(before) :]


@dataclass
class TemplateOf:
    """A model folder's chat template, with what of a tokenizer it needs."""

    chat_template: str | None
    bos_token: str | None
    eos_token: str | None
    init_kwargs: dict[str, Any]
    path: Path | None = None

    @classmethod
    def folder(cls, folder: Path) -> TemplateOf:
        """Read the template of a model folder."""
        file = folder / "tokenizer_config.json"
        try:
            config = json.loads(file.read_text("utf-8")) if file.is_file() else {}
        except ValueError as error:
            raise ConfigError(f"{file}: not valid JSON: {error}") from None
        jinja = folder / "chat_template.jinja"
        template = jinja.read_text("utf-8") if jinja.is_file() else config.get("chat_template")
        tokens = [config.get(name) for name in ("bos_token", "eos_token")]
        bos, eos = (token.get("content") if isinstance(token, dict) else token for token in tokens)
        return cls(one_template(template), bos, eos, config, folder)

    @cached_property
    def special_tokens(self) -> frozenset[str]:
        """The texts of the tokenizer's special tokens."""
        file = self.path and self.path / "tokenizer.json"
        try:
            tokenizer = json.loads(file.read_text("utf-8")) if file and file.is_file() else {}
        except ValueError as error:
            raise ConfigError(f"{file}: not valid JSON: {error}") from None
        named = {token for token in (self.bos_token, self.eos_token) if token}
        added = [*(tokenizer.get("added_tokens") or ()),
                 *self.init_kwargs.get("added_tokens_decoder", {}).values()]  # fmt: skip
        return frozenset(named | {token["content"] for token in added if token.get("special")})

    def apply_chat_template(
        self, messages: Sequence[Message], tools: Any, tokenize: bool, **options: Any
    ) -> str:
        """Render messages as a tokenizer does."""
        from transformers.utils.chat_template_utils import render_jinja_template

        tokens = {"bos_token": self.bos_token, "eos_token": self.eos_token}
        rendered, _ = render_jinja_template(
            [list(messages)], tools=tools, chat_template=self.chat_template,
            **{name: token for name, token in tokens.items() if token}, **options,
        )  # fmt: skip
        return str(rendered[0])


def _line(error: Exception) -> str:
    return (" ".join(str(error).split()) or type(error).__name__)[:200]

"""The default engine: a transformers model in this process.

`model.generate` keeps every row of a batch until the longest is done, pads every prompt to the
longest, reads a prompt again for each of its completions, and copies the whole key-value cache for
every token. The loop here drops finished rows from the cache, reads each prompt once, together with
prompts of similar length, and writes new tokens in place. `python -m benchmarks.engine` measures
the gain.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from looptool.core import canonical, machine
from looptool.core.errors import ConfigError
from looptool.core.fingerprints import served_name
from looptool.core.machine import NumberTypeName
from looptool.core.params import Model
from looptool.core.samples import Label
from looptool.core.tools import Tool
from looptool.engines import Arrived, Completion, Prompt, Sampling
from looptool.engines.sizes import decoding_rows, reading_rows
from looptool.engines.syntax import label_text, read_ids, reader_of
from looptool.engines.templates import choose_template, renderings, replace_options


@dataclass(frozen=True, slots=True)
class Tokens:
    """One completion: token ids and the log p of each, with the end token if there is one."""

    ids: list[int]
    logprobs: list[float]
    stopped: bool


def load_tokenizer(folder: Path | str, chosen: Model | None = None) -> Any:
    """Load a tokenizer that pads on the left.

    Args:
        chosen: the section `model` of params, for a base that has no chat template chosen yet.

    Raises:
        ConfigError: if the folder has no tokenizer, or the tokenizer has no chat template.
    """
    from transformers import AutoTokenizer

    try:
        tokenizer = AutoTokenizer.from_pretrained(str(folder), padding_side="left")
    except (OSError, ValueError) as error:
        raise ConfigError(f"{folder}: no tokenizer there: {str(error).splitlines()[0]}") from None
    if chosen is not None:
        choose_template(tokenizer, chosen)
    if not tokenizer.chat_template:
        raise ConfigError(
            f"{folder}: the tokenizer has no chat template; use an instruction-tuned model, add a "
            "chat_template.jinja that renders tools, or set model.chat_template: looptool"
        )
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token = tokenizer.eos_token
    return tokenizer


def load_model(
    folder: Path | str,
    dtype: NumberTypeName,
    chosen: Model | None = None,
    *,
    place: bool = True,
) -> tuple[Any, Any]:
    """Load a model in evaluation mode and its tokenizer.

    A checkpoint with parts for images or sound is loaded whole. Only its language model has
    gradients.

    Args:
        chosen: see `load_tokenizer`.
        place: whether to put the model on a GPU if there is one.

    Raises:
        ConfigError: if the folder lacks a model, a tokenizer or a chat template.
    """
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM, AutoModelForImageTextToText
    from transformers.utils import logging

    logging.disable_progress_bar()  # loading takes only a second
    tokenizer = load_tokenizer(folder, chosen)
    try:
        config = AutoConfig.from_pretrained(str(folder))
        whole = is_composite(config)
        load = AutoModelForImageTextToText if whole else AutoModelForCausalLM
        model = load.from_pretrained(str(folder), dtype=getattr(torch, dtype))
    except (OSError, ValueError) as error:
        raise ConfigError(f"{folder}: no model there: {str(error).splitlines()[0]}") from None
    if whole:
        model.requires_grad_(False)
        model.get_decoder().requires_grad_(True)
        model.get_output_embeddings().requires_grad_(True)
    return model.to(machine.torch_device()) if place else model, tokenizer


def is_composite(config: Any) -> bool:
    """Return whether a model has parts beside its language model, such as one for images."""
    names = config.architectures or [""]
    return config.get_text_config() is not config and names[0].endswith("ForConditionalGeneration")


@dataclass
class TransformersEngine:
    """See `Engine`. Batches contain prompts of similar length.

    Attributes:
        batch_size: maximum prompts per batch; None for as many as the device can take.
    """

    model: Any
    tokenizer: Any
    batch_size: int | None = None
    identity: str = "transformers"
    independent: bool = False

    @classmethod
    def load(
        cls,
        folder: Path | str,
        batch_size: int | None,
        dtype: NumberTypeName,
        options: Mapping[str, Any] | None = None,
    ) -> TransformersEngine:
        """Load model and tokenizer from `folder`, on a GPU if there is one."""
        model, tokenizer = load_model(folder, dtype)
        given = replace_options(tokenizer, options)
        identity = f"transformers {served_name(folder)} {dtype} {batch_size}"
        identity += f"{reader_of(tokenizer)}{given}"
        return cls(model, tokenizer, batch_size, identity)

    def generate(
        self, prompts: Sequence[Prompt], sampling: Sampling, arrived: Arrived = lambda group: None
    ) -> list[Completion]:
        """See `Engine.generate`.

        Prompts are sorted by (length in tokens, index) and cut into batches before work starts, so
        a run that resumes after a kill forms the remaining batches in the same way.
        """
        texts, refusals = renderings(self.tokenizer, prompts)
        ids = self._encode(texts) if texts else []
        room = _room(self.model.config)
        completions = refusals | {
            place: refusal(len(prompt), room)
            for place, prompt in enumerate(ids)
            if len(prompt) >= room
        }
        arrived(list(completions.items()))
        order = sorted(
            set(range(len(ids))) - set(completions), key=lambda row: (len(ids[row]), row)
        )
        for batch in self._batches(order, ids, sampling.max_new_tokens):
            draws = canonical.digest(str(sampling.seed), *(texts[place] for place in batch))
            made = decode(
                self.model,
                self.tokenizer,
                [ids[place] for place in batch],
                replace(sampling, seed=int(draws[:8], 16)),
            )
            group = [
                (place, self._completion(tokens, prompts[place].tools))
                for place, tokens in zip(batch, made, strict=True)
            ]
            arrived(group)
            completions.update(group)
        return [completions[place] for place in range(len(ids))]

    def _completion(self, tokens: Tokens, tools: Sequence[Tool]) -> Completion:
        text, read = read_ids(self.tokenizer, tokens.ids, tools)
        return Completion(
            text,
            len(tokens.ids),
            sum(tokens.logprobs),
            "stop" if tokens.stopped else "length",
            read=read,
        )

    def _batches(
        self, order: Sequence[int], ids: Sequence[Sequence[int]], new_tokens: int
    ) -> Iterator[Sequence[int]]:
        """Cut prompts, shortest first, into batches that the device can take."""
        start = 0
        while start < len(order):
            end = start + 1
            while end < len(order):
                size = decoding_rows(self.model, len(ids[order[end]]) + new_tokens)
                if end - start >= min(size, self.batch_size or size):
                    break
                end += 1
            yield order[start:end]
            start = end

    def _encode(self, texts: Sequence[str]) -> list[list[int]]:
        return self.tokenizer(list(texts), add_special_tokens=False).input_ids


def room_of(folder: Path | str) -> int:
    """Return how many tokens of prompt and answer together a model folder's model can take."""
    from transformers import AutoConfig

    return _room(AutoConfig.from_pretrained(str(folder)))


def _room(config: Any) -> int:
    room: int = getattr(config.get_text_config(), "max_position_embeddings", None) or sys.maxsize
    return room


def refusal(tokens: int, room: int) -> Completion:
    """Return the completion for a prompt that leaves no room for an answer."""
    error = f"the prompt has {tokens} tokens, but the model has room for {room}, answer included"
    return Completion("", 0, None, "refused", error)


def stop_ids(model: Any, tokenizer: Any) -> set[int]:
    """Return the token ids that end an answer."""
    ids = model.generation_config.eos_token_id
    ids = ids if isinstance(ids, list) else [ids]
    return {index for index in [*ids, tokenizer.eos_token_id] if index is not None}


def decode(
    model: Any,
    tokenizer: Any,
    prompt_ids: Sequence[Sequence[int]],
    sampling: Sampling,
    copies: int = 1,
) -> list[Tokens]:
    """Answer a batch of prompts, each `copies` times. Copies of one prompt are adjacent.

    The samples depend only on `sampling.seed` and the batch, not on torch's global state.
    """
    import torch

    from looptool.engines.packed import packed

    ends = torch.tensor(sorted(stop_ids(model, tokenizer)), device=model.device)
    generator = torch.Generator(device=model.device).manual_seed(sampling.seed)
    with torch.inference_mode():
        logits, cache, mask = _read(model, prompt_ids, tokenizer.pad_token_id, copies)
    rows = torch.arange(len(mask), device=model.device)
    ids: list[list[int]] = [[] for _ in range(len(mask))]
    logprobs: list[list[float]] = [[] for _ in range(len(mask))]
    stopped = [False] * len(mask)
    with torch.inference_mode(), packed(model):
        for step in range(sampling.max_new_tokens):
            token, logprob = _draw(logits, sampling, generator)
            done = torch.isin(token, ends)
            for row, index, value, end in zip(
                rows.tolist(), token.tolist(), logprob.tolist(), done.tolist(), strict=True
            ):
                if not stopped[row]:
                    ids[row].append(index)
                    logprobs[row].append(value)
                    stopped[row] = end
            alive = [place for place, row in enumerate(rows.tolist()) if not stopped[row]]
            if not alive or step == sampling.max_new_tokens - 1:
                break
            if len(alive) <= 0.8 * len(rows):  # below that, copying the cache pays off
                keep = torch.tensor(alive, device=model.device)
                rows, token, mask = rows[keep], token[keep], mask[keep]
                cache.reorder_cache(keep)
            mask = torch.cat([mask, mask.new_ones(len(mask), 1)], dim=1)
            logits = model(
                input_ids=token[:, None],
                attention_mask=mask,
                position_ids=mask.sum(1, keepdim=True) - 1,
                past_key_values=cache,
            ).logits[:, -1]
    return [Tokens(*parts) for parts in zip(ids, logprobs, stopped, strict=True)]


def _read(model: Any, prompt_ids: Sequence[Sequence[int]], pad: int, copies: int) -> Any:
    """Read each prompt once. Return (last logits, cache, attention mask) of all rows and copies."""
    import torch
    from transformers import DynamicCache
    from transformers.cache_utils import DynamicLayer

    from looptool.engines.kv_cache import RoomyLayer

    cache = DynamicCache(config=model.config)
    # Only the keys and values of full attention can be joined afterwards.
    simple = all(type(layer) is DynamicLayer for layer in cache.layers)
    order = sorted(range(len(prompt_ids)), key=lambda row: len(prompt_ids[row]))
    size = reading_rows(model, len(order), len(prompt_ids[order[-1]])) if simple else len(order)
    parts, logits = [], []
    for start in range(0, len(order), size):
        rows = order[start : start + size]
        width = max(len(prompt_ids[row]) for row in rows)
        before = [width - len(prompt_ids[row]) for row in rows]
        mask = torch.tensor([[0] * n + [1] * (width - n) for n in before], device=model.device)
        part = DynamicCache(config=model.config)
        out = model(
            input_ids=torch.tensor(
                [[pad] * n + list(prompt_ids[row]) for n, row in zip(before, rows, strict=True)],
                device=model.device,
            ),
            attention_mask=mask,
            position_ids=(mask.cumsum(1) - 1).clamp(min=0),
            past_key_values=part,
            logits_to_keep=1,
        )
        parts.append((rows, mask, part))
        logits.append(out.logits[:, -1])
    places = torch.tensor(order, device=model.device).argsort().repeat_interleave(copies)
    width = max(map(len, prompt_ids))
    masks = [torch.nn.functional.pad(mask, (width - mask.shape[1], 0)) for _, mask, _ in parts]
    if simple:
        for index in range(len(cache.layers)):
            cache.layers[index] = RoomyLayer([part.layers[index] for *_, part in parts], places)
    else:
        cache = parts[0][2]
        cache.reorder_cache(places)
    return torch.cat(logits)[places], cache, torch.cat(masks)[places]


def _draw(logits: Any, sampling: Sampling, generator: Any) -> tuple[Any, Any]:
    """Sample one token per row. Return (token ids, log p at temperature 1), of shape (rows,)."""
    import torch

    logprobs = torch.log_softmax(logits, dim=-1, dtype=torch.float32)
    if sampling.temperature == 0:
        token = logprobs.argmax(-1)
    else:
        scaled = logprobs / sampling.temperature
        weights = scaled.softmax(-1) if sampling.temperature != 1 else scaled.exp()
        if sampling.top_p < 1:
            ordered, places = weights.sort(dim=-1, descending=True)
            outside = ordered.cumsum(-1) - ordered > sampling.top_p
            weights = weights.scatter(-1, places, ordered.masked_fill(outside, 0.0))
        # Inverse transform sampling with one random number per row. `multinomial` draws one per
        # vocabulary entry, which on a CPU takes half as long as the model.
        ends = weights.cumsum(-1)
        total = ends[:, -1:].contiguous()
        point = torch.rand(len(ends), 1, device=ends.device, generator=generator) * total
        last = torch.searchsorted(ends, total)  # the limit, in case rounding makes point == total
        token = torch.searchsorted(ends, point, right=True).minimum(last)[:, 0]
    return token, logprobs.gather(-1, token[:, None])[:, 0]


def score(
    engine: TransformersEngine, prompts: Sequence[Prompt], labels: Sequence[Label]
) -> Iterator[tuple[int, float, int]]:
    """Yield (place, sum of log p, number of tokens) of each label as the answer to its prompt.

    Labels that the model's template cannot write, or that are too long for it, are left out.
    """
    import torch

    model, tokenizer = engine.model, engine.tokenizer
    texts, refusals = renderings(tokenizer, prompts)
    room = _room(model.config)
    rows = []
    for place, (prompt, label) in enumerate(zip(prompts, labels, strict=True)):
        if place in refusals:
            continue
        try:
            written = label_text(tokenizer, prompt, label)
        except ConfigError:
            continue
        parts = tokenizer([texts[place], written], add_special_tokens=False).input_ids
        if sum(map(len, parts)) < room and all(parts):
            rows.append((sum(map(len, parts)), place, *parts))
    rows.sort(key=lambda row: row[:2])
    while rows:
        size = reading_rows(model, len(rows), rows[-1][0])
        batch, rows = rows[:size], rows[size:]
        width, kept = batch[-1][0], max(len(label) for *_, label in batch)
        mask = torch.tensor([[0] * (width - n) + [1] * n for n, *_ in batch], device=model.device)
        pad = tokenizer.pad_token_id
        ids = torch.tensor(
            [[pad] * (width - n) + prompt + label for n, _, prompt, label in batch],
            device=model.device,
        )
        with torch.inference_mode():
            logits = model(
                input_ids=ids,
                attention_mask=mask,
                position_ids=(mask.cumsum(1) - 1).clamp(min=0),
                logits_to_keep=kept + 1,
            ).logits[:, :-1]
            logprobs = logits.float().log_softmax(-1)
        said = logprobs.gather(-1, ids[:, -kept:, None])[..., 0]
        for (_, place, _, label), values in zip(batch, said, strict=True):
            yield place, float(values[-len(label) :].sum()), len(label)

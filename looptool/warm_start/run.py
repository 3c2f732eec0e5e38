"""`looptool warm-start`: samples, training, scores along the way, the adapter and its card."""

from __future__ import annotations

import hashlib
import json
import shutil
import sys
import time
from pathlib import Path
from typing import Any

import polars as pl
from filelock import FileLock, Timeout

from looptool.core import machine, runs, tables
from looptool.core.errors import ConfigError, LooptoolError
from looptool.core.files import replacing
from looptool.core.fingerprints import code_files, hash_path
from looptool.core.params import EMBEDDED
from looptool.engines.templates import PROJECT_TEMPLATE
from looptool.evaluation.bfcl import rows as bfcl
from looptool.evaluation.bfcl.package import check_benchmark
from looptool.offline.grammar import trees
from looptool.synthesis.contamination import Index
from looptool.synthesis.seeds import Recipe, make_seeds, refuser
from looptool.training import memory
from looptool.warm_start import card, embedded, merging, scores
from looptool.warm_start.merging import CARD, SETTINGS, WEIGHTS
from looptool.warm_start.recipe import WarmStart
from looptool.warm_start.rows import in_batches, make_rows
from looptool.warm_start.samples import GroupAuthor

CPU_TOKENS = 2048  # tokens in a pass; more are not faster and need memory


def run(recipe: WarmStart, output: Path, command: str, start: Path | None = None) -> dict[str, Any]:
    """Train an adapter for the embedded model, write it to `output` and return its card.

    A killed run resumes: with the same recipe and code it finds its checkpoint.

    Args:
        command: the command without its --output, for the card.
        start: the folder of an adapter to train further, on other samples; None for a new one.

    Raises:
        ConfigError: if the benchmark is missing, `output` has other files, or `start` has no
            adapter of the recipe's rank.
        LooptoolError: if the embedded model is missing, or the same run is in progress.
    """
    check_benchmark()
    if output.exists() and any(output.iterdir()) and not (output / CARD).is_file():
        raise ConfigError(f"{output}: --output: has other files; name a new folder")
    embedded.package_folder()
    before = _card(start, recipe) if start else None
    runs.quiet()
    chosen = machine.number_type("auto")
    scratch = _scratch(recipe, chosen.name, before)
    try:
        with FileLock(f"{scratch}.lock", timeout=0):
            made = _run(recipe, output, command, start, before, chosen.name, scratch)
    except Timeout:
        raise LooptoolError(f"{scratch}: the same warm start is running") from None
    shutil.rmtree(scratch)
    return made


def _card(start: Path, recipe: WarmStart) -> dict[str, Any]:
    """Return the card of an adapter that is trained further, with the hash of its weights."""
    if not (start / WEIGHTS).is_file() or not (start / CARD).is_file():
        raise ConfigError(f"{start}: --start: has no {WEIGHTS} and {CARD}")
    content: dict[str, Any] = json.loads((start / CARD).read_text("utf-8"))
    if (rank := content["recipe"]["rank"]) != recipe.rank:
        raise ConfigError(f"{start}: --start: its rank is {rank}, the recipe's {recipe.rank}")
    return {"adapter": hash_path(start / WEIGHTS), **content}


def _run(
    recipe: WarmStart,
    output: Path,
    command: str,
    start: Path | None,
    before: dict[str, Any] | None,
    dtype: machine.NumberTypeName,
    scratch: Path,
) -> dict[str, Any]:
    samples = _samples(recipe, before, scratch)
    from looptool.warm_start.training import train

    model, tokenizer = _model(recipe, start, dtype, scratch)
    rows = make_rows(samples, tokenizer, recipe.group_size)
    per_pass = memory.training_rows(model, 1, CPU_TOKENS)  # rows of one token
    batches = in_batches(rows, recipe.batch_size, per_pass, recipe.seed)
    curve = scratch / "scores.json"
    measured: dict[str, Any] = json.loads(curve.read_text("utf-8")) if curve.exists() else {}

    def at(step: int, done: int) -> None:
        """Evaluate after a step at which a number of samples of the recipe is reached."""
        reached = [point for point in recipe.evaluate_at if point <= done]
        if step < len(batches) and not reached:
            return
        name = "all" if step == len(batches) else str(max(reached))
        if name not in measured:
            scored = _evaluate(model, recipe, dtype, scratch)
            measured[name] = {"samples": done, "steps": step, **scored}
            runs.write_json(curve, measured)
            _say(f"after {done} samples: {json.dumps(scored)}")

    tokens = train(
        model,
        batches,
        learning_rate=recipe.learning_rate,
        pad=tokenizer.pad_token_id,
        scratch=scratch,
        on_step=Meter(len(batches)),
        at=at,
    )
    made = card.make(
        recipe,
        samples,
        command=command,
        start=before,
        scores=measured,
        steps=len(batches),
        tokens=tokens,
        dtype=dtype,
    )
    save_adapter(model, output)
    runs.write_json(output / CARD, made)
    return made


def _model(
    recipe: WarmStart, start: Path | None, dtype: machine.NumberTypeName, scratch: Path
) -> tuple[Any, Any]:
    """Return the embedded model with new adapters, or those in `start`, and its tokenizer."""
    import torch
    from peft import set_peft_model_state_dict
    from safetensors.torch import load_file

    from looptool.engines.transformers import load_model
    from looptool.training.checkpoints import add_lora

    torch.set_num_threads(machine.cores())
    base = scratch / "base"
    with replacing(base) as partial:
        embedded.write(partial, None)
    model, tokenizer = load_model(base, dtype)
    if start:
        merging.check(model, start)
    model = add_lora(model, recipe.rank, recipe.seed)
    if start:
        set_peft_model_state_dict(model, load_file(start / WEIGHTS))
    for weight in model.parameters():  # the optimizer has fp32 masters
        weight.data = weight.data.to(getattr(torch, dtype))
    return model, tokenizer


def _samples(recipe: WarmStart, before: dict[str, Any] | None, scratch: Path) -> pl.DataFrame:
    """Return the samples; a run that resumes reads those that it made before.

    Each adapter that is trained further leads to other samples.
    """
    path = scratch / "samples.parquet"
    if path.exists():
        return tables.read(path, tables.Samples)
    _say(f"making {recipe.samples} samples")
    shares = {str(name): value for name, value in recipe.shares.items()}
    seed = f"{recipe.seed}" + (f":{before['adapter']}" if before else "")
    seeds = make_seeds(
        Recipe(recipe.samples, seed, "warm_start", shares, "warm_start", 0),
        GroupAuthor(recipe.group_size, recipe.masked),
        refuse=refuser(Index.build({"bfcl": bfcl.questions()})),
    )
    tables.write(seeds.samples, tables.Samples, path, sort=False)
    return seeds.samples


def _evaluate(
    model: Any, recipe: WarmStart, dtype: machine.NumberTypeName, scratch: Path
) -> dict[str, Any]:
    """Return the scores of the model with its adapters merged, as `looptool setup` merges them."""
    merged = scratch / "model"
    save_adapter(model, scratch / "adapter")
    with replacing(merged) as partial:
        embedded.write(partial, scratch / "adapter", checked=False)
    _say("evaluating")
    return scores.evaluate(merged, recipe, dtype, scratch)


def save_adapter(model: Any, folder: Path) -> None:
    """Write the adapters of a PEFT model to `folder`, in bf16, in PEFT's format."""
    import torch
    from safetensors.torch import load_file, save_file

    with replacing(folder) as partial:
        model.save_pretrained(partial)
        factors = load_file(partial / WEIGHTS)
        save_file({name: part.to(torch.bfloat16) for name, part in factors.items()},
                  partial / WEIGHTS, {"format": "pt"})  # fmt: skip
        settings = json.loads((partial / SETTINGS).read_text("utf-8"))
        settings |= {"base_model_name_or_path": EMBEDDED, "inference_mode": True}
        settings["target_modules"] = sorted(settings["target_modules"])
        (partial / SETTINGS).write_text(json.dumps(settings, indent=2) + "\n", "utf-8")
        (partial / "README.md").unlink(missing_ok=True)


class Meter:
    """Prints the progress of the training every half minute."""

    def __init__(self, steps: int) -> None:
        self.steps, self.first = steps, 0
        self.start = self.last = time.monotonic()
        self.tokens = 0

    def __call__(self, step: int, tokens: int, loss: float) -> None:
        now = time.monotonic()
        if not self.tokens:  # the first step of this process
            self.first, self.start, self.tokens = step, now, tokens
        elif now - self.last >= 30 or step == self.steps:
            self.last = now
            rate = (tokens - self.tokens) / (now - self.start)
            left = (now - self.start) / (step - self.first) * (self.steps - step)
            _say(
                f"step {step} of {self.steps}, loss {loss:.3f}, {rate:.0f} tokens/s, "
                f"{runs.duration(left)} left"
            )


def _scratch(recipe: WarmStart, dtype: str, before: dict[str, Any] | None) -> Path:
    hasher = hashlib.blake2b(digest_size=12)
    start = before and before["adapter"]
    hasher.update(f"{recipe.model_dump_json()} {dtype} {machine.gpus()} {start}".encode())
    wordings = Path(trees.__file__).parent / "data"
    for path in (PROJECT_TEMPLATE, wordings, *sorted(code_files(__name__))):
        hasher.update(hash_path(path).encode())
    folder = machine.scratch_root() / f"warm-start-{hasher.hexdigest()}"
    if folder.exists():
        _say("resuming where an earlier run stopped")
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _say(text: str) -> None:
    print(f"warm-start: {text}", file=sys.stderr, flush=True)

"""Memory that training needs, computed from a model's config.json before anything is loaded.

Bytes per trained weight:

| | weight | gradient | fp32 master | Adam's moments | together |
|---|---|---|---|---|---|
| bf16 weights, our optimizer (`optimizer`) | 2 | 2 | 4 | 8 | 16 |
| the same on a CPU, which keeps the master's fp32 gradient | 2 | 2 | 4 + 4 | 8 | 20 |
| float32 weights | 4 | 4 | – | 8 | 16 |
| FSDP, per weight of a process's part | 4 | 4 | – | 8 | 16 |

Data parallel processes hold gradients once more, in the buckets that they exchange. Under adapters
the frozen weights have no gradients. Activations follow Korthikanti et al. 2022 (arXiv 2205.05198),
table 2, without the attention matrices, which PyTorch's kernels never store: about 34 bytes per
token and hidden unit of a layer in bf16. With checkpointing only a layer's input is kept, and one
layer is computed again at a time.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from looptool.core import machine
from looptool.core.errors import ConfigError
from looptool.core.hub_name import hub_name
from looptool.core.machine import NumberTypeName
from looptool.core.params import FILE, Params, Train

CONFIGS = Path("configs/models")  # config.json of the models that presets name
CPU_GROUPS = 2  # groups of completions per backward pass on a CPU; more are not faster
GPU_SHARE = 0.8  # of a GPU's memory that sizes found by the program may fill
CONTEXT = 1e9  # bytes of a process on a GPU: CUDA, NCCL, fragments
PROMPT = 1024  # tokens of a prompt where params set no limit
BYTES_TRAINED = 16  # per weight
BYTES_GRADIENT = 4  # per weight on a CPU, where the optimizer keeps the fp32 gradient

Sharing = Literal["one", "data parallel", "fsdp"]


@dataclass(frozen=True, slots=True)
class Shape:
    """What the memory of a model depends on.

    Attributes:
        weights: the number of its weights.
        layers: the number of its layers.
        layer_weights: the number of weights of one layer.
        adapter_width: inputs plus outputs of a layer's linear maps, summed.
        cached: keys and values of one token in all layers.
    """

    weights: int
    layers: int
    hidden: int
    vocabulary: int
    tied: bool
    layer_weights: int
    adapter_width: int
    cached: int

    @property
    def embeddings(self) -> int:
        """The number of weights of the embedding and the output layer."""
        return self.vocabulary * self.hidden * (1 if self.tied else 2)


@dataclass(frozen=True, slots=True)
class Memory:
    """The memory of one training process, in bytes.

    Attributes:
        state: weights, gradients and optimizer.
        generating: the most that is needed while answers are drawn.
        training: the most that is needed in a backward pass.
        rollouts: the part of `generating` for answers: vLLM's, or keys and values.
        vllm: the least that vLLM needs in this process; 0 if it draws no answers there.
        tokens: the tokens of a backward pass.
    """

    state: float
    generating: float
    training: float
    rollouts: float
    vllm: float
    tokens: int

    @property
    def peak(self) -> float:
        """The larger of `generating` and `training`."""
        return max(self.generating, self.training)


def shape(config: Mapping[str, Any], weights: int | None = None) -> Shape:
    """Return the shape of a decoder whose layers have attention and a gated MLP.

    Args:
        config: the contents of config.json, or `model.config.to_dict()`.
        weights: the number of weights, if it is known; else it is computed, as that of Qwen3.
    """
    config = {**config, **(config.get("text_config") or {})}
    hidden, layers = config["hidden_size"], config["num_hidden_layers"]
    heads = config.get("num_attention_heads") or 1
    size = config.get("head_dim") or hidden // heads
    queries = heads * size
    keys = (config.get("num_key_value_heads") or heads) * size
    inner = config.get("intermediate_size") or 4 * hidden
    linear = hidden * queries * 2 + 2 * hidden * keys + 3 * hidden * inner
    layer = linear + 2 * hidden + 2 * size  # two norms, and those of queries and keys
    width = 2 * (hidden + queries) + 2 * (hidden + keys) + 3 * (hidden + inner)
    tied = bool(config.get("tie_word_embeddings", False))
    vocabulary = config["vocab_size"]
    counted = layers * layer + hidden + vocabulary * hidden * (1 if tied else 2)
    return Shape(
        weights or counted, layers, hidden, vocabulary, tied, layer, width, 2 * layers * keys
    )


def shape_of(model: Path | str) -> Shape | None:
    """Return the shape of a model folder, or of a model that a preset names; None if unknown."""
    folder = Path(model)
    if named := hub_name(str(model)):
        folder = CONFIGS / named.repository.rpartition("/")[2]
    file = folder / "config.json"
    try:
        return shape(json.loads(file.read_text("utf-8")), _weights_of_files(folder))
    except (OSError, ValueError, KeyError):
        return None


def bytes_per_token(
    model: Shape, itemsize: int, *, checkpointing: bool, scored: float = 0.0
) -> float:
    """Return the bytes that a forward and backward pass keeps per token.

    Args:
        itemsize: bytes of an activation.
        scored: the share of tokens whose logits are held, as four float32 numbers each. TRL's own
            scoring holds those of a few tokens at a time.
    """
    layer = 17 * itemsize * model.hidden
    kept = model.layers * model.hidden * itemsize + layer if checkpointing else model.layers * layer
    return kept + scored * 16 * model.vocabulary


def of_process(
    model: Shape,
    train: Train,
    *,
    dtype: NumberTypeName,
    sharing: Sharing,
    processes: int,
    longest: int,
    gpu: float | None,
    vllm: bool,
    split: int = 1,
) -> Memory:
    """Return the memory of one training process.

    Args:
        sharing: how processes share the model.
        longest: tokens of the longest prompt and its answer.
        gpu: bytes of the GPU, or None for a CPU.
        vllm: whether vLLM draws answers in this process; it sleeps while training.
        split: the number of GPUs among which vLLM splits the weights.
    """
    itemsize = 2 if dtype == "bfloat16" else 4
    state, gradients = _state(
        model, train, itemsize, sharing=sharing, processes=processes, on_gpu=gpu is not None
    )
    unsharded = 0.0
    if sharing == "fsdp":
        # weights of two layers and of the embeddings, and one gradient, gathered in bf16
        unsharded = itemsize * (2 * model.layer_weights + model.embeddings)
        unsharded += itemsize * max(model.layer_weights, model.vocabulary * model.hidden)
    context = CONTEXT if gpu else 0.0
    row, scored = longest, 0.0
    if sharing == "one":  # a row is a group, which has its prompt once (`one_process`)
        answers = train.group_size * train.max_new_tokens
        row = max(1, longest - train.max_new_tokens) + answers
        scored = answers / row
    per_token = bytes_per_token(
        model, itemsize, checkpointing=train.activation_checkpointing, scored=scored
    )
    fixed = state + unsharded + context
    if train.tokens_per_pass:
        tokens = max(row, train.tokens_per_pass)
    elif gpu is None:
        tokens = row * (CPU_GROUPS if sharing == "one" else train.group_size)
    else:
        tokens = max(row, int((GPU_SHARE * gpu - fixed) / per_token))
        rows = train.prompts_per_step * (1 if sharing == "one" else train.group_size)
        tokens = min(tokens, row * rows // processes)
    rollouts = train.rollout_memory * gpu if vllm and gpu else 0.0
    if not rollouts:  # keys and values of one batch of answers
        rollouts = longest * model.cached * itemsize
    return Memory(
        state=state,
        generating=state - gradients + rollouts + context,
        training=fixed + tokens * per_token,
        rollouts=rollouts,
        vllm=(model.weights * 2 / split + CONTEXT) if vllm and gpu else 0.0,
        tokens=tokens,
    )


def _state(
    model: Shape, train: Train, itemsize: int, *, sharing: Sharing, processes: int, on_gpu: bool
) -> tuple[float, float]:
    """Return the bytes of weights, gradients and optimizer, and those of the gradients alone."""
    if train.lora_rank:
        adapters = train.lora_rank * model.adapter_width * model.layers
        return model.weights * itemsize + adapters * BYTES_TRAINED, adapters * 4
    each = BYTES_TRAINED
    if sharing == "data parallel":
        each += itemsize  # the buckets
    if not on_gpu and itemsize == 2:
        each += BYTES_GRADIENT
    parts = processes if sharing == "fsdp" else 1
    gradient = 4 if sharing == "fsdp" else itemsize
    return model.weights * each / parts, model.weights * gradient / parts


def longest(params: Params) -> int:
    """Return the most tokens of a prompt and its answer that params allow, or an assumption."""
    train = params.train
    return train.max_tokens or params.vllm.max_model_len or PROMPT + train.max_new_tokens


def check(
    base: Path | str,
    params: Params,
    dtype: NumberTypeName,
    sharing: Sharing = "one",
    processes: int = 1,
) -> None:
    """Check that GRPO of a model fits in the memory of this process's GPU, if there is one.

    Raises:
        ConfigError: naming the setting to change.
    """
    gpu = gpu_bytes() if machine.gpus() else None
    model = shape_of(base)
    if gpu is None or model is None:
        return
    needed = of_process(
        model,
        params.train,
        dtype=dtype,
        sharing=sharing,
        processes=processes,
        longest=longest(params),
        gpu=gpu,
        vllm=machine.rollout_mode(params.train.vllm) == "colocate",
        split=params.vllm.tensor_parallel_size,
    )
    if problem := unfit(needed, params.train, gpu, sharing):
        raise ConfigError(f"{FILE}: {problem}")


def check_warmup(base: Path | str) -> None:
    """Check that the warm-up, which trains all weights, fits in the GPU's memory, if there is one.

    Raises:
        ConfigError: naming the setting to change.
    """
    gpu, weights = gpu_bytes() if machine.gpus() else None, weights_of(base)
    if gpu and weights and weights * BYTES_TRAINED > gpu:
        raise ConfigError(
            f"{FILE}: warmup.steps: training {base} takes {_gb(weights * BYTES_TRAINED)}, but the "
            f"GPU has {_gb(gpu)}; set 0 if the model already calls tools"
        )


def unfit(needed: Memory, train: Train, gpu: float, sharing: Sharing) -> str | None:
    """Return which setting does not fit in a GPU's memory and what helps, or None if all fits."""
    if needed.state > gpu:
        helps = "set train.lora_rank: 32, or train.accelerate_config to a file with FSDP"
        if sharing == "fsdp":
            helps = "take more processes in train.accelerate_config, or a smaller model"
        elif train.lora_rank:
            helps = "choose a smaller model"
        field = "train.lora_rank" if sharing == "one" else "train.accelerate_config"
        what = "weights, gradients and optimizer take"
        return f"{field}: {what} {_gb(needed.state)} of {_gb(gpu)} in each process; {helps}"
    room = gpu - (needed.generating - needed.rollouts)
    if needed.vllm > room:
        return (
            f"train.vllm: colocate: vLLM needs {_gb(needed.vllm)} for the weights, and training "
            f"leaves {_gb(room)} of {_gb(gpu)}; take more processes, raise "
            "vllm.tensor_parallel_size, or set train.vllm: server"
        )
    if needed.rollouts < needed.vllm:
        return (
            f"train.rollout_memory: {train.rollout_memory} is {_gb(needed.rollouts)}, but vLLM "
            f"needs {_gb(needed.vllm)} for the weights; set it to {0.95 * room / gpu:.2f}"
        )
    if needed.generating > gpu:
        return (
            f"train.rollout_memory: {_gb(needed.generating)} of {_gb(gpu)} while answers are "
            f"drawn; lower it to {0.95 * room / gpu:.2f}"
        )
    if needed.training > gpu:
        helps = "lower train.max_tokens"
        if not train.activation_checkpointing:
            helps = "set train.activation_checkpointing: true"
        elif train.tokens_per_pass:
            helps = "lower train.tokens_per_pass"
        return (
            f"train.tokens_per_pass: {needed.tokens:,} tokens make {_gb(needed.training)} of "
            f"{_gb(gpu)} in a backward pass; {helps}"
        )
    return None


def _gb(size: float) -> str:
    return f"{size / 1e9:.1f} GB"


def gpu_bytes() -> float | None:
    """Return the memory of this process's GPU, or None if there is none that torch can use."""
    import torch

    if not torch.cuda.is_available():
        return None
    return float(torch.cuda.get_device_properties(torch.cuda.current_device()).total_memory)


def training_rows(model: Any, tokens: int, cpu_rows: int, *, checkpointing: bool = False) -> int:
    """Return how many rows to process in one forward and backward pass of a loaded model.

    Sizes depend on the GPU and the model, not on the memory that is free at the moment: they decide
    which rows share a pass, and that affects the last bits of the results.

    Args:
        tokens: length of the longest row.
        cpu_rows: the result on a CPU.
        checkpointing: whether activations are computed again.
    """
    if model.device.type == "cpu":
        return cpu_rows
    state = sum(
        weight.numel() * (BYTES_TRAINED if weight.requires_grad else weight.itemsize)
        for weight in model.parameters()
    )
    per_token = bytes_per_token(
        shape(model.config.to_dict(), 1),
        model.dtype.itemsize,
        checkpointing=checkpointing,
        scored=1.0,
    )
    return max(1, int((GPU_SHARE * (gpu_bytes() or 0) - state - CONTEXT) / (per_token * tokens)))


def weights_of(model: Path | str) -> int | None:
    """Return a model's number of weights: from its files, its config.json, or a name with `8B`."""
    if counted := _weights_of_files(Path(model)):
        return counted
    if known := shape_of(model):
        return known.weights
    name = Path(model).name.partition("@")[0]  # without the commit of a model of the hub
    size = re.search(r"(\d+(?:\.\d+)?)\s*([BM])\b", name, re.I)
    return int(float(size[1]) * (1e9 if size[2].upper() == "B" else 1e6)) if size else None


def _weights_of_files(folder: Path) -> int | None:
    return sum(map(_weights_in, folder.glob("*.safetensors"))) or None


def _weights_in(file: Path) -> int:
    """Count the weights in a safetensors file from its header."""
    with open(file, "rb") as content:
        header = json.loads(content.read(int.from_bytes(content.read(8), "little")))
    total = 0
    for name, tensor in header.items():
        if name != "__metadata__":
            size = 1
            for length in tensor["shape"]:
                size *= length
            total += size
    return total

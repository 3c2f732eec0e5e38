"""SFT and GRPO on a tiny model: what is saved, what is logged, and that a kill changes nothing."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import safetensors.torch
import torch

from looptool.core import machine, params
from looptool.core.calls import ToolCall
from looptool.core.samples import call_label, text_label
from looptool.engines import Prompt
from looptool.engines.templates import render
from looptool.engines.transformers import load_model
from looptool.training import rollouts
from looptool.training.checkpoints import label_ids
from looptool.training.grpo import (
    arguments,
    prompt_order,
    text_warning,
    train_grpo,
    training_metrics,
)
from looptool.training.objective import Answer, Group, chosen
from looptool.training.one_process import split_groups
from looptool.training.optimizer import MasterAdamW
from looptool.training.rewards import Example
from looptool.training.sampling import draw
from looptool.training.warmup import train_sft
from tests.tiny import make_tiny_model

TOOL = {
    "name": "f",
    "description": "d",
    "parameters": {"type": "object", "properties": {"a": {"type": "integer"}}},
}
EXAMPLES = [
    Example(
        Prompt([{"role": "user", "content": f"say {i}"}], [TOOL]),
        text_label("yes") if i % 2 else call_label([ToolCall("f", {"a": i})]),
        sample_id=f"{i:032x}",
        origin="seed",
    )
    for i in range(12)
]


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_tiny_model(tmp_path_factory.mktemp("tiny") / "base")


SHIPPED = params.load(Path(__file__).parents[2] / "params.yaml")
VLLM = SHIPPED.vllm

DTYPE = machine.number_type("auto").name


def settings(**changes: object) -> params.Train:
    train = SHIPPED.train
    small = {
        "steps": 4,
        "prompts_per_step": 2,
        "group_size": 2,
        "oversample": 2.0,
        "anchor": "label",
        "negative_weight": 1.0,
        "max_new_tokens": 8,
        "save_steps": 2,
        "temperature": 1.0,
        "learning_rate": 1e-3,
        "schedule": "linear",
        "minibatches": 1,
        "updates_per_rollout": 1,
    }
    return train.model_copy(update={**small, **changes})


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return load_model(folder, "float32")[0].state_dict()


def same(one: Path, other: Path) -> bool:
    a, b = weights(one), weights(other)
    return all(torch.equal(a[name], b[name]) for name in a)


def test_sft_lowers_the_loss_and_saves_what_can_be_loaded(base: Path, tmp_path: Path) -> None:
    history = train_sft(
        base,
        [(example.prompt, example.label) for example in EXAMPLES],
        tmp_path / "model",
        steps=12,
        batch_size=4,
        learning_rate=5e-3,
        schedule="constant",
        save_steps=5,
        dtype=DTYPE,
        seed=1,
        scratch=tmp_path / "scratch",
    )
    assert [row["step"] for row in history] == list(range(1, 13))
    assert history[-1]["loss"] < history[0]["loss"]
    assert not same(base, tmp_path / "model")
    names = {path.name for path in (tmp_path / "model").iterdir()}
    assert "model.safetensors" in names and "training_args.bin" not in names
    assert str(tmp_path) not in (tmp_path / "model" / "config.json").read_text()


def test_grpo_changes_the_model_and_logs_every_step(base: Path, tmp_path: Path) -> None:
    history = train_grpo(
        base,
        EXAMPLES,
        tmp_path / "model",
        settings(),
        vllm=VLLM,
        match="schema",
        dtype=DTYPE,
        seed=7,
        scratch=tmp_path / "s",
    )
    assert [row["step"] for row in history] == [1, 2, 3, 4]
    drawn = rollouts.recorded(tmp_path / "s")
    assert drawn["step"].unique().to_list() == [1, 2, 3, 4] and len(drawn) == 4 * 4 * 2
    assert drawn["anchored"].sum() == sum(row["groups_anchored"] for row in history)
    for row in history:
        step = drawn.filter(step=row["step"])
        assert row["reward"] == pytest.approx(step["reward"].mean())
        assert {"reward", "entropy", "zero_variance_share", "groups_kept", "loss"} <= set(row)
        assert row["groups_anchored"] > 0  # a random model says nothing right
        assert row["clip_share"] == 0.0  # one update per rollout: the ratio is 1
        assert row["text_share"] > 0.5  # and makes no calls
    assert "in 4 of 4 steps, first in step 1" in (text_warning(history) or "")
    assert text_warning([row | {"text_share": 0.5} for row in history]) is None
    assert not same(base, tmp_path / "model")


def test_low_rank_adapters_end_in_a_model_as_any_other(base: Path, tmp_path: Path) -> None:
    train_grpo(
        base,
        EXAMPLES,
        tmp_path / "model",
        settings(lora_rank=2),
        vllm=VLLM,
        match="schema",
        dtype=DTYPE,
        seed=7,
        scratch=tmp_path / "s",
    )
    before, after = weights(base), weights(tmp_path / "model")
    assert before.keys() == after.keys()
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    assert changed and all("proj" in name for name in changed)


def test_grpo_without_any_signal_leaves_the_model_alone(base: Path, tmp_path: Path) -> None:
    calls_only = [example for example in EXAMPLES if "calls" in example.label]
    history = train_grpo(
        base,
        calls_only,
        tmp_path / "model",
        settings(anchor="none", steps=2),
        vllm=VLLM,
        match="schema",
        dtype=DTYPE,
        seed=7,
        scratch=tmp_path / "s",
    )
    assert [row["zero_variance_share"] for row in history] == [1.0, 1.0]
    assert same(base, tmp_path / "model")


@pytest.mark.parametrize("lora_rank", [None, 2])
def test_grpo_killed_after_a_checkpoint_ends_as_if_it_had_not_been(
    base: Path, tmp_path: Path, lora_rank: int | None
) -> None:
    given = settings(lora_rank=lora_rank)
    whole = train_grpo(
        base,
        EXAMPLES,
        tmp_path / "whole",
        given,
        vllm=VLLM,
        match="schema",
        dtype=DTYPE,
        seed=7,
        scratch=tmp_path / "a",
    )

    class Killed(Exception):
        pass

    def kill(step: int) -> None:
        if step == 3:
            raise Killed

    arguments = {
        "vllm": VLLM,
        "match": "schema",
        "dtype": DTYPE,
        "seed": 7,
        "scratch": tmp_path / "b",
    }
    with pytest.raises(Killed):
        train_grpo(base, EXAMPLES, tmp_path / "cut", given, on_progress=kill, **arguments)
    started: list[int] = []
    resumed = train_grpo(
        base, EXAMPLES, tmp_path / "cut", given, on_progress=started.append, **arguments
    )
    assert started[0] == 2
    assert resumed == whole
    assert same(tmp_path / "whole", tmp_path / "cut")


def test_wrong_completions_may_count_for_less_than_right_ones(base: Path, tmp_path: Path) -> None:
    lost = {
        weight: train_grpo(
            base,
            EXAMPLES,
            tmp_path / f"model-{weight}",
            settings(steps=1, negative_weight=weight),
            vllm=VLLM,
            match="schema",
            dtype=DTYPE,
            seed=7,
            scratch=tmp_path / f"s-{weight}",
        )[0]["loss"]
        for weight in (1.0, 0.5, 0.0)
    }
    # the ratio is 1, so the loss is a sum of advantages over tokens: linear in the weight
    assert lost[0.0] < lost[0.5] < lost[1.0]
    assert lost[0.5] == pytest.approx((lost[0.0] + lost[1.0]) / 2, rel=1e-3)


def test_minibatches_make_the_ratio_leave_one(base: Path, tmp_path: Path) -> None:
    history = train_grpo(
        base,
        EXAMPLES,
        tmp_path / "model",
        settings(minibatches=2, learning_rate=0.05, schedule="constant"),
        vllm=VLLM,
        match="schema",
        dtype=DTYPE,
        seed=7,
        scratch=tmp_path / "s",
    )
    assert max(row["clip_share"] for row in history) > 0.0
    assert training_metrics(history)["tokens"] > 0


def test_the_learning_rate_follows_its_schedule(base: Path, tmp_path: Path) -> None:
    examples = [(example.prompt, example.label) for example in EXAMPLES]
    rates = {
        schedule: [
            row["learning_rate"]
            for row in train_sft(
                base, examples, tmp_path / schedule, steps=5, batch_size=2, learning_rate=1e-3,
                schedule=schedule, save_steps=5, dtype=DTYPE, seed=1,
                scratch=tmp_path / f"of-{schedule}",
            )
        ]
        for schedule in ("constant", "linear")
    }  # fmt: skip
    assert rates["constant"] == [1e-3] * 5
    assert rates["linear"] == pytest.approx([1e-3, 8e-4, 6e-4, 4e-4, 2e-4])


def test_every_prompt_is_rolled_out_as_often_as_any_other() -> None:
    params = settings(steps=5, prompts_per_step=2, oversample=1.5)
    order = prompt_order(7, params, seed=1)
    assert len(order) == 5 * 3 and order == prompt_order(7, params, seed=1)
    assert set(order[:7]) == set(order[7:14]) == set(range(7))
    assert order[:7] != order[7:14]


def group(number: int, *rewards: float) -> Group:
    return Group(number, [1], [Answer([2], "", [0.0], each, {}, False, True) for each in rewards])


def test_an_oversampled_rollout_trains_on_the_first_groups_whose_rewards_differ() -> None:
    groups = [group(0, 0, 0), group(1, 1, 0), group(2, 1, 1), group(3, 0.5, 0), group(4, 0, 1)]
    for oversample, numbers in ((1.0, [0, 1, 2, 3, 4]), (2.5, [1, 3])):
        kept = chosen(groups, settings(prompts_per_step=2, oversample=oversample))
        assert [each.number for each in kept] == numbers


def test_groups_go_whole_to_passes_the_longest_first_and_fillers_to_none() -> None:
    batch = {
        "advantages": torch.arange(10.0),
        "completion_mask": torch.tensor([[1, 1], [1, 0]] * 5),
        "tool_mask": torch.tensor([[1, 1]] * 2 + [[0, 0]] * 2 + [[1, 1]] * 2 + [[0, 0]] * 2
                                  + [[1, 1]] * 2),
        "prompt_mask": torch.tensor([[0, 1], [0, 1]] * 4 + [[1, 1], [1, 1]]),
        "num_items_in_batch": torch.tensor(9),
        "nothing": None,
    }  # fmt: skip
    passes = split_groups(batch, size=2, minibatches=1, passes=5, per_pass=2)
    assert [part["advantages"].tolist() for part in passes] == [[8, 9, 0, 1], [4, 5], [], [], []]
    assert {int(part["num_items_in_batch"]) for part in passes} == {9}
    halves = split_groups(batch, size=2, minibatches=2, passes=2, per_pass=2)
    assert [part["advantages"].tolist() for part in halves] == [[0, 1, 4, 5], [], [8, 9], []]
    batch["tool_mask"] = batch["tool_mask"] * 0
    none = split_groups(batch, size=2, minibatches=1, passes=2, per_pass=2)
    assert [part["advantages"].tolist() for part in none] == [[], []]


def test_the_loss_of_sft_is_the_mean_over_the_labels_tokens(base: Path, tmp_path: Path) -> None:
    examples = [(example.prompt, example.label) for example in EXAMPLES[:4]]
    (step,) = train_sft(
        base, examples, tmp_path / "model", steps=1, batch_size=4, learning_rate=1e-9,
        schedule="constant", save_steps=5, dtype=DTYPE, seed=1, scratch=tmp_path / "scratch",
    )  # fmt: skip
    model, tokenizer = load_model(base, "float32")
    lost, tokens = 0.0, 0
    for prompt, label in examples:
        before = tokenizer(render(tokenizer, prompt), add_special_tokens=False).input_ids
        after = label_ids(tokenizer, prompt, label)
        logits = model(torch.tensor([before + after])).logits[0, len(before) - 1 : -1].float()
        lost += torch.nn.functional.cross_entropy(
            logits, torch.tensor(after), reduction="sum"
        ).item()
        tokens += len(after)
    assert step["loss"] == pytest.approx(lost / tokens, rel=2e-3)


def test_master_weights_gather_updates_that_bf16_would_lose() -> None:
    weight = torch.nn.Parameter(torch.ones(1, dtype=torch.bfloat16))
    optimizer = MasterAdamW([weight], lr=1e-4)
    for _ in range(100):
        weight.grad = torch.ones_like(weight)
        optimizer.step()
    assert weight.item() == pytest.approx(0.99, abs=0.004)
    other = torch.nn.Parameter(torch.ones(1, dtype=torch.bfloat16))
    copy = MasterAdamW([other], lr=1e-4)
    copy.load_state_dict(optimizer.state_dict())
    assert torch.equal(copy.masters[0], optimizer.masters[0]) and torch.equal(other, weight)


def test_fp32_weights_are_their_own_masters_and_are_saved_as_bf16(
    base: Path, tmp_path: Path
) -> None:
    weight = torch.nn.Parameter(torch.ones(1))
    assert MasterAdamW([weight], lr=1e-4).masters[0] is weight
    train_grpo(
        base, EXAMPLES, tmp_path / "model", settings(steps=1), vllm=VLLM, match="schema",
        dtype="float32", seed=7, scratch=tmp_path / "s",
    )  # fmt: skip
    saved = safetensors.torch.load_file(tmp_path / "model/model.safetensors")
    assert {weight.dtype for weight in saved.values()} == {torch.bfloat16}
    assert not same(base, tmp_path / "model")


@pytest.mark.parametrize(("here", "mode"), [(True, "colocate"), (False, "off")])
def test_rollouts_are_by_vllm_where_it_has_a_gpu(
    here: bool, mode: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(machine, "serves_vllm", lambda: here)
    assert machine.rollout_mode("auto") == mode
    assert machine.rollout_mode("server") == "server"


@pytest.mark.parametrize(
    ("mode", "anchor"), [("colocate", "none"), ("server", "label"), ("off", "label")]
)
def test_rollouts_by_vllm_are_configured_as_trl_wants_them(
    tmp_path: Path, mode: str, anchor: str
) -> None:
    """As far as a machine without a GPU can tell: what TRL is told."""
    chosen = settings(vllm=mode, anchor=anchor)
    vllm = VLLM.model_copy(update={"max_model_len": 5120, "tensor_parallel_size": 2})
    told = arguments(chosen.model_copy(update={"rollout_memory": 0.5}), vllm, 1, tmp_path)
    assert told.use_vllm == (mode != "off")
    if mode != "off":
        assert told.vllm_mode == mode
        assert (told.vllm_max_model_length, told.vllm_tensor_parallel_size) == (5120, 2)
        assert told.vllm_gpu_memory_utilization == 0.5
        assert told.vllm_enable_sleep_mode == (mode == "colocate")
    assert told.vllm_server_base_url == ("http://127.0.0.1:8000" if mode == "server" else None)
    assert told.vllm_importance_sampling_correction


def test_what_vllm_sampled_is_taken_as_it_is(base: Path) -> None:
    model, tokenizer = load_model(base, "float32")
    end = tokenizer.eos_token_id
    asked: list[Any] = []

    def generate(prompts: Any, images: Any, count: int) -> Any:
        asked.append((prompts, images, count))
        completions = [[5, 6, end], [7, 8], [9, end], [end]]
        logprobs = [[[-0.5] for _ in ids] for ids in completions]
        return prompts, completions, logprobs, None

    trainer = SimpleNamespace(
        num_generations=2,
        use_vllm=True,
        processing_class=tokenizer,
        model=model,
        accelerator=SimpleNamespace(unwrap_model=lambda model: model),
        vllm_generation=SimpleNamespace(generate=generate),
    )
    drawn = draw(trainer, [[1, 2], [3]])
    assert asked == [([[1, 2], [1, 2], [3], [3]], None, 2)]
    assert [each.ids for each in drawn] == [[5, 6, end], [7, 8], [9, end], [end]]
    assert [each.stopped for each in drawn] == [True, False, True, True]
    assert drawn[0].logprobs == [-0.5, -0.5, -0.5]

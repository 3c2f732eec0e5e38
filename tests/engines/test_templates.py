"""What reaches a prompt, for the chat templates that TRL ships and for the project's own."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import trl

from looptool.core import params
from looptool.core.calls import ToolCall
from looptool.core.errors import ConfigError
from looptool.core.samples import call_label
from looptool.engines import Prompt, Sampling
from looptool.engines.syntax import syntax_of
from looptool.engines.template_check import check_role, check_template, template_problem
from looptool.engines.templates import (
    PROJECT_TEMPLATE,
    TemplateOf,
    answer_of,
    choose_template,
    conversation,
    project_template,
    render,
    with_date,
    wrapped,
)
from looptool.engines.transformers import TransformersEngine, load_tokenizer
from looptool.training.checkpoints import copy_base
from tests.tiny import make_tiny_model

ROOT = Path(__file__).parents[2]
MODEL = params.load(ROOT / "params.yaml").model
SHIPPED = sorted(
    path
    for path in (Path(trl.__file__).parent / "chat_templates").glob("*.jinja")
    if not path.stem.endswith("_training")
)
# The templates whose prompts hold everything, by the syntax of their calls. Of each other one, a
# part of the reason why it is refused.
SYNTAXES = {
    "hermes": {"qwen2_5", "qwen3", "qwen3_instruct_2507", "qwen3_vl"},
    "functions": {"qwen3_5_nothink", "qwen3_5_think", "qwen3_6", "qwen3_8", "nemotron_3_nano",
                  "nemotron_3_super", "nemotron_3_ultra", "nemotron_3_5_lightning"},
    "keyed": {"glm4moe"},
    "gemma": {"gemma4", "gemma4_v2", "gemma4_v3", "gemma4_v4", "gemma4_v5", "diffusion_gemma"},
    "python": {"lfm2_v2", "lfm2_2_5", "lfm2_2_5_v2", "lfm2_2_5_vl"},
    "json": {"llama3_1", "llama3_2"},
    "harmony": {"gptoss"},
}  # fmt: skip
USABLE = {template: syntax for syntax, names in SYNTAXES.items() for template in names}
RAISES = {"cohere", "cohere2", "deepseekv3", "gemma", "gemma3", "idefics3", "llava_next", "smolvlm"}
PRINTS_TODAY = {"llama3_2", "gptoss", "muse_glimmer"}
DROPS_TOOLS = {"deepseek_r1_distill", "llama3", "phi3", "phi3_5", "qwen2_5_vl"}
TOOL = {"name": "f", "description": "F", "parameters": {"type": "object", "properties": {}}}
MESSAGES = [
    {"role": "user", "content": "Do it"},
    {
        "role": "assistant",
        "content": "",
        "tool_calls": [
            {"type": "function", "function": {"name": name, "arguments": {"a": 1}}}
            for name in ("f", "g")
        ],
    },
    {"role": "tool", "content": "1"},
    {"role": "tool", "content": "2"},
]


def options(**chosen: object) -> params.Model:
    return MODEL.model_copy(update={"template_options": chosen})


def template_of(text: str) -> TemplateOf:
    return TemplateOf(text, "<s>", "<|im_end|>", {})


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_a_template_keeps_everything_and_its_calls_are_read_or_it_is_refused(path: Path) -> None:
    template = template_of(path.read_text("utf-8"))
    problem = template_problem(template)
    if path.stem.startswith("nemotron"):
        assert problem is not None and "enable_thinking: false" in problem
        template.init_kwargs["template_options"] = {"enable_thinking": False}
        problem = template_problem(template)
    if path.stem in PRINTS_TODAY:
        assert problem is not None and "prints today's date" in problem
        choose_template(template, options(today="2026-01-01"))
        problem = template_problem(template)
    if path.stem in USABLE:
        assert problem is None
        syntax = syntax_of(template)
        assert syntax is not None and syntax.name == USABLE[path.stem]
    elif path.stem in RAISES:
        assert problem is not None and "cannot render" in problem
    elif path.stem in DROPS_TOOLS:
        assert problem is not None and "drops the tools" in problem
    elif path.stem == "lfm2":
        assert problem == "the chat template drops an earlier call"
    else:
        assert problem is not None and "in no syntax that can be read" in problem


def test_results_get_the_id_and_the_name_of_their_call() -> None:
    told = conversation(MESSAGES)
    calls = told[1]["tool_calls"]
    assert len({call["id"] for call in calls}) == 2
    results = [(message["tool_call_id"], message["name"]) for message in told[2:]]
    assert results == [(call["id"], call["function"]["name"]) for call in calls]
    assert "id" not in MESSAGES[1]["tool_calls"][0]  # the messages themselves stay as they are


def test_tools_are_wrapped_with_their_keys_in_one_order() -> None:
    turned = dict(reversed(TOOL.items()))
    assert json.dumps(wrapped([turned])) == json.dumps([{"type": "function", "function": TOOL}])


def test_the_project_s_template_fits_every_tokenizer() -> None:
    """It begins with the tokenizer's BOS and ends turns with its EOS."""
    for bos, eos in (("<s>", "</s>"), (None, "<eos>"), (None, "<|im_end|>")):
        template = TemplateOf(None, bos, eos, {})
        template.chat_template = project_template(template)
        assert template_problem(template) is None
        prompt = Prompt(MESSAGES[:1], [TOOL])
        text = render(template, prompt)
        assert text.startswith(f"{bos or ''}<|im_start|>system\n")
        assert f"Do it{eos}\n" in text
        assert answer_of(template, prompt, call_label([ToolCall("f", {})])).endswith(
            f"</tool_call>{eos}\n"
        )


def test_the_embedded_model_s_template_is_the_file_itself() -> None:
    assert project_template(template_of("")) == PROJECT_TEMPLATE.read_text("utf-8")


def test_what_params_choose_is_saved_with_the_tokenizer(tmp_path: Path) -> None:
    base = make_tiny_model(tmp_path / "base")
    (base / "chat_template.jinja").write_text("{{ mood }}{{ messages[0].content }}", "utf-8")
    chosen = MODEL.model_copy(update={"template_options": {"mood": "Glad: "}})
    load_tokenizer(base, chosen).save_pretrained(tmp_path / "saved")
    again = load_tokenizer(tmp_path / "saved")
    assert render(again, Prompt(MESSAGES[:1])) == "Glad: Do it"
    project = MODEL.model_copy(update={"chat_template": "looptool"})
    assert "Tools:\n" in render(load_tokenizer(base, project), Prompt(MESSAGES[:1], [TOOL]))


@pytest.fixture
def in_project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def base_with(template: str | None) -> params.Model:
    base = make_tiny_model(Path("models/base"))
    (base / "chat_template.jinja").unlink()
    if template is not None:
        (base / "chat_template.jinja").write_text(template, "utf-8")
    return MODEL.model_copy(update={"base": str(base)})


@pytest.mark.parametrize(
    ("template", "reason"),
    [
        (None, "the base has none; `looptool`, the project's template"),
        ("{{ messages", "cannot render a prompt"),
        ("{{ messages[0].content }}", "the chat template drops the user's text, the last request"),
        ("{{ raise_exception('No tools!') }}", "cannot render a prompt: No tools!"),
    ],
)
@pytest.mark.usefixtures("in_project")
def test_a_base_s_template_is_checked_before_a_model_is_loaded(
    template: str | None, reason: str
) -> None:
    model = base_with(template)
    with pytest.raises(ConfigError) as error:
        check_template(model, 10)
    assert reason in str(error.value) and "model.chat_template" in str(error.value)
    assert len(str(error.value).splitlines()) == 1
    looptool = model.model_copy(update={"chat_template": "looptool"})
    check_template(looptool, 10)
    with pytest.raises(ConfigError, match=r"warmup\.steps must not be 0"):
        check_template(looptool, 0)


@pytest.mark.usefixtures("in_project")
def test_an_option_that_the_template_does_not_know_is_refused() -> None:
    model = base_with(PROJECT_TEMPLATE.read_text("utf-8"))
    check_template(model, 0)
    wrong = model.model_copy(update={"template_options": {"enable_thinkng": False}})
    with pytest.raises(ConfigError, match=r"template_options\.enable_thinkng: .* no such option"):
        check_template(wrong, 0)


def test_a_template_of_one_s_own_takes_the_place_of_the_base_s(in_project: Path) -> None:
    model = base_with("{{ messages[0].content }}")
    file = in_project / "configs/chat_templates/mine.jinja"
    mine = model.model_copy(update={"chat_template": "configs/chat_templates/mine.jinja"})
    with pytest.raises(ConfigError, match=r"mine\.jinja: No such file"):
        check_template(mine, 0)
    file.parent.mkdir(parents=True)
    file.write_text("{{ messages\n}}{% if %}", "utf-8")
    with pytest.raises(ConfigError, match=r"mine\.jinja: line 2: not a Jinja template: Expected"):
        check_template(mine, 0)
    file.write_text("{{ messages[0].content }}", "utf-8")
    with pytest.raises(ConfigError, match=r"mine\.jinja: .*drops the user's text"):
        check_template(mine, 0)
    file.write_text(PROJECT_TEMPLATE.read_text("utf-8"), "utf-8")
    check_template(mine, 0)
    copy_base(model.base, in_project / "0", mine)
    assert load_tokenizer(in_project / "0").chat_template == PROJECT_TEMPLATE.read_text("utf-8")


@pytest.mark.parametrize(
    "template",
    [
        "{% if messages[0].role == 'system' %}{{ raise_exception('no system') }}{% endif %}",
        "{% set messages = messages | rejectattr('role', 'equalto', 'system') | list %}",
    ],
)
def test_a_role_s_system_turn_goes_to_the_user_s_where_a_template_takes_none(template: str) -> None:
    shown = template_of(
        template + "{% for m in messages %}<{{ m.role }}>{{ m.content }}{% endfor %}"
    )
    asked = [{"role": "system", "content": "Judge. "}, {"role": "user", "content": "Right?"}]
    assert render(shown, Prompt(asked)) == "<user>Judge. \n\nRight?"
    with pytest.raises(ConfigError, match="cannot render a prompt"):
        render(template_of("{{ raise_exception('never') }}"), Prompt(asked))


def test_options_of_a_model_in_a_role_are_checked_too(tmp_path: Path) -> None:
    base = make_tiny_model(tmp_path / "judge")
    role = {"name": "llm", "engine": "transformers", "server": "", "model": str(base),
            "batch_size": None, "temperature": 0.0, "max_new_tokens": 9}  # fmt: skip
    check_role(params.LLM(**role, template_options={}), "verify.judges.0")
    wrong = params.LLM(**role, template_options={"enable_thinking": False})
    told = r"verify\.judges\.0\.template_options\.enable_thinking: .* has no such option"
    with pytest.raises(ConfigError, match=told):
        check_role(wrong, "verify.judges.0")


def test_a_template_that_drops_one_of_several_calls_refuses_such_prompts() -> None:
    written = (SHIPPED[0].parent / "gptoss.jinja").read_text("utf-8")
    template = template_of(with_date(written, "2026-01-01"))
    assert "FIND" in render(template, Prompt([{"role": "user", "content": "FIND"}], [TOOL]))
    with pytest.raises(ConfigError, match="drops one of several calls of a turn"):
        render(template, Prompt(MESSAGES, [TOOL]))


def test_the_light_check_renders_as_the_tokenizer_does(tmp_path: Path) -> None:
    base = make_tiny_model(tmp_path / "base")
    light, whole = TemplateOf.folder(base), load_tokenizer(base)
    prompt = Prompt(MESSAGES, [TOOL])
    assert render(light, prompt) == render(whole, prompt)
    for each in (light, whole):
        choose_template(each, MODEL.model_copy(update={"chat_template": "looptool"}))
    assert light.chat_template == whole.chat_template


def test_a_conversation_that_a_template_refuses_is_one_line(tmp_path: Path) -> None:
    template: Any = template_of("{{ raise_exception('roles must alternate') }}")
    with pytest.raises(ConfigError, match="cannot render a prompt: roles must alternate"):
        render(template, Prompt(MESSAGES))


def test_a_fixed_date_takes_the_place_of_today_s() -> None:
    template = template_of((SHIPPED[0].parent / "llama3_2.jinja").read_text("utf-8"))
    choose_template(template, options(today="2031-05-17"))
    assert "Today Date: 17 May 2031" in render(template, Prompt(MESSAGES[:1], [TOOL]))


def test_a_prompt_that_a_template_refuses_is_a_refusal_and_the_others_are_answered(
    tmp_path: Path,
) -> None:
    base = make_tiny_model(tmp_path / "base")
    picky = "{% if messages | length > 1 %}{{ raise_exception('one turn only') }}{% endif %}Hi"
    (base / "chat_template.jinja").write_text(picky, "utf-8")
    engine = TransformersEngine.load(base, 2, "float32")
    one, two = engine.generate([Prompt(MESSAGES), Prompt(MESSAGES[:1])], Sampling(4))
    assert one.finish_reason == "refused" and "one turn only" in (one.error or "")
    assert two.error is None and two.tokens

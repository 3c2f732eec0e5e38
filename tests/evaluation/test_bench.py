"""`looptool bench bfcl` and `acebench`: on a tiny model and behind a server, and what is kept."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from pytest_httpserver import HTTPServer
from typer.testing import CliRunner
from werkzeug import Request, Response

from looptool.cli import app
from looptool.core import tables
from looptool.evaluation import bench
from looptool.lineage import views
from looptool.lineage.revisions import open_workspace
from tests.evaluation.acebench.conftest import SAMPLE
from tests.tiny import make_tiny_model

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LOOPTOOL_SCRATCH", str(tmp_path / "scratch"))
    shutil.copy(ROOT / "params.yaml", "params.yaml")
    text = Path("params.yaml").read_text("utf-8")
    short = text.replace("  max_new_tokens: 256\n  bfcl:", "  max_new_tokens: 4\n  bfcl:")
    Path("params.yaml").write_text(short.replace("    retries: 5", "    retries: 0"), "utf-8")
    Path("dvc.yaml").write_text("stages: {}\n")


def run(*arguments: str) -> Any:
    """Return what a command printed as JSON."""
    result = CliRunner().invoke(app, ["bench", *arguments, "--json"], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def failure(*arguments: str) -> str:
    result = CliRunner().invoke(app, ["bench", *arguments])
    assert result.exit_code == 1, result.output
    return result.output + str(result.exception)


class Server:
    """A model behind a server: says one text, and dies after so many answers."""

    def __init__(self, server: HTTPServer, says: str) -> None:
        self.says, self.left, self.answered = says, 10**9, 0
        self.url = server.url_for("/v1")
        server.expect_request("/v1/models").respond_with_json({"data": [{"id": "m"}]})
        server.expect_request("/v1/chat/completions").respond_with_handler(self._respond)

    def _respond(self, request: Request) -> Response:
        if self.answered >= self.left:
            return Response("{}", 500)
        self.answered += 1
        choice = {"finish_reason": "stop", "message": {"role": "assistant", "content": self.says}}
        return Response(json.dumps({"choices": [choice]}), content_type="application/json")


def test_all_of_bfcl_runs_and_the_answers_are_kept_for_sql_and_the_report() -> None:
    make_tiny_model(Path("models/2"))
    found = run("bfcl", "2", "--limit", "1")
    assert len(found[0]["categories"]) == 17 and found[0]["target"] == "models/2"
    path = bench.kept_at("bfcl", "native", "models/2")
    assert len(tables.read(path, tables.Bench)) == 17
    connection = views.connect(open_workspace())
    asked = views.rows(connection, "SELECT count(*) AS n, min(prompt) AS p FROM bench")
    assert asked == [{"n": 17, "p": "native"}]
    shown = bench.kept(open_workspace())
    assert shown[0]["targets"] == ["models/2"] and len(shown[0]["lines"]) > 17
    assert found[0]["valid"]["overall"] is None and len(found[0]["missing"]) == 17


def test_other_rows_are_kept_beside_and_those_of_other_weights_are_not() -> None:
    path = bench.kept_at("bfcl", "native", "models/2")
    make_tiny_model(Path("models/2"))
    run("bfcl", "2", "--category", "simple", "--limit", "2")
    run("bfcl", "2", "--category", "multiple", "--limit", "1")
    assert tables.read(path, tables.Bench)["category"].to_list() == ["multiple", *["simple"] * 2]
    shutil.rmtree("models/2")
    make_tiny_model(Path("models/2"), seed=1)
    run("bfcl", "2", "--category", "java", "--limit", "1")
    assert tables.read(path, tables.Bench)["category"].to_list() == ["java"]


def test_an_endpoint_that_dies_half_way_is_asked_for_the_rest_alone(
    httpserver: HTTPServer,
) -> None:
    server = Server(httpserver, "I cannot do that.")
    arguments = ("bfcl", f"{server.url}#m", "--category", "simple", "--limit", "40")
    server.left = 15
    assert "gave no answer" in failure(*arguments)
    answered, server.left = server.answered, 10**9
    found = run(*arguments)
    assert answered == 15 and 40 <= server.answered < 50  # those under way when it died are lost
    assert found[0]["categories"][0]["rows"] == 40
    assert found[0]["target"] == f"m at {server.url}"


def test_bfcl_s_own_prompt_and_its_answers(httpserver: HTTPServer) -> None:
    server = Server(httpserver, "[nothing(a=1)]")
    target = f"{server.url}#m"
    found = run("bfcl", target, "--category", "live_relevance", "--prompt", "bfcl")
    assert found[0]["prompt"] == "bfcl" and found[0]["categories"][0]["accuracy"] == 1.0
    assert found[0]["strict"]["live"] == 0.0  # the tool that is called is none of those on offer


def test_two_urls_are_two_targets_and_one_named_twice_is_one(httpserver: HTTPServer) -> None:
    server = Server(httpserver, "No.")
    rows = ("--category", "irrelevance", "--limit", "2")
    assert run("bfcl", f"{server.url}#m", f"{server.url}#m", *rows)[0]["categories"][0]["rows"] == 2
    server.says = '<tool_call>\n{"name": "f", "arguments": {}}\n</tool_call>'
    other = server.url.replace("localhost", "127.0.0.1")
    assert run("bfcl", f"{other}#m", *rows)[0]["categories"][0]["accuracy"] == 0.0


def test_targets_stand_side_by_side(httpserver: HTTPServer) -> None:
    server = Server(httpserver, "No.")
    make_tiny_model(Path("models/0"))
    result = CliRunner().invoke(
        app, ["bench", "bfcl", "0", f"{server.url}#m", "--category", "irrelevance", "--limit", "2"]
    )
    assert result.exit_code == 0
    heading = next(line for line in result.stdout.splitlines() if "rows" in line)
    assert "models/0" in heading and "m at" in heading
    assert "100.0 ± 0.0" in result.stdout and "no overall" in result.stdout


@pytest.mark.skipif(not SAMPLE.exists(), reason="no sample of ACEBench beside the project")
def test_acebench_runs_and_its_result_files_are_written(httpserver: HTTPServer) -> None:
    server = Server(httpserver, "Due to the limitations of the function, I cannot.")
    target = f"{server.url}#m"
    names = ["--category", "special", "--category", "normal_atom_bool"]
    found = run("acebench", target, "--path", str(SAMPLE), *names)
    assert {row["category"]: row["accuracy"] for row in found[0]["categories"]} == {
        "en/special_incomplete": 0.0, "en/special_error_param": 0.0,
        "en/special_irrelevant": 1.0, "en/normal_atom_bool": 0.0,
    }  # fmt: skip
    result = CliRunner().invoke(
        app,
        ["bench", "export", target, "--format", "acebench-result", "--name", "m", "--path",
         str(SAMPLE), "--output", "out"],
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    lines = Path("out/result_all/result_en/m/data_special_irrelevant_result.json").read_text(
        "utf-8"
    )
    assert json.loads(lines.splitlines()[0])["result"].startswith("Due to the limitations")


def test_bfcl_s_result_files_are_written(httpserver: HTTPServer) -> None:
    server = Server(httpserver, '<tool_call>\n{"name": "f", "arguments": {"a": 1}}\n</tool_call>')
    target = f"{server.url}#m"
    run("bfcl", target, "--category", "simple", "--category", "multi_turn_base", "--limit", "1")
    result = CliRunner().invoke(
        app, ["bench", "export", target, "--format", "bfcl-result", "--name", "m", "--output", "o"]
    )
    assert result.exit_code == 0, result.output
    single = json.loads(Path("o/result/m/BFCL_v3_simple_result.json").read_text("utf-8"))
    assert single["result"] == [{"f": '{"a": 1}'}]
    several = json.loads(Path("o/result/m/BFCL_v3_multi_turn_base_result.json").read_text("utf-8"))
    assert len(several["result"]) == 1 and len(several["result"][0]) == 21  # it never ends


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("bfcl", "7"), "models/7"),
        (("bfcl", "http://127.0.0.1:1/v1"), "names no model; write it as"),
        (("bfcl", "http://127.0.0.1:1/v1#m", "--category", "simple"), "is the server up?"),
        (("bfcl", "models/2", "--category", "simpel"), "unknown category 'simpel'"),
        (("acebench", "models/2"), "git clone"),
        (("acebench", "models/2", "--path", "nowhere"), "nowhere"),
        (("export", "models/2", "--format", "bfcl-result", "--name", "m"), "looptool bench bfcl"),
    ],
)
def test_what_is_missing_is_named_before_a_model_is_loaded(
    arguments: tuple[str, ...], told: str
) -> None:
    folder = Path("models/2")
    folder.mkdir(parents=True)
    for name in ("config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"):
        (folder / name).write_text("{}")
    assert told in failure(*arguments)

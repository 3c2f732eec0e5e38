"""The import contracts of pyproject.toml hold, and what they cannot say: what is loaded at once."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

from looptool.core.fingerprints import addressed_names

ROOT = Path(__file__).parents[1]


def module_of(file):
    parts = file.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {module_of(file): file for file in sorted((ROOT / "looptool").rglob("*.py"))}
STAGES = {module_of(file): file for file in sorted((ROOT / "stages").glob("*.py"))}


def at_once(module):
    """The modules that one loads when it is imported, those in its functions left out."""
    found = set()
    for node in ast.parse((MODULES | STAGES)[module].read_text("utf-8")).body:
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names = {f"{node.module}.{alias.name}" for alias in node.names}
            found |= (names & set(MODULES)) or {str(node.module)}
    return found - {"looptool", module}


def test_the_contracts_of_pyproject_hold():
    command = [Path(sys.executable).with_name("lint-imports"), "--no-cache", "--no-logo"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert not done.returncode, done.stdout + done.stderr


def test_no_address_leads_to_a_stage_or_a_command():
    for module, file in (MODULES | STAGES).items():
        for name in addressed_names(file):
            assert not name.startswith(("stages", "looptool.cli")), f"{module} has {name}"


def test_no_module_imports_itself_by_a_detour():
    graph = {module: at_once(module) & set(MODULES) for module in MODULES}
    while graph:
        free = {module for module, names in graph.items() if not names & set(graph)}
        assert free, f"a circle of imports among {sorted(graph)}"
        graph = {module: names for module, names in graph.items() if module not in free}


ENTRIES = sorted({"looptool.cli", *STAGES, *(name for name in MODULES if name.count(".") == 1)})


@pytest.mark.parametrize("entry", ENTRIES)
def test_nothing_heavy_is_loaded_before_params_are_checked(entry):
    seen, todo = set(), [entry]
    while todo:
        names = at_once(todo.pop()) - seen
        seen |= names
        todo += names & (set(MODULES) | set(STAGES))
    heavy = {"torch", "transformers", "trl", "datasets", "bfcl_eval", "vllm", "vl_convert"}
    assert not {name.partition(".")[0] for name in seen} & heavy

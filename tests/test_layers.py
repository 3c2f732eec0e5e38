"""Imports point downwards only, and what must not know of each other does not."""

import ast
from pathlib import Path

import pytest

from looptool.core.fingerprints import code_files, imported_names

ROOT = Path(__file__).parents[1]
LAYERS = [
    {"core", "english"},
    {"terminal"},
    {"engines", "lineage"},
    {"evaluation", "exchange"},
    {"probing", "judging"},
    {"synthesis"},
    {"expansion"},
    {"training", "offline"},
    {"workspace"},
    {"reporting"},
    {"cli"},
    {"__main__"},
]
RANK = {part: rank for rank, layer in enumerate(LAYERS) for part in layer}


def module_of(file):
    parts = file.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {module_of(file): file for file in sorted((ROOT / "looptool").rglob("*.py"))}
STAGES = {module_of(file): file for file in sorted((ROOT / "stages").glob("*.py"))}


def first_party(module, file):
    """The project's modules that a file imports itself."""
    names = {name for name in imported_names(file, module) if name in MODULES | STAGES}
    return names - {"looptool", "stages", module}


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


def closure(module):
    return {module_of(file) for file in code_files(module, ROOT)}


@pytest.mark.parametrize("module", sorted(set(MODULES) - {"looptool"}))
def test_imports_point_downwards(module):
    part = module.split(".")[1]
    assert part in RANK, f"{module} stands in no layer"
    for name in first_party(module, MODULES[module]):
        other = name.split(".")[1] if "." in name else name
        assert other in RANK, f"{module} imports {name}"
        assert other == part or RANK[other] < RANK[part], f"{module} imports {name}"


def test_no_module_imports_itself_by_a_detour():
    graph = {module: at_once(module) & set(MODULES) for module in MODULES}
    while graph:
        free = {module for module, names in graph.items() if not names & set(graph)}
        assert free, f"a circle of imports among {sorted(graph)}"
        graph = {module: names for module, names in graph.items() if module not in free}


def test_judges_know_nothing_of_how_samples_are_made():
    todo = [
        name for name in MODULES if name.startswith(("looptool.judging", "looptool.offline.rules"))
    ]
    assert len(todo) > 15
    seen = set()
    while todo:
        seen.add(module := todo.pop())
        todo += first_party(module, MODULES[module]) - seen
    above = ("synthesis", "expansion", "offline.grammar", "offline.rewriter", "english")
    assert not {name for name in seen if name.startswith(tuple(f"looptool.{p}" for p in above))}


@pytest.mark.parametrize("stage", sorted(set(STAGES) - {"stages"}))
def test_a_stage_imports_the_library_and_no_other_stage(stage):
    assert not {name for name in closure(stage) if name.startswith("stages.")} - {stage}
    assert "looptool.cli" not in closure(stage)


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

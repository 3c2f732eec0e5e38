"""Cards of data sets and models: what they say, and that others can read the folders."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from looptool.core.errors import LooptoolError
from looptool.lineage.diff import open_data_set
from looptool.reporting.cards import write_data_set, write_model
from tests.lineage.conftest import make_project
from tests.tiny import make_tiny_model

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = make_project(tmp_path_factory.mktemp("cards"), 60, 3)
    (folder / "params.yaml").write_text((ROOT / "params.yaml").read_text("utf-8"), "utf-8")
    make_tiny_model(folder / "models/2")
    return folder


@pytest.fixture(autouse=True)
def in_project(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(project)


def front(path: Path) -> dict:
    return yaml.safe_load(path.read_text("utf-8").split("---\n")[1])


def test_a_data_set_is_a_folder_that_datasets_opens(tmp_path: Path) -> None:
    import datasets

    target = tmp_path / "out"
    count = write_data_set(open_data_set("2"), target, "apache-2.0")
    assert front(target / "README.md")["license"] == "apache-2.0"
    opened = datasets.load_dataset(str(target), split="train", cache_dir=str(tmp_path / "cache"))
    assert len(opened) == count
    assert json.loads(opened[0]["tools"])[0]["name"]
    card = (target / "README.md").read_text("utf-8")
    recorded = json.loads(Path("metrics/iterations/2/generate.json").read_text("utf-8"))
    assert recorded["dataset_id"] in card
    assert "label_source" in card and "| seed |" in card


def test_a_models_card_has_its_data_its_judges_and_its_scores(tmp_path: Path) -> None:
    from transformers import AutoModelForCausalLM

    target = tmp_path / "out"
    write_model(2, target, "mit")
    AutoModelForCausalLM.from_pretrained(target)
    card = (target / "README.md").read_text("utf-8")
    for j in (1, 2):
        made = json.loads(Path(f"metrics/iterations/{j}/generate.json").read_text("utf-8"))
        assert f"| {j} | `{made['dataset_id']}` |" in card
    assert front(target / "README.md")["license"] == "mit"
    assert "PRED_WRONG" in card and "| heldout | all |" in card
    write_model(2, target, "mit")  # again, over its own


@pytest.mark.parametrize(
    ("samples", "told"), [(0, "unchanged: the model that"), (8, "after a warm-up: the model that")]
)
def test_the_card_of_models_0_says_whether_it_was_warmed_up(
    tmp_path: Path, samples: int, told: str
) -> None:
    if not Path("models/0").exists():
        make_tiny_model(Path("models/0"))
    made = Path("metrics/iterations/0/warmup.json")
    made.parent.mkdir(parents=True, exist_ok=True)
    made.write_text(json.dumps({"base": "embedded", "samples": samples}), "utf-8")
    write_model(0, tmp_path / "out", "mit")
    assert told in (tmp_path / "out/README.md").read_text("utf-8")


def test_a_folder_that_holds_something_else_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(LooptoolError, match=r"already contains mine\.txt"):
        write_model(2, tmp_path, "mit")
    with pytest.raises(LooptoolError, match=r"already contains mine\.txt"):
        write_data_set(open_data_set("2"), tmp_path, "mit")
    assert (tmp_path / "mine.txt").read_text() == "mine"


@pytest.mark.parametrize("place", ["models/2", "models/1", "data/out", ".", ".."])
def test_the_projects_own_folders_are_never_written_over(place: str) -> None:
    before = sorted(path for path in Path("models").rglob("*"))
    with pytest.raises(LooptoolError):
        write_model(2, Path(place), "mit")
    assert sorted(path for path in Path("models").rglob("*")) == before


def test_files_deep_in_a_folder_are_left_alone(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data/precious.txt").write_text("mine")
    with pytest.raises(LooptoolError, match=r"already contains data/precious\.txt"):
        write_data_set(open_data_set("2"), tmp_path, "mit")
    (tmp_path / "data/precious.txt").rename(tmp_path / "README.md")
    with pytest.raises(LooptoolError, match=r"already contains README\.md"):
        write_data_set(open_data_set("2"), tmp_path, "mit")


def test_a_model_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(LooptoolError, match="dvc repro train@7"):
        write_model(7, tmp_path / "out", "mit")

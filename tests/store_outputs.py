"""Runs every notebook and stores the outputs that nbval compares: those of the cells tagged nbval-check-output.

Pictures are left out (they are in the reports), and so is what a cell prints besides its result.
"""

from __future__ import annotations

import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import nbformat

from privacy_metrics.reports import run_notebook

FOLDER = Path(__file__).parents[1] / "notebooks"


def store(path: Path) -> int:
    """Stores the outputs of one notebook; how many cells have some."""
    with TemporaryDirectory() as folder:
        executed = nbformat.read(run_notebook(path, Path(folder) / path.name, {}, FOLDER), as_version=4)
    notebook = nbformat.read(path, as_version=4)
    stored = 0
    number = 0
    for cell, ran in zip(notebook.cells, executed.cells, strict=True):
        if cell.cell_type == "code":
            checked = "nbval-check-output" in cell.metadata.get("tags", [])
            number += 1
            cell.outputs = ran.outputs if checked else []
            # nbval takes a cell without a number for one that was never run.
            cell.execution_count = number if checked else None
            for output in cell.outputs:
                if output.output_type == "execute_result":
                    output.execution_count = number
            stored += bool(cell.outputs)
    nbformat.write(notebook, path)
    return stored


if __name__ == "__main__":
    for name in sys.argv[1:] or sorted(p.name for p in FOLDER.glob("*.ipynb")):
        print(f"{name}: {store(FOLDER / name)} cells with stored outputs")

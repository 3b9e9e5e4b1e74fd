"""Whole runs and comparisons whose boxes become seeds by a network."""

import json
from pathlib import Path

import pytest

from generated import folder_arguments, write_folder
from tiny_sam import save_tiny, tiny_sam2
from weakseg.cli.main import main
from weakseg.files import read_json

COMPLETION = ["--completion.first_steps=5", "--completion.second_steps=2", "--completion.network.hidden=16"]


def test_a2gnn_and_what_a_comparison_says(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data, folder = write_folder(tmp_path / "data", 4), save_tiny(tiny_sam2(), tmp_path / "tiny")
    drawn = ["data", "simulate", "--kind", "boxes", "--out", str(data / "boxes.json"), *folder_arguments(data)]
    assert main(drawn) == 0
    recipe = tmp_path / "recipe.yaml"
    common = "with_activations: false, graph_from: free"
    recipe.write_text(
        "methods:\n"
        f"  grabcut: {{method: a2gnn, {common}}}\n"
        f"  proposed: {{method: a2gnn, {common}, seeds: {{boxes: {{proposer: sam2, proposer_file: {folder}}}}}}}\n"
    )
    words = [*folder_arguments(data), "--data.drawn=boxes.json", "--workers", "1", *COMPLETION]
    out = tmp_path / "compared"
    assert main(["compare", str(recipe), "--out", str(out), *words]) == 0
    printed = capsys.readouterr().out
    assert "proposed (proposer sam2, tiny)" in printed and "grabcut (" not in printed
    found = {row["method"]: row for row in read_json(out / "results.json")["methods"]}
    assert found["proposed"]["proposer"] == {"name": "sam2", "file": "tiny"} and "proposer" not in found["grabcut"]
    assert "proposed (proposer sam2, tiny)" in (out / "report.html").read_text()
    summary = json.loads((out / found["proposed"]["steps"]["proposals"] / "manifest.json").read_text())["summary"]
    assert summary["proposer"] == "sam2" and summary["objects"] > 0
    run = ["run", "a2gnn", "--out", str(tmp_path / "run"), *words, "--until", "seeds", "--with_activations=false"]
    told = ["--graph_from=free", "--seeds.boxes.proposer", "sam2", "--seeds.boxes.proposer_file", str(folder)]
    assert main([*run, *told]) == 0
    capsys.readouterr()
    assert main([*run, *told[:-1], str(tmp_path)]) == 2
    assert "has no config.json" in capsys.readouterr().err

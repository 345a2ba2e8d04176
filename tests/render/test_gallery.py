"""Every picture of the gallery as TikZ, in one document that is compiled once."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="no pdflatex")
def test_tikz_of_every_gallery_picture_compiles(tmp_path, monkeypatch):
    monkeypatch.chdir(ROOT)
    monkeypatch.setattr(sys, "path", [str(ROOT / "scripts"), *sys.path])
    import gallery

    files = []
    for picture in gallery.PICTURES:
        files.append(Path(picture.file).with_suffix(".tex").name)
        gallery.made(picture.arguments, tmp_path / files[-1])
    pages = "\n".join(rf"\input{{{file}}}\newpage" for file in files)
    start = r"\documentclass{article}\usepackage{tikz}\begin{document}"
    (tmp_path / "all.tex").write_text(f"{start}\n{pages}\n\\end{{document}}\n")
    command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "all.tex"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout[-2000:]
    assert re.findall(r"\(\./(\w+\.tex)", done.stdout.replace("\n", "")) == ["all.tex", *files]

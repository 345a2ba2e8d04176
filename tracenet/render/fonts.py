"""The fonts that labels are measured and drawn with, the same on every machine.

Graphviz finds fonts through fontconfig, which reads a file that says where they are. A slim
container has neither fonts nor that file, so tracenet writes one of its own: Source Sans Pro for
text, DejaVu Sans for signs that it lacks, both from installed Python packages, and then whatever
the system has.
"""

from __future__ import annotations

import os
import sys
import tempfile
from functools import cache
from hashlib import sha256
from importlib.util import find_spec
from pathlib import Path
from xml.sax.saxutils import escape

FAMILY = "Source Sans Pro,Source Sans 3,Helvetica,Arial,sans-serif"
CSS_FAMILY = "'Source Sans Pro','Source Sans 3',Helvetica,Arial,sans-serif"

TEXT_FONTS = ("Regular", "It", "Bold", "BoldIt")

SYSTEM = (
    "/usr/share/fonts",
    "/usr/local/share/fonts",
    "/System/Library/Fonts",
    "/Library/Fonts",
    "~/Library/Fonts",
    "~/.fonts",
    "~/.local/share/fonts",
)

CONFIG = """<?xml version="1.0"?>
<!DOCTYPE fontconfig SYSTEM "fonts.dtd">
<fontconfig>
{folders}
  <cachedir>{cache}</cachedir>
  <selectfont><rejectfont><glob>*/font_source_sans_pro/*.otf</glob></rejectfont></selectfont>
  <alias><family>sans-serif</family><prefer>
    <family>Source Sans Pro</family><family>DejaVu Sans</family>
  </prefer></alias>
</fontconfig>
"""
# The package holds each face twice, as .otf and .ttf; one of them is refused, since which of two
# equal ones fontconfig takes depends on the order of a folder.


@cache
def font_files() -> tuple[str, ...]:
    """The font files that come with the installation, text first, then the fallback."""
    text, fallback = package_folder("font_source_sans_pro"), package_folder("ziafont")
    found = [text / "files" / f"SourceSansPro-{face}.ttf" for face in TEXT_FONTS] if text else []
    found += [fallback / "fonts" / "DejaVuSans.ttf"] if fallback else []
    return tuple(str(path) for path in found if path.is_file())


def package_folder(name: str) -> Path | None:
    """The folder of an installed package, found without importing it."""
    spec = find_spec(name)
    places = list(spec.submodule_search_locations or ()) if spec else []
    return Path(places[0]) if places else None


@cache
def config_file() -> str:
    """The path of our fontconfig file, written if it is not there; "" where nothing can be."""
    for base in (user_cache(), Path(tempfile.gettempdir()) / f"tracenet-{_user()}"):
        text = config(base / "fontconfig")
        path = base / f"fonts-{sha256(text.encode()).hexdigest()[:12]}.conf"
        try:
            _write_once(path, text)
        except OSError:
            continue
        return str(path)
    return ""


def config(cache_folder: Path) -> str:
    """The text of the fontconfig file."""
    ours = list(dict.fromkeys(str(Path(file).parent) for file in font_files()))
    system = [os.path.expanduser(folder) for folder in SYSTEM]
    folders = ours + [folder for folder in system if os.path.isdir(folder)]
    if sys.platform == "win32":
        folders.append("WINDOWSFONTDIR")
    lines = "\n".join(f"  <dir>{escape(folder)}</dir>" for folder in folders)
    return CONFIG.format(folders=lines, cache=escape(str(cache_folder)))


def user_cache() -> Path:
    """The folder for files that can be made again."""
    if sys.platform == "win32":
        base = os.environ.get("LOCALAPPDATA") or tempfile.gettempdir()
    elif sys.platform == "darwin":
        base = os.path.expanduser("~/Library/Caches")
    else:
        base = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    return Path(base) / "tracenet"


def _user() -> str:
    return str(os.getuid()) if hasattr(os, "getuid") else "user"


def _write_once(path: Path, text: str) -> None:
    """Writes a file in one step, unless it is there: others may be doing the same."""
    if path.is_file() and path.read_text("utf-8") == text:
        return
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent)
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        file.write(text)
    os.replace(name, path)

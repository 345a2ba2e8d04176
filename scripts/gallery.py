"""Draws docs/gallery.md and its pictures; with --check, says what is out of date.

python scripts/gallery.py [--check]

Each picture is made by the command that stands above it on the page.
"""

from __future__ import annotations

import os
import re
import shlex
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

from click.testing import CliRunner

from tracenet.commands import main as tracenet

ROOT = Path(__file__).parent.parent
PAGE = "docs/gallery.md"
FOLDER = "docs/gallery"

MAZUR = "examples/mazur.py"
IRIS = "examples/deep_network.py"
CNN = "examples/cnn.py --call 'step(X, y, parameters, 0.1)'"
RNN = "examples/rnn.py --call 'loss(inputs, targets, h0, parameters)'"
LSTM = "examples/lstm.py --call 'step(x, h_prev, c_prev, target, parameters)'"
BLOCK = "examples/transformer.py --call 'loss(x, target, parameters)'"
RESNET = "examples/resnet.py --call 'loss(X, Y, parameters)'"
COURSE = "examples/course_network.py --call 'iteration(X, Y, parameters, 0.5)'"
WRONG = "examples/wrong_gradient.py --call 'iteration(x, y, parameters)'"


class Picture(NamedTuple):
    """A heading (none: the picture belongs to the one before), what it shows, how it is made."""

    heading: str
    shows: str
    arguments: str
    file: str


PICTURES = (
    Picture(
        "Two layers, with all values",
        "Matt Mazur's step by step example: every number of his page, in the place where it arises. "
        "The loss is his 0.298371109.",
        MAZUR, "mazur.svg",
    ),
    Picture(
        "An L-layer network on iris",
        "One iteration over 150 flowers: arrays too large to print are a shape, least, mean and "
        "greatest element, and a heatmap.",
        IRIS, "iris.svg",
    ),
    Picture(
        "A course assignment as it is handed in",
        "It knows nothing of tracenet, and its backward pass is its own: each hand-written "
        "`linear_activation_backward` stands under the forward block whose cache it reads.",
        f"{COURSE} --values shapes", "course.svg",
    ),
    Picture(
        "Three circuits",
        "The circuits of the CS231n notes: values over the wires, gradients under them. A product "
        "gate switches its inputs,",
        "examples/circuits.py --call 'product(-2.0, 5.0, -4.0)' --view circuit", "product.svg",
    ),
    Picture(
        "", "a max gate routes the gradient to the larger one,",
        "examples/circuits.py --call 'switch(3.0, -4.0, 2.0, -1.0)' --view circuit", "max.svg",
    ),
    Picture(
        "", "and a sigmoid neuron is a chain of gates that each know only their own derivative.",
        "examples/circuit.py --view circuit --digits 2", "neuron.svg",
    ),
    Picture(
        "A convolutional network",
        "Convolution, ReLU, max pooling, a dense layer and softmax, forward and backward by hand, "
        "with the update.",
        CNN, "cnn.svg",
    ),
    Picture(
        "A recurrent network of 20 steps",
        "Backpropagation through time by hand. Equal time steps fold into one; the shared weights' "
        "gradients add up from step to step.",
        f"{RNN} --fold", "rnn.svg",
    ),
    Picture("", "The same run unrolled.", f"{RNN} --unfold --values none", "rnn_unrolled.svg"),
    Picture(
        "An LSTM cell",
        "Four gates, the cell state and the hidden state. Four gradients meet in dv.",
        LSTM, "lstm.svg",
    ),
    Picture(
        "A transformer block",
        "Layer norm, causal self-attention, MLP, and two residual sums that the gradient takes as "
        "well. The backward pass was derived: the file holds a forward pass only.",
        f"{BLOCK} --close self_attention --close mlp --values shapes", "transformer.svg",
    ),
    Picture(
        "", "Inside the attention: queries, keys and values, the attention of both heads.",
        f"{BLOCK} --close mlp --focus q --focus v --focus A --forward-only", "attention.svg",
    ),
    Picture(
        "A residual network of 50 layers",
        "24 equal blocks of two layers between a first and a last layer.",
        RESNET, "resnet.svg",
    ),
    Picture(
        "View: network", "One box a layer.", f"{IRIS} --view network", "view_network.svg",
    ),
    Picture(
        "View: cache", "What each block keeps, what its backward block reads, what is never read.",
        f"{CNN} --view cache", "view_cache.svg",
    ),
    Picture("View: ops", "Every operation over its mirror.", f"{MAZUR} --view ops", "view_ops.svg"),
    Picture(
        "Checked", "Which hand-written backward block is wrong.",
        f"{WRONG} --check --values shapes", "check.svg",
    ),
    Picture(
        "Themes", "Green values and red gradients on a dark ground.",
        "examples/circuit.py --view circuit --digits 2 --theme cs231n --ground dark",
        "theme_cs231n.svg",
    ),
    Picture("", "For print.", f"{MAZUR} --theme mono", "theme_mono.svg"),
    Picture(
        "Notations", "Gradients as partial derivatives.",
        f"{MAZUR} --notation partial --values shapes", "notation_partial.svg",
    ),
)  # fmt: skip

FORMATS = {
    "svg": "vectors, with text that can be searched and read aloud",
    "png": "pixels, `--width` or `--dpi`",
    "pdf": "vectors",
    "tex": "TikZ: compiles by itself and with `\\input`",
    "html": "a page with the picture and a table of the blocks",
    "md": "a table of the blocks",
    "dot": "Graphviz",
    "json": "the diagram for programs",
}


def command(arguments: str, target: str) -> str:
    return f"tracenet render {arguments} -o {target}"


def made(arguments: str, target: Path) -> None:
    """Runs the command; raises SystemExit with what it said if it fails."""
    words = shlex.split(command(arguments, str(target)))[1:]
    result = CliRunner().invoke(tracenet, words)
    if result.exit_code:
        raise SystemExit(f"{shlex.join(words)}: {result.output}{result.stderr}")


def page() -> str:
    """The text of the gallery."""
    text = [
        "# Gallery",
        "Everything here was drawn from running code by the command above it; "
        "`python scripts/gallery.py` makes all of it again.",
    ]
    for heading, shows, arguments, file in PICTURES:
        if heading:
            text.append(f"## {heading}")
        text.append(shows)
        text.append(f"```\n{command(arguments, file)}\n```")
        text.append(f"![{heading or shows.rstrip('.,')}](gallery/{file})")
    text.append("## Formats")
    text.append(f"The first picture in each: `{command(MAZUR, 'mazur.svg')}`, and so on.")
    rows = [f"- [.{suffix}](gallery/mazur.{suffix}): {what}" for suffix, what in FORMATS.items()]
    text.append("\n".join(rows))
    return "\n\n".join(text) + "\n"


def drawn(folder: Path) -> list[str]:
    """Draws everything into a folder; the names of the files."""
    folder.mkdir(parents=True, exist_ok=True)
    files = {picture.file: picture.arguments for picture in PICTURES}
    files |= {f"mazur.{suffix}": MAZUR for suffix in FORMATS}
    for file, arguments in files.items():
        made(arguments, folder / file)
    return list(files)


def essence(path: Path) -> object:
    """What of a file must not differ: its text and elements, or its size where it is binary."""
    data = path.read_bytes()
    if path.suffix in (".svg", ".html"):
        return re.findall(r'class="[^"]*"|>[^<]+<', data.decode())
    if path.suffix == ".png":
        return data[16:24]  # width and height
    if path.suffix == ".pdf":
        return re.findall(rb"/MediaBox *\[[^\]]*\]", data)
    return data


def stale() -> list[str]:
    """The files of the gallery that are missing, superfluous, or would be drawn otherwise."""
    kept = ROOT / FOLDER
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        files = drawn(folder)
        found = [
            f"{FOLDER}/{file}"
            for file in files
            if not (kept / file).exists() or essence(kept / file) != essence(folder / file)
        ]
    found += [f"{FOLDER}/{p.name}" for p in sorted(kept.glob("*")) if p.name not in files]
    text = ROOT / PAGE
    return found + [PAGE] * (not text.exists() or text.read_text() != page())


def main() -> int:
    os.chdir(ROOT)
    if "--check" not in sys.argv:
        drawn(ROOT / FOLDER)
        (ROOT / PAGE).write_text(page())
        return 0
    found = stale()
    if found:
        print("out of date, run python scripts/gallery.py:", ", ".join(found))
    return bool(found)


if __name__ == "__main__":
    sys.exit(main())

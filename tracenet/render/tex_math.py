"""Styled text as TeX: formulas as mathematics, words as words, and nothing that TeX would obey.

`mathematics` gives what stands between dollar signs. It keeps to what LaTeX, MathJax and KaTeX all
know, and to what Markdown leaves alone: no backslash before a comma, a space or a brace.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from ..diagram import Run, Text, plain

GREEK = {
    "α": "alpha", "β": "beta", "γ": "gamma", "δ": "delta", "ε": "varepsilon", "ζ": "zeta",
    "η": "eta", "θ": "theta", "ι": "iota", "κ": "kappa", "λ": "lambda", "μ": "mu", "ν": "nu",
    "ξ": "xi", "π": "pi", "ρ": "rho", "σ": "sigma", "τ": "tau", "υ": "upsilon", "φ": "varphi",
    "χ": "chi", "ψ": "psi", "ω": "omega", "Γ": "Gamma", "Δ": "Delta", "Θ": "Theta", "Λ": "Lambda",
    "Ξ": "Xi", "Π": "Pi", "Φ": "Phi", "Ψ": "Psi", "Ω": "Omega", "µ": "mu",
}  # fmt: skip
SIGNS = {
    "−": "-", "·": r"\cdot ", "×": r"\times ", "⊙": r"\odot ", "÷": r"\div ", "∂": r"\partial ",
    "Σ": r"\sum ", "∏": r"\prod ", "∞": r"\infty ", "→": r"\to ", "←": r"\leftarrow ",
    "≤": r"\le ", "≥": r"\ge ", "≠": r"\ne ", "≈": r"\approx ", "∗": r"\ast ", "⋆": r"\star ",
    "±": r"\pm ", "√": r"\surd ", "∇": r"\nabla ", "∈": r"\in ", "∧": r"\wedge ", "∨": r"\vee ",
    "¬": r"\neg ", "⊗": r"\otimes ", "⊕": r"\oplus ", "…": r"\ldots ", "⋯": r"\cdots ", "⌊": r"\lfloor ", "⌋": r"\rfloor ",
    "⌈": r"\lceil ", "⌉": r"\rceil ", "⟨": r"\langle ", "⟩": r"\rangle ", "₀": "{}_{0}", "₁": "{}_{1}",
    "₂": "{}_{2}", "∛": r"\sqrt[3]{} ", "✓": r"\surd ", "✗": r"\times ", "‖": r"\Vert ",
    "|": r"\vert ", "\\": r"\backslash ", "{": r"\lbrace ", "}": r"\rbrace ", "~": r"\sim ",
    "#": r"\#", "$": r"\$", "%": r"\%", "&": r"\&", "_": r"\_", "^": r"\wedge ",
    "\u2007": r"\phantom{0}", "\u00a0": r"\phantom{.}", "–": r"\mbox{--}",
    "<": " < ", ">": " > ", "*": r"\ast ",
} | {letter: f"\\{name} " for letter, name in GREEK.items()}  # fmt: skip
RAISED = {
    "'": r"\prime ", "²": "2", "³": "3", "¹": "1", "⁻": "-", "′": r"\prime ", "ᵀ": r"\mathsf{T}", "⁺": "+",
} | {letter: str(number) for number, letter in enumerate("⁰¹²³⁴⁵⁶⁷⁸⁹")}  # fmt: skip
WORD_SIGNS = {
    "\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}",
    "<": r"\textless{}", ">": r"\textgreater{}", "|": r"\textbar{}", '"': "''",
    "{": r"\{", "}": r"\}", "#": r"\#", "$": r"\$", "%": r"\%", "&": r"\&", "_": r"\_",
    "\u2007": r"\phantom{0}", "\u00a0": "~", "–": "--", "—": "---", "…": r"\ldots{}", "'": "'",
}  # fmt: skip
NAMED = ("tanh", "exp", "log", "max", "min", "sin", "cos", "tan", "det", "arg", "sinh", "cosh")
"""Functions that TeX has signs for."""
PIECES = re.compile(r"[A-Za-z_][A-Za-z0-9_]*(?: [A-Za-z_][A-Za-z0-9_]*)*|\s+|.", re.DOTALL)
NUMBER = re.compile(r"[−+-]?(\d+\.?\d*|\.\d+)(e[−+-]?\d+)?|[−-]?∞")


def tex(text: Text) -> str:
    """Styled text as it stands in running TeX: mathematics between dollars, and words.

    >>> print(tex((Run("d"), Run("W", "i"), Run("[1]", "sup"))))
    $\\mathrm{d}W^{[1]}$
    >>> print(tex((Run("layer_1", "b"),)))
    \\textbf{layer\\_1}
    """
    letters = plain(text)
    if is_number(letters):
        return f"${number(letters)}$"
    if is_mathematics(text):
        return f"${mathematics(text)}{'~' if letters.endswith(' ') else ''}$"
    return "".join(_styled(run) for run in text)


def is_mathematics(text: Text) -> bool:
    """Whether it is a formula, and no words."""
    if any("b" in run.style.split() for run in text):
        return False
    if any("i" in run.style.split() and " " in run.text.strip() for run in text):
        return False  # a remark: names have no blanks
    letters = plain(text)
    scripts = any(run.style for run in text)
    return scripts or any(sign in letters for sign in "=⊙·Σ∂")


def is_number(text: str) -> bool:
    """Whether it is one number, with or without the blanks that align it.

    >>> is_number("−0.25\\u2007"), is_number("1e−07"), is_number("layer 1")
    (True, True, False)
    """
    return NUMBER.fullmatch(text.strip("\u2007\u00a0 ")) is not None


def number(text: str) -> str:
    """A number; its minus is a sign, and no operator with air around it.

    >>> print(number("−1e−07"))
    {-}1\\mathrm{e}{-}07
    """
    signs = {**SIGNS, "−": "{-}", "-": "{-}", "+": "{+}", "e": r"\mathrm{e}", " ": ""}
    return "".join(signs.get(letter, letter) for letter in text)


def mathematics(text: Text) -> str:
    """A formula as TeX writes it, without dollar signs.

    >>> print(mathematics((Run("a", "i"), Run("[1]", "sup"), Run("T", "sup"))))
    a^{[1]\\mathsf{T}}
    >>> print(mathematics((Run("a", "i"), Run("[1]", "sup"), Run("²"))))
    {a^{[1]}}^{2}
    """
    made, scripts = [""], {"sup": "", "sub": ""}
    for script, piece in _pieces(text):
        if script == "sup" and scripts["sup"] and piece != TRANSPOSED:
            made[-1] = f"{{{made[-1]}{_scripts(scripts)}}}"  # a power of what is raised already
        if script:
            scripts[script] += piece
        else:
            made[-1] += _scripts(scripts)
            made.append(piece)
    return re.sub(" +", " ", "".join(made) + _scripts(scripts)).strip()


def _scripts(scripts: dict[str, str]) -> str:
    """What is lowered and raised behind a piece; it is taken out of the dictionary."""
    found = "".join(f"{mark}{{{scripts[key]}}}" for key, mark in MARKS if scripts[key])
    scripts.update(sup="", sub="")
    return found


TRANSPOSED = r"\mathsf{T}"
MARKS = (("sub", "_"), ("sup", "^"))


def _pieces(text: Text) -> Iterator[tuple[str, str]]:
    """What a formula consists of: where it stands (`sup`, `sub`, or on the line), and its TeX."""
    for number, run in enumerate(text):
        styles = run.style.split()
        if number and not styles and run.text[:1] == " " and run.text[1:2].isalnum():
            yield "", "~"  # between a name and what is said of it
        script = next((style for style in ("sup", "sub") if style in styles), "")
        if script and run.text == "T":
            yield script, TRANSPOSED
        elif "i" in styles:
            yield script, _variable(run.text)
        elif run.text == " ":
            yield script, r"\thinspace "  # between factors
        elif script:
            yield script, "".join(piece for _, piece in _on_the_line(run.text))
        else:
            yield from _on_the_line(run.text)


def _on_the_line(text: str) -> Iterator[tuple[str, str]]:
    for found in PIECES.finditer(text):
        piece, around = found[0], text[max(found.start() - 1, 0) : found.end() + 1]
        if piece in RAISED:
            yield "sup", RAISED[piece]
        elif piece == " " and len(around) == 3 and (around[0] + around[2]).isalnum():
            yield "", "~"  # between words, where TeX would leave no space
        else:
            yield "", _upright(piece)


def _variable(name: str) -> str:
    """An italic name: one letter is a variable, more are one word."""
    if len(name) == 1:
        return name if name.isascii() and name.isalnum() else _sign(name)
    if name.isascii() and name.isalnum():
        return rf"\mathit{{{name}}}"
    return "".join(map(_sign, name))


def _upright(piece: str) -> str:
    if piece.isspace() and "\u2007" not in piece and "\u00a0" not in piece:
        return " "
    if piece in NAMED:
        return f"\\{piece} "
    if not re.match(r"[A-Za-z_]", piece):
        return "".join(map(_sign, piece))
    return "\\mathrm{" + piece.replace("_", r"\_").replace(" ", "~") + "}"


def _sign(letter: str) -> str:
    if letter in SIGNS:
        return SIGNS[letter]
    return letter if letter.isascii() else rf"\mbox{{{other(letter)}}}"


# ---------------------------------------------------------------------- words


def _styled(run: Run) -> str:
    styles, inside = run.style.split(), words(run.text)
    for style, command in (
        ("i", r"\textit"), ("b", r"\textbf"), ("sup", r"\textsuperscript"), ("sub", r"\textsubscript"),
    ):  # fmt: skip
        if style in styles:
            inside = f"{command}{{{inside}}}"
    return inside


def words(text: str) -> str:
    """Words as TeX writes them.

    >>> print(words("50% of W_1 → α"))
    50\\% of W\\_1 $\\to $ $\\alpha $
    """
    return "".join(_letter(letter) for letter in text)


def _letter(letter: str) -> str:
    if letter in WORD_SIGNS:
        return WORD_SIGNS[letter]
    if letter.isascii():
        return letter
    if letter in RAISED:
        return f"$^{{{RAISED[letter]}}}$"
    return f"${SIGNS[letter]}$" if letter in SIGNS else other(letter)


def other(letter: str) -> str:
    """A letter that not every TeX knows: Latin ones all do, others go through a macro."""
    return letter if letter <= "\u017f" else rf"\tracenetletter{{{letter}}}"

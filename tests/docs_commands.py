"""The commands and snippets that stand in the documentation, as words."""

import re
import shlex
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parent.parent
PAGES = (
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "SECURITY.md")),
    ROOT / "benchmarks/README.md",
    *sorted((ROOT / "docs").glob("*.md")),
)
PROGRAMS = "uv|python|pytest|ray|mlflow|sbatch|kubectl|optuna-dashboard"
SPOKEN = re.compile(rf"(?:[A-Z_]+=\S+ +)*(?:{PROGRAMS})(?: .*)?")  # a command in other text
INLINE = re.compile(r"`([^`\n]+)`")
BLOCK = re.compile(r"^( *)```(\w*)\n(.*?)^ *```", re.MULTILINE | re.DOTALL)
SCRIPT = re.compile(r"(?:.*/)?sweeps/(\w+)\.py")
BREAKS = re.compile(r"[();<>|&\n]+")
INNER = re.compile(r"\$\(((?:[^()]|\([^()]*\))*)\)")
REDIRECTS = re.compile(r"\d?[<>]+")


@dataclass(frozen=True)
class Command:
    """One program with its arguments, as a page names it.

    Attributes:
        page: name of the file.
        words: the program and its arguments, without ``uv run``, ``exec`` and variables set for it.
        is_whole: whether nothing is left out, as in a sentence that names a command.
    """

    page: str
    words: tuple[str, ...]
    is_whole: bool = True

    def __str__(self):
        return f"{self.page}: {' '.join(self.words)}"


def blocks(page, language):
    """Return the blocks of a language in a page, without their indentation."""
    return [
        re.sub(rf"^{indent}", "", text, flags=re.MULTILINE)
        for indent, found, text in BLOCK.findall(page.read_text())
        if found == language
    ]


def filled_in(text):
    """Return shell text with a word in place of each ``<placeholder>``."""
    return re.sub(r"<(\w[\w ]*)>", lambda found: found[1].replace(" ", "_"), text)


def split(text):
    """Return the programs that shell text names, a list of words each; also those in quotes."""
    text = re.sub(r"(?m)(^|\s)#[^\n]*", r"\1", filled_in(text).replace("\\\n", " "))
    text = re.sub(r"(?m)^(\w+)=\([^)]*\)", "", text)  # an array of words for later commands
    text = re.sub(r"(?<=\s)\d(?=>)", "", text)  # the stream that is redirected
    inner = INNER.findall(text)
    text = INNER.sub("$INNER", text)
    lexer = shlex.shlex(text, posix=True, punctuation_chars="();<>|&\n")
    lexer.whitespace, lexer.whitespace_split, lexer.commenters = " \t", True, ""
    found, skips = [[]], False
    for word in lexer:
        if REDIRECTS.fullmatch(word):
            skips = True
        elif BREAKS.fullmatch(word):
            found.append([])
        elif skips:
            skips = False
        else:
            found[-1].append(word)
    found = [[word for word in words if word != "..."] for words in found]
    found = [program for words in found if (program := _program(words))]
    inside = [word for words in found for word in words if " " in word]
    quoted = [word for word in inside if "sweeps/" in word or " && " in word]
    return found + [words for text in (*quoted, *inner) for words in split(text)]


def _program(words):
    """Return words from the program on."""
    while words and (words[0] in ("exec", "do", "until") or re.match(r"\w+=", words[0])):
        words = words[1:]
    return words[2:] if words[:2] == ["uv", "run"] else words


def spoken(text):
    """Yield the commands that stand in a page's text and tables, and in its untagged blocks."""
    for _, language, inside in BLOCK.findall(text):
        if language == "":
            yield from (line.strip() for line in inside.splitlines() if SPOKEN.match(line.strip()))
    for inside in INLINE.findall(BLOCK.sub("", text)):
        if SPOKEN.fullmatch(inside):
            yield inside


def commands():
    """Return every command of every page, each once a page; not a program's name alone."""
    found = {}
    for page in PAGES:
        for is_whole, texts in ((True, blocks(page, "sh")), (False, spoken(page.read_text()))):
            for words in (tuple(words) for text in texts for words in split(text)):
                if is_whole or len(words) > 1:
                    found.setdefault((page, words), Command(page.name, words, is_whole))
    return list(found.values())


def snippets():
    """Return every Python block with the name of its page."""
    return [(page.name, text) for page in PAGES for text in blocks(page, "python")]

"""Reading text of unknown origin: labels, settings and lists that may come from anywhere.

Files are read within limits of size and depth, so that a file of some bytes can neither hang the program nor
fill its memory, and only regular files are read: a FIFO would wait, a device never end. Every fault is a
BlemishError of one line that names the file.
"""

from __future__ import annotations

import json
import os
import re
import stat
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, BinaryIO, cast
from xml.etree import ElementTree
from xml.parsers import expat

import yaml

from blemish.errors import BlemishError

MAX_TEXT_BYTES = 64 * 2**20  # lists and labels of one image
MAX_JSON_BYTES = 2 * 2**30  # annotation files of whole datasets
MAX_YAML_BYTES = 2**20
READ_BYTES = 2**20
MAX_DEPTH = 64
SEARCH_SECONDS = 1.0
_BYTE_ORDER_MARKS = ((b"\xef\xbb\xbf", "utf-8-sig"), (b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16"))


def regular_file(path: Path) -> Path:
    """The path, where it is a file whose reading ends; links are followed.

    Raises BlemishError for a missing file, a dangling link, a folder, a FIFO, a device, a name with NUL.
    """
    try:
        mode = path.stat().st_mode
    except FileNotFoundError as error:
        what = "a link to a file that is not there" if path.is_symlink() else "no such file"
        raise BlemishError(f"{path} must exist. Received: {what}. Check the path.") from error
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "a name with a NUL character"
        raise BlemishError(
            f"{str(path)!r} must be a readable file. Received: {reason}. Check the path."
        ) from error
    if not stat.S_ISREG(mode):
        kind = "a folder" if stat.S_ISDIR(mode) else "a FIFO, socket or device"
        raise BlemishError(f"{path} must be a file. Received: {kind}. Replace or remove it.")
    return path


def read_bytes(path: Path, *, max_bytes: int) -> bytes:
    """Content of a regular file. Raises BlemishError where it is none, or has more than `max_bytes`."""
    regular_file(path)
    try:
        with path.open("rb") as file:
            content = b"".join(parts_of(file, max_bytes + 1))
    except (OSError, MemoryError) as error:
        reason = getattr(error, "strerror", None) or "too little memory"
        raise BlemishError(f"{path} must be a readable file. Received: {reason}. Check the file.") from error
    if len(content) > max_bytes:
        raise BlemishError(
            f"{path} must have at most {max_bytes:,} bytes. Received: more. Check that it is the right file."
        )
    return content


def parts_of(file: BinaryIO, most_bytes: int) -> Iterator[bytes]:
    """Parts of a file, of so many bytes in all at most: a single read takes the memory that it might fill."""
    while most_bytes and (part := file.read(min(most_bytes, READ_BYTES))):
        most_bytes -= len(part)
        yield part


def read_text(path: Path, *, max_bytes: int = MAX_TEXT_BYTES) -> str:
    """Text of a file in UTF-8, or in UTF-16 with a byte order mark; line ends become \\n.

    Raises BlemishError that names the file.
    """
    return decoded(read_bytes(path, max_bytes=max_bytes), path)


def decoded(content: bytes, name: Path | str) -> str:
    """Text of the bytes, as `read_text` gives it. Raises BlemishError that starts with `name`."""
    encoding = next((known for mark, known in _BYTE_ORDER_MARKS if content.startswith(mark)), "utf-8")
    try:
        text = content.decode(encoding)
    except UnicodeDecodeError as error:
        raise BlemishError(
            f"{name} must be text in UTF-8. Received: a byte {content[error.start]:#04x} at {error.start}, "
            "which is not. Save it as UTF-8."
        ) from error
    if "\0" in text:
        raise BlemishError(f"{name} must be text. Received: NUL characters. Replace or remove it.")
    return text.replace("\r\n", "\n").replace("\r", "\n")


def read_json(path: Path, *, max_bytes: int = MAX_JSON_BYTES) -> Any:
    """Content of a JSON file; NaN and Infinity are read as floats, for the caller to judge.

    Raises BlemishError for other text, nesting that is too deep, a key given twice, and broken characters.
    """
    text = decoded(read_bytes(path, max_bytes=max_bytes), path)
    try:
        content = json.loads(text, object_pairs_hook=unique_keys)
        if re.search(r"\\u[dD][89a-fA-F]", text):
            json.dumps(content, ensure_ascii=False).encode(errors="surrogateescape")
    except RecursionError as error:
        raise BlemishError(
            f"{path} must be a JSON file. Received: nesting without end. Remove it."
        ) from error
    except ValueError as error:
        reason = "half a character (a lone surrogate)" if isinstance(error, UnicodeError) else str(error)
        raise BlemishError(
            f"{path} must be a JSON file. Received: {reason}. Correct or remove it."
        ) from error
    return content


def unique_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Object of the pairs. Raises ValueError where a key is given twice, of which one would be lost."""
    content = dict(pairs)
    if len(content) < len(pairs):
        keys = [key for key, _ in pairs]
        raise ValueError(f"the key '{next(key for key in keys if keys.count(key) > 1)}' twice")
    return content


class LimitedLoader(yaml.SafeLoader):
    """YAML's plain values without aliases, which can stand for any amount of data, and within a depth.

    Truth values are `true` and `false` alone, as in YAML 1.2: `on`, `off`, `yes` and `no` are text.
    """

    depth = 0

    def compose_node(self, parent: Any, index: Any) -> Any:
        event = self.peek_event()  # type: ignore[no-untyped-call]
        if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None):
            raise self.refusal("an alias ('*' or '&'); write the value out", event)
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise self.refusal("nesting that is too deep", event)
        node = super().compose_node(parent, index)
        self.depth -= 1
        return node

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:
        """Mapping of a node. Raises YAMLError where a key is given twice, of which one would be lost."""
        seen: set[Any] = set()
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=True)
            if isinstance(key, dict | list) or key in seen:
                raise self.refusal(f"the key {key!r} twice, or one that is no text", key_node)
            seen.add(key)
        return super().construct_mapping(node, deep)

    def refusal(self, what: str, place: Any) -> yaml.MarkedYAMLError:
        return yaml.MarkedYAMLError(problem=what, problem_mark=place.start_mark)


LimitedLoader.yaml_implicit_resolvers = {
    letter: [
        (tag, pattern)
        for tag, pattern in resolvers
        if tag not in ("tag:yaml.org,2002:bool", "tag:yaml.org,2002:merge")
    ]
    for letter, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
LimitedLoader.add_implicit_resolver(
    "tag:yaml.org,2002:bool", re.compile(r"^(?:true|True|TRUE|false|False|FALSE)$"), list("tTfF")
)


class TextLoader(LimitedLoader):
    """YAML whose values are all text as written, `0`, `on` and `2024-01-01` too; null is None.

    A list of plain values as a key, such as a colour's [255, 0, 0], is text with commas.
    """

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:
        for number, (key, value) in enumerate(node.value):
            parts = key.value if isinstance(key, yaml.SequenceNode) else []
            if parts and all(isinstance(part, yaml.ScalarNode) for part in parts):
                text = ",".join(part.value for part in parts)
                plain = yaml.ScalarNode("tag:yaml.org,2002:str", text, key.start_mark, key.end_mark)
                node.value[number] = (plain, value)
        return super().construct_mapping(node, deep)


TextLoader.yaml_implicit_resolvers = {}
TextLoader.add_implicit_resolver(
    "tag:yaml.org,2002:null", re.compile("^(?:~|null|Null|NULL|)$"), ["~", "n", "N", ""]
)


def read_yaml(path: Path, *, as_text: bool = False, max_bytes: int = MAX_YAML_BYTES) -> Any:
    """Content of a YAML file.

    as_text: give every value as the text that is written there (None for null), so that no name becomes a
    number, a date or a truth value
    Raises BlemishError for other text, aliases, deep nesting and a key given twice.
    """
    return parse_yaml(read_text(path, max_bytes=max_bytes), path, as_text=as_text)


def parse_yaml(text: str, name: Path | str, *, as_text: bool = False) -> Any:
    """Content of YAML text, as `read_yaml` gives it. name: for messages"""
    try:
        return yaml.load(text, Loader=TextLoader if as_text else LimitedLoader)
    except RecursionError as error:
        raise BlemishError(
            f"{name} must be a YAML file. Received: nesting without end. Remove it."
        ) from error
    except (yaml.YAMLError, ValueError, ArithmeticError, AttributeError, LookupError, TypeError) as error:
        # tags such as !!timestamp before other text raise almost any type in PyYAML
        raise BlemishError(
            f"{name} must be a YAML file. Received: {yaml_fault(error)}. Correct or remove it."
        ) from error


def yaml_fault(error: Exception) -> str:
    """Fault that PyYAML found, and its place, in a line."""
    mark = getattr(error, "problem_mark", None)
    reason = " ".join(str(getattr(error, "problem", None) or error).split())
    return reason if mark is None else f"{reason} (line {mark.line + 1}, column {mark.column + 1})"


def read_xml(path: Path, *, max_bytes: int = MAX_TEXT_BYTES) -> ElementTree.Element:
    """Root element of an XML file.

    Raises BlemishError for other text, deep nesting, and a DOCTYPE, whose entities can grow or read files.
    """
    content = read_bytes(path, max_bytes=max_bytes)
    try:
        refuse_odd_xml(content)
        return ElementTree.fromstring(content)
    except (ElementTree.ParseError, expat.ExpatError, LookupError, ValueError) as error:
        raise BlemishError(f"{path} must be an XML file. Received: {error}. Correct or remove it.") from error


def refuse_odd_xml(content: bytes) -> None:
    """Raise ValueError for XML with a DOCTYPE or deep nesting, before anything is built of it."""
    depth = 0

    def doctype(*_: object) -> None:
        raise ValueError("a DOCTYPE, which can hold entities")

    def start(*_: object) -> None:
        nonlocal depth
        depth += 1
        if depth > MAX_DEPTH:
            raise ValueError("nesting that is too deep")

    def end(*_: object) -> None:
        nonlocal depth
        depth -= 1

    parser = expat.ParserCreate()
    parser.StartDoctypeDeclHandler, parser.StartElementHandler, parser.EndElementHandler = doctype, start, end
    parser.Parse(content, True)


def inside(root: Path, text: object, place: str) -> Path:
    """Path that a data file names, below `root`; it need not exist.

    place: where the text stands, for the message
    Raises BlemishError where the text is none, absolute, or leads out of the root, by `..` or by a link.
    """
    if not isinstance(text, str) or not text.strip() or "\0" in text:
        raise BlemishError(f"{place} must be a path. Received: {text!r}. Correct it.")
    path = Path(os.path.normpath(root / text.replace("\\", "/")))
    try:
        real = path.resolve().is_relative_to(root.resolve())
    except (OSError, RuntimeError) as error:
        raise BlemishError(
            f"{place} must be a path. Received: '{text}', a loop of links. Correct it."
        ) from error
    if not real or not path.is_relative_to(os.path.normpath(root)):
        raise BlemishError(
            f"{place} must lie in {root}. Received: '{text}'. Copy the file there and name that."
        )
    return path


def timed_search(pattern: str, texts: Sequence[str], place: str) -> list[re.Match[str] | None]:
    """Match of the expression in each of the texts, or None.

    place: the setting that holds the expression, for the message
    Raises BlemishError where all searches together take longer than any simple expression does.
    """
    import regex  # 20 ms, and few datasets need it

    end = time.monotonic() + SEARCH_SECONDS * (1 + len(texts) / 1000)
    compiled, matches = regex.compile(pattern), []
    try:
        for text in texts:
            matches.append(compiled.search(text, timeout=max(0.001, end - time.monotonic())))
    except TimeoutError as error:
        raise BlemishError(
            f"{place} must be a simple expression. Received: '{pattern}', which takes too long on '{text}'. "
            "Avoid repeats inside repeats, such as (a|aa)+."
        ) from error
    return cast("list[re.Match[str] | None]", matches)

"""Which tool wrote a label file, told by its beginning; for tools without a reader, what to export instead.

Looks are bounded: the first 16 kB of a few files of each folder, so that a folder of a million files is
recognised as fast as a small one.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from blemish.dataset.layouts.common import Tree, grouped, parent, stem
from blemish.errors import BlemishError
from blemish.untrusted import read_json, regular_file

HEAD_BYTES = 16384
LOOKS = 200  # files of a kind in a tree
LOOKS_PER_FOLDER = 3  # of those that are called as images are; others are looked at first
AS_COCO = "Export COCO from it."


@dataclass(frozen=True)
class Tool:
    """A kind of label file.

    name: of a layout where there is a reader, else the tool's, for the message
    suffixes: those of its files; fits: tells it by the beginning of a file
    advice: what to do where there is no reader
    """

    name: str
    suffixes: tuple[str, ...]
    fits: Callable[[str], bool]
    advice: str = ""


def keys(*alternatives: str, start: str = "") -> Callable[[str], bool]:
    """Test for JSON that begins with a letter and has all keys of one of the alternatives ("key key …")."""
    wanted = [[re.compile(rf'"{re.escape(key)}"\s*:') for key in words.split()] for words in alternatives]

    def fits(text: str) -> bool:
        begins = text.lstrip().startswith(start)
        return begins and any(all(key.search(text) for key in every) for every in wanted)

    return fits


def words(*patterns: str) -> Callable[[str], bool]:
    """Test for text in which each of the expressions is found."""
    compiled = [re.compile(pattern) for pattern in patterns]
    return lambda text: all(pattern.search(text) for pattern in compiled)


def header(*columns: str) -> Callable[[str], bool]:
    """Test for a CSV header with all the columns."""

    def fits(text: str) -> bool:
        found = {cell.strip().strip('"').lower().lstrip("#") for cell in re.split("[,;\t]", first_line(text))}
        return {*columns} <= found

    return fits


def first_line(text: str) -> str:
    return text.lstrip("\n").partition("\n")[0]


JSON, CSV, XML, TEXT = (".json",), (".csv",), (".xml",), (".txt",)
TOOLS = (
    Tool("v7", JSON, keys("item slots", "item annotations")),
    Tool("labelstudio", JSON, keys("annotations result", "completions result", start="[")),
    Tool("labelstudio", JSON, keys("original_width", "annotator annotation_id", start="[")),
    Tool("VIA 3", JSON, keys("project file metadata", "view metadata"), AS_COCO),
    Tool("via", JSON, keys("_via_img_metadata", "shape_attributes", "filename regions", start="{")),
    Tool("labelme", JSON, keys("shapes imagePath", "imageData", "shapes flags", "shapes version", start="{")),
    Tool("supervisely", JSON, keys("classTitle", "objects size", start="{")),
    Tool("createml", JSON, keys("image annotations", "imagefilename", start="[")),
    Tool("Datumaro", JSON, keys("dm_format_version", "categories items"), "Export COCO or CVAT from it."),
    Tool("COCO panoptic", JSON, keys("segments_info"), "Export COCO instances from it."),
    Tool("COCO captions", JSON, lambda text: keys("caption")(text) and not keys("category_id")(text),
         "Export COCO instances (boxes or polygons) from it."),
    Tool("Labelbox", JSON, words(r'"(?:data_row|DataRow ID|Labeled Data)"\s*:'), AS_COCO),
    Tool("Scale", JSON, keys("task_id response", "task_id params", "task_id annotations"), AS_COCO),
    Tool("Hasty", JSON, keys("export_format_version", "project_name label_classes"), AS_COCO),
    Tool("Encord", JSON, keys("label_hash", "object_hash", "data_hash"), AS_COCO),
    Tool("Kili", JSON, keys("jsonResponse", "externalId labels"), AS_COCO),
    Tool("SuperAnnotate", JSON, keys("metadata instances"), AS_COCO),
    Tool("VoTT", JSON, keys("asset regions", "visitedAssets"), "Export Pascal VOC or CSV from it."),
    Tool("FiftyOne", JSON, keys("_media_type", "sample_fields", "filepath _cls"), AS_COCO),
    Tool("Dataloop", JSON, keys("itemMetadata", "annotations filename metadata"), AS_COCO),
    Tool("Labelbox", (".ndjson", ".jsonl"), keys("data_row"), AS_COCO),
    Tool("JSON lines", (".ndjson", ".jsonl"), lambda _: True, AS_COCO),
    Tool("SageMaker", (".manifest",), lambda _: True, "Convert it to COCO."),
    Tool("cvat", XML, words(r"<annotations[\s>]", r"<(?:version|meta|image)[\s>]")),
    Tool("ImageNet CLS-LOC", CSV, header("predictionstring"), "Use its XML files, which are Pascal VOC."),
    Tool("via", CSV, header("filename", "region_shape_attributes")),
    Tool("severstal", CSV, header("imageid", "encodedpixels")),
    Tool("severstal", CSV, header("imageid_classid", "encodedpixels")),
    Tool("openimages", CSV, header("imageid", "labelname", "xmin", "xmax", "ymin", "ymax")),
    Tool("PASCAL 1.00", TEXT, words(r"PASCAL Annotation Version"), "Convert it to Pascal VOC's XML."),
    Tool("WIDER FACE", TEXT, words(r"\A[^\n]+\.jpe?g\s*\n\d+\s*\n\d+ \d+ \d+ \d+ "), "Convert it to COCO."),
    Tool("TFRecord", (".tfrecord", ".tfrecords", ".record"), lambda _: True, AS_COCO),
    Tool("HDF5", (".h5", ".hdf5"), lambda _: True, "Save its images as PNG, with COCO beside them."),
    Tool("NumPy", (".npz", ".npy"), lambda _: True, "Save its arrays as PNG, with COCO beside them."),
    Tool("Parquet", (".parquet", ".arrow"), lambda _: True, "Save its images as PNG, with COCO beside them."),
    Tool("pickle", (".pkl", ".pickle"), lambda _: True, "Save its images as PNG, with COCO beside them."),
    Tool("archive", (".zip", ".tar", ".tgz", ".gz", ".7z", ".rar"), lambda _: True, "Unpack it."),
)  # fmt: skip
READ = frozenset(tool.name for tool in TOOLS if not tool.advice)


def head(path: Path) -> str:
    """Text at the beginning of a file, as far as it is text; "" for what is no file."""
    try:
        with regular_file(path).open("rb") as file:
            start = file.read(HEAD_BYTES)
    except (BlemishError, OSError):
        return ""
    encoding = "utf-16" if start.startswith((b"\xff\xfe", b"\xfe\xff")) else "utf-8-sig"
    return start.decode(encoding, errors="replace").replace("\r\n", "\n")


def tool_of(tree: Tree, file: str) -> str | None:
    """Name of the tool that wrote a file; None where it is none of TOOLS."""
    fitting = [tool for tool in TOOLS if file.lower().endswith(tool.suffixes)]
    text = head(tree.root / file) if fitting else ""
    return next((tool.name for tool in fitting if tool.fits(text)), None)


def files_to_look_at(tree: Tree, suffixes: tuple[str, ...]) -> list[str]:
    """A few files of every folder, those first that are not called as an image is: they tell of many."""
    found = [file for file in tree.files if file.lower().endswith(suffixes)]
    lone = [file for file in found if not {stem(file), stem(stem(file))} & tree.by_stem.keys()]
    telling = [file for files in grouped(lone, parent).values() for file in files[: LOOKS // 4]]
    single = [file for files in grouped(found, parent).values() for file in files[:LOOKS_PER_FOLDER]]
    return list(dict.fromkeys(telling[: LOOKS // 2] + single[: LOOKS // 2]))


def written_by(tree: Tree, name: str) -> str | None:
    """First file that looks as this tool writes them, among those looked at."""
    suffixes = tuple(suffix for tool in TOOLS if tool.name == name for suffix in tool.suffixes)
    return next((file for file in files_to_look_at(tree, suffixes) if tool_of(tree, file) == name), None)


def files_of(tree: Tree, name: str, *, per_image: bool = False) -> list[str]:
    """All files that look as this tool writes them; every file of its suffix is looked at.

    per_image: take those too that are called as an image is and are no JSON object, as they are broken, and
    their image would pass for one without labels
    """
    suffixes = tuple(suffix for tool in TOOLS if tool.name == name for suffix in tool.suffixes)
    found = {file: tool_of(tree, file) for file in tree.files if file.lower().endswith(suffixes)}
    return [
        file
        for file, tool in found.items()
        if tool == name or (per_image and tool is None and is_broken_label(tree, file))
    ]


def is_broken_label(tree: Tree, file: str) -> bool:
    """Tell a JSON file that is called as an image is, and holds no object."""
    if not {stem(file), stem(stem(file))} & tree.by_stem.keys():
        return False
    try:
        return not isinstance(read_json(tree.root / file), dict)
    except BlemishError:
        return True


def nearest_guess(tree: Tree) -> str:
    """Line on label files of a tool that has no reader: which, and what to do; "" without any."""
    suffixes = tuple(suffix for tool in TOOLS if tool.advice for suffix in tool.suffixes)
    for file in files_to_look_at(tree, suffixes):
        name = tool_of(tree, file)
        advice = next((tool.advice for tool in TOOLS if tool.name == name), "")
        if advice:
            return f"{file} looks like {name}, which is not read. {advice}"
    return ""

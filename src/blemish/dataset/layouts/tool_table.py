"""Table of the tools whose label files are known by their looks, with a reader or without.

The order counts: of two that fit a file, the first is it; tools go before mere types of files.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from blemish.images.decode import UNREAD_IMAGE_SUFFIXES
from blemish.images.video import SUFFIXES as VIDEO_SUFFIXES

AS_COCO = "Export COCO from it."
AS_PNG = "Save its images as PNG, with COCO beside them."


@dataclass(frozen=True)
class Tool:
    """A kind of label file.

    name: of a layout where there is a reader, else the tool's, for the message
    suffixes: those of its files
    fits: tells it by the beginning of a file; None where suffix and name tell enough
    advice: what to do where there is no reader
    called: words in place of "looks like NAME"; file_name: tells it by the file's name, as well
    holds_labels: False for files that hold images, or anything
    """

    name: str
    suffixes: tuple[str, ...]
    fits: Callable[[str], bool] | None = None
    advice: str = ""
    called: str = ""
    file_name: re.Pattern[str] | None = None
    holds_labels: bool = True

    def is_of(self, file: str, text: str) -> bool:
        """True for a file of this kind. text: its beginning"""
        named = self.file_name is None or bool(self.file_name.search(file.rpartition("/")[2]))
        return named and (self.fits is None or self.fits(text))


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


JSON, CSV, XML, TEXT, LINES = (".json",), (".csv",), (".xml",), (".txt",), (".jsonl", ".ndjson")
BOX_COLUMNS = "filename, class, xmin, ymin, xmax, ymax"
TOOLS = (
    Tool("LabelU", JSON, keys("toolName", "rectTool", "polygonTool"), AS_COCO),
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
    Tool("Segments.ai", JSON, keys("task_type samples", "task_attributes samples"),
         "Export COCO from it, with export_dataset of its Python package."),
    Tool("Cityscapes", JSON, keys("imgHeight imgWidth objects"),
         "Use its *_labelIds.png as masks, in a folder 'masks', or convert it to COCO."),
    Tool("Scalabel", JSON, keys("box2d", "poly2d"), "Convert it to COCO with scalabel.label.to_coco."),
    Tool("Segment Anything", JSON, keys("predicted_iou", "stability_score"),
         "Join its files to one COCO file."),
    Tool("Labelbox", JSON, words(r'"(?:data_row|DataRow ID|Labeled Data)"\s*:'), AS_COCO),
    Tool("Scale", JSON, keys("task_id response", "task_id params", "task_id annotations"), AS_COCO),
    Tool("Hasty", JSON, keys("export_format_version", "project_name label_classes"), AS_COCO),
    Tool("Encord", JSON, keys("label_hash", "object_hash", "data_hash"), AS_COCO),
    Tool("Kili", JSON, keys("jsonResponse", "externalId labels"), AS_COCO),
    Tool("SuperAnnotate", JSON, keys("metadata instances"), AS_COCO),
    Tool("VoTT", JSON, keys("asset regions", "visitedAssets"), "Export Pascal VOC or CSV from it."),
    Tool("FiftyOne", JSON, keys("_media_type", "sample_fields", "filepath _cls"), AS_COCO),
    Tool("Dataloop", JSON, keys("itemMetadata", "annotations filename metadata"), AS_COCO),
    Tool("Labelbox", LINES, keys("data_row"), AS_COCO),
    Tool("SageMaker", (".manifest", *LINES), keys("source-ref"), "Convert it to COCO."),
    Tool("Vertex AI", LINES, keys("imageGcsUri"), f"Write it as CSV: {BOX_COLUMNS}, in pixels."),
    Tool("Azure AutoML", LINES, keys("image_url label", "image_url image_details"),
         "Export COCO from the labelling project."),
    Tool("Prodigy", LINES, keys("_task_hash", "_input_hash"), "Write its spans as COCO polygons or boxes."),
    Tool("Roboflow's JSON lines", LINES, keys("image prefix suffix", "messages role"), AS_COCO),
    Tool("Hugging Face ImageFolder", LINES, keys("file_name"),
         "Write it as CSV with the columns image and label, or as COCO."),
    Tool("JSON lines", LINES, None, AS_COCO),
    Tool("SageMaker", (".manifest",), None, "Convert it to COCO."),
    Tool("GeoJSON", (".geojson",), None, "Export masks as PNG, or COCO."),
    Tool("cvat", XML, words(r"<annotations[\s>]", r"<(?:version|meta|image)[\s>]")),
    Tool("ImageNet CLS-LOC", CSV, header("predictionstring"), "Use its XML files, which are Pascal VOC."),
    Tool("via", CSV, header("filename", "region_shape_attributes")),
    Tool("severstal", CSV, header("imageid", "encodedpixels")),
    Tool("severstal", CSV, header("imageid_classid", "encodedpixels")),
    Tool("openimages", CSV, header("imageid", "labelname", "xmin", "xmax", "ymin", "ymax")),
    Tool("Label Studio's CSV", CSV, header("annotation_id", "lead_time"), "Export JSON from it."),
    Tool("LandingLens", CSV, header("gt_class"), f"Write it as CSV: {BOX_COLUMNS}."),
    Tool("Google AutoML", CSV, words(r"\A(?:(?:TRAIN|TRAINING|VALIDATE|VALIDATION|TEST|UNASSIGNED),)?gs://"),
         f"Write it as CSV: {BOX_COLUMNS}, in pixels."),
    Tool("makesense.ai's CSV", CSV, words(r"\A[^,\n]+(?:,\d+){4},[^,\n]+\.(?:jpe?g|png|bmp),\d+,\d+"),
         "Export VOC XML or COCO JSON from it."),
    Tool("keras-retinanet", CSV, words(r"\A[^,\n]+\.(?i:jpe?g|png|bmp|tiff?)(?:,\d+){4},[^,\n]+(?:\n|\Z)"),
         "Put the line filename,xmin,ymin,xmax,ymax,class first."),
    Tool("PASCAL 1.00", TEXT, words(r"PASCAL Annotation Version"), "Convert it to Pascal VOC's XML."),
    Tool("WIDER FACE", TEXT, words(r"\A[^\n]+\.jpe?g\s*\n\d+\s*\n\d+ \d+ \d+ \d+ "), "Convert it to COCO."),
    Tool("KITTI", TEXT, words(r"\A[A-Za-z]\S* \d(?:\.\d+)? \d -?\d+(?:\.\d+)?(?: -?\d+(?:\.\d+)?){4,}"),
         "Convert it to COCO or Pascal VOC."),
    Tool("Label Studio's brush masks", (".png", ".npy"), None, "Export 'Brush labels to COCO' from it.",
         file_name=re.compile(r"^task-\d+-annotation-\d+")),
    Tool("HALCON", (".hdict", ".hobj", ".dltp"), None,
         "Write the labels of its DLDataset as COCO, or its regions as PNG masks."),
    Tool("Cognex ViDi", (".vrws", ".vsa", ".vwsa"), None,
         "Write its marked regions as PNG masks, or as COCO."),
    Tool("MATLAB", (".mat",), None, f"Write its labels as CSV: {BOX_COLUMNS}, or its pixels as PNG masks."),
    Tool("ImageJ", (".roi",), None,
         "Make masks of its regions (Edit, Selection, Create Mask) and save them as PNG."),
    Tool("TFRecord", (".tfrecord", ".tfrecords", ".record"), None, AS_COCO),
    Tool("HDF5", (".h5", ".hdf5"), None, AS_PNG),
    Tool("NumPy", (".npz", ".npy"), None, "Save its arrays as PNG, with COCO beside them."),
    Tool("Parquet", (".parquet", ".arrow"), None, AS_PNG),
    Tool("LMDB", (".mdb", ".lmdb"), None, AS_PNG),
    Tool("pickle", (".pkl", ".pickle", ".pt", ".pth"), None, AS_PNG),
    Tool("spreadsheet", (".xlsx", ".xls", ".ods"), None, "Save it as CSV, with the columns image and label.",
         called="is a spreadsheet"),
    Tool("archive", (".zip", ".tar", ".tgz", ".gz", ".7z", ".rar", ".bz2", ".xz", ".zst"), None, "Unpack it.",
         called="is an archive", holds_labels=False),
    Tool("video", tuple(sorted(VIDEO_SUFFIXES)), None,
         "Save frames of it as PNG and mark them, or give it to `blemish inspect`.", called="is a video",
         holds_labels=False),
    Tool("other image type", tuple(sorted(UNREAD_IMAGE_SUFFIXES)), None, "Save it as PNG or TIFF.",
         called="is an image of a type",
         holds_labels=False),
)  # fmt: skip

"""What each kind of job is asked for, and the commands that do it; no request can name a path."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, TypeAdapter

Id = Annotated[int, Field(ge=1, le=2**53)]
BundleId = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9]{0,30}-[0-9a-f]{12}$")]
Word = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,40}$")]
Seconds = Annotated[str, StringConstraints(pattern=r"^[0-9]{1,6}(s|m|h)([0-9]{1,4}(s|m))?$")]
Scalar = bool | int | float | Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_.+-]{1,60}$")]
DATA, BUNDLE, RUN, REPORT = "data", "bundle", "run", "bundle-report"
Commands = list[list[str]]


class Arguments(BaseModel):
    """Arguments of a job; a key that is not known is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, use_attribute_docstrings=True)

    threads: Annotated[int, Field(ge=1, le=256)] | None = None
    """Most threads; default all cores but one. Kept, so that a job that goes on gives the same weights."""


class TrainArguments(Arguments):
    kind: Literal["train"]
    dataset_id: Id
    method: Word = "auto"
    preset: Literal["quick", "default", "thorough", "paper"] | None = None
    time_budget: Seconds | None = None
    settings: Annotated[dict[Word, Scalar], Field(max_length=50)] = {}
    seed: Annotated[int, Field(ge=0, le=2**31)] = 0
    from_bundle_id: BundleId | None = None
    """Bundle that training starts from."""


class AddClassArguments(Arguments):
    kind: Literal["add_class"]
    bundle_id: BundleId
    class_id: Id
    annotation_ids: Annotated[list[Id], Field(min_length=1, max_length=10)]
    """Boxes that show the class, on any images."""
    check_dataset_id: Id | None = None
    """Frozen data set on which the older classes are measured before and after."""


class ExportArguments(Arguments):
    kind: Literal["export"]
    bundle_id: BundleId
    to: Literal["onnx", "openvino"]
    precision: Literal["fp32", "fp16", "int8"] = "fp32"
    dataset_id: Id | None = None
    """Frozen data set that both are compared on; needed for int8."""


class EvaluateArguments(Arguments):
    kind: Literal["evaluate"]
    bundle_id: BundleId
    dataset_id: Id
    split: Literal["val", "test"] = "test"


class CompareArguments(Arguments):
    kind: Literal["compare"]
    a: BundleId
    b: BundleId
    dataset_id: Id
    split: Literal["val", "test"] = "test"


AnyArguments = Annotated[
    TrainArguments | AddClassArguments | ExportArguments | EvaluateArguments | CompareArguments,
    Field(discriminator="kind"),
]
ARGUMENTS: TypeAdapter[AnyArguments] = TypeAdapter(AnyArguments)


def splits_of(arguments: AnyArguments) -> tuple[str, ...]:
    """Splits of the data set that a job may see: a training never sees the sealed test."""
    if isinstance(arguments, EvaluateArguments | CompareArguments):
        return ("val", "test") if arguments.split == "test" else ("train", "val")
    return ("train", "val")


def commands_of(
    arguments: AnyArguments, bundles: Mapping[str, str], *, class_name: str = "", resume: bool = False
) -> Commands:
    """Commands of a job, without the word `blemish`; they run in the job's folder.

    bundles: folder of each bundle by id; class_name: of a class to add; resume: a run is there to go on with
    """
    threads = [] if arguments.threads is None else ["--threads", str(arguments.threads)]
    if isinstance(arguments, TrainArguments):
        return [train_command(arguments, bundles, resume=resume) + threads]
    if isinstance(arguments, AddClassArguments):
        check = [] if arguments.check_dataset_id is None else ["--check", DATA]
        command = ["add-class", bundles[arguments.bundle_id], "--name", class_name, "--examples", "examples"]
        return [[*command, "--out", BUNDLE, *check, *threads]]
    if isinstance(arguments, ExportArguments):
        data = [] if arguments.dataset_id is None else ["--data", DATA]
        command = ["export", bundles[arguments.bundle_id], "--to", arguments.to]
        return [[*command, "--precision", arguments.precision, "--out", BUNDLE, *data, *threads]]
    if isinstance(arguments, EvaluateArguments):
        command = ["evaluate", bundles[arguments.bundle_id], "--data", DATA, "--split", arguments.split]
        return [[*command, "--out", "evaluation", *threads]]
    return [
        ["inspect", bundles[bundle], "judged", "--out", name, *threads]
        for name, bundle in (("a", arguments.a), ("b", arguments.b))
    ]


def train_command(arguments: TrainArguments, bundles: Mapping[str, str], *, resume: bool) -> list[str]:
    """Command of a training, or of going on with one."""
    if resume:
        return ["train", "--out", RUN, "--resume"]
    options: list[str] = ["--seed", str(arguments.seed)]
    if arguments.preset is not None:
        options += ["--preset", arguments.preset]
    if arguments.time_budget is not None:
        options += ["--time-budget", arguments.time_budget]
    if arguments.from_bundle_id is not None:
        options += ["--from", bundles[arguments.from_bundle_id]]
    for key, value in arguments.settings.items():
        options += ["--set", f"{key}={yaml_of(value)}"]
    return ["train", arguments.method, "--data", DATA, "--out", RUN, *options]


def yaml_of(value: Any) -> str:
    """Scalar as YAML."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def bundles_in(arguments: AnyArguments) -> list[str]:
    """Ids of the bundles that a job is about."""
    names = ("bundle_id", "from_bundle_id", "a", "b")
    return [value for name in names if (value := getattr(arguments, name, None)) is not None]


def dataset_in(arguments: AnyArguments) -> int | None:
    """Data set that a job is about."""
    number: int | None = getattr(arguments, "dataset_id", None) or getattr(
        arguments, "check_dataset_id", None
    )
    return number

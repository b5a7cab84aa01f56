"""The folder of a job: the data that its commands read, written before they start."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path

from sqlalchemy.orm import Session

from blemish.errors import BlemishError
from blemish.station.coco_folder import put_image, write_coco, write_examples
from blemish.station.database.datasets import items_of
from blemish.station.database.labels import AnnotationRow, DefectClassRow
from blemish.station.database.lines import BundleRow
from blemish.station.database.parts import ImageRow
from blemish.station.jobs.arguments import (
    DATA,
    RUN,
    AddClassArguments,
    AnyArguments,
    Commands,
    CompareArguments,
    TrainArguments,
    bundles_in,
    commands_of,
    dataset_in,
    splits_of,
)
from blemish.station.layout import StationFolder

PREPARED = ".prepared"


def prepared_commands(
    session: Session, station: StationFolder, folder: Path, arguments: AnyArguments
) -> Commands:
    """Commands of a job, with its folder made ready for them; a run that is there is gone on with.

    Raises BlemishError for an image or a bundle that is not there any more.
    """
    if not (folder / PREPARED).exists():
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        prepare(session, station, folder, arguments)
        (folder / PREPARED).touch()
    resume = isinstance(arguments, TrainArguments) and (folder / RUN / "run.json").is_file()
    if isinstance(arguments, TrainArguments) and not resume:
        shutil.rmtree(folder / RUN, ignore_errors=True)
    names = bundle_paths(session, station, arguments)
    return commands_of(arguments, names, class_name=class_name(session, arguments), resume=resume)


def prepare(session: Session, station: StationFolder, folder: Path, arguments: AnyArguments) -> None:
    """Write what a job's commands read."""
    dataset_id = dataset_in(arguments)
    if isinstance(arguments, CompareArguments):
        (folder / "judged").mkdir()
        for item in items_of(session, arguments.dataset_id, (arguments.split,)):
            put_judged(session, station, item.image_id, folder / "judged")
    elif dataset_id is not None:
        write_coco(session, station, dataset_id, folder / DATA, splits=splits_of(arguments))
    if isinstance(arguments, AddClassArguments):
        rows = [session.get(AnnotationRow, number) for number in arguments.annotation_ids]
        write_examples(session, station, [row for row in rows if row is not None], folder / "examples")


def put_judged(session: Session, station: StationFolder, image_id: str, out: Path) -> None:
    """Put an image flat into a folder, under its hash."""
    image = session.get(ImageRow, image_id)
    assert image is not None, "items of a data set name images"
    name = put_image(station, image, out.parent / "links")
    (out.parent / "links" / name).replace(out / Path(name).name)


def bundle_paths(session: Session, station: StationFolder, arguments: AnyArguments) -> Mapping[str, str]:
    """Folder of each bundle of a job. Raises BlemishError for one that is not there."""
    paths = {}
    for name in bundles_in(arguments):
        row = session.get(BundleRow, name)
        if row is None:
            raise BlemishError(f"There is no bundle {name}. Choose another one.")
        paths[name] = str(station.root / row.path)
    return paths


def class_name(session: Session, arguments: AnyArguments) -> str:
    """Name of the class that a job adds; "" for any other job."""
    if not isinstance(arguments, AddClassArguments):
        return ""
    row = session.get(DefectClassRow, arguments.class_id)
    if row is None:
        raise BlemishError(f"There is no class {arguments.class_id}. Choose another one.")
    return row.name

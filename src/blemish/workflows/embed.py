"""Showing where a bundle's classes lie in its metric space, as a table and a plot."""

from __future__ import annotations

from pathlib import Path

from blemish.bundle.store import load_bundle
from blemish.errors import BlemishError
from blemish.evaluation.metric_space import metric_space, overlap_sentences, write_space
from blemish.evaluation.projector import write_projector
from blemish.evaluation.run import refuse_other_classes, split_to_evaluate
from blemish.files import write_atomically
from blemish.folder_lock import locks_out
from blemish.inspector.loading import inspector_of, method_of
from blemish.methods.capabilities import EmbedsRegions
from blemish.progress import Reporter
from blemish.workflows.add_class import opened_networks
from blemish.workflows.reading import read_dataset


@locks_out
def embed_regions(
    bundle: Path,
    data: Path,
    out: Path,
    *,
    split: str,
    device: str = "auto",
    skip_broken: bool = False,
    quiet: bool = False,
) -> tuple[Path, list[str]]:
    """Write table, vectors, plot and sentences on overlapping classes; returns the plot's path and these.

    Raises BlemishError for a bundle without a metric space, and data that it cannot be shown on.
    """
    loaded = load_bundle(bundle)
    method, _ = method_of(loaded)
    if not isinstance(method, EmbedsRegions):
        raise BlemishError(
            f"{bundle}: method {loaded.manifest.method} tells classes without a metric space, so there is "
            "nothing to show. Give a bundle of tlsdd."
        )
    names, reporter = loaded.manifest.class_names, Reporter(quiet=quiet)
    chosen = split_to_evaluate(read_dataset(data, reporter, skip_broken=skip_broken), split)
    refuse_other_classes(chosen, names, loaded.id)
    inspector = inspector_of(loaded, device=device)
    embedder = method.embedder(opened_networks(loaded, method, device), loaded.manifest)
    space = metric_space(inspector, embedder, names, chosen, reporter)
    sentences = overlap_sentences(space)
    plot = out / "embeddings.png"
    write_space(out, space)
    write_projector(plot, space, title=f"{bundle} on {len(chosen)} images of {data}")
    write_atomically(out / "overlap.txt", "\n".join(sentences) + "\n")
    return plot, sentences

"""Evidence of what answers are worth: trivial baselines beside them, and warnings where these do as well."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from blemish.bundle.store import Tensors
from blemish.dataset.samples import Dataset
from blemish.evaluation.baselines import HISTOGRAMS, ImageFeatures, image_baselines, places_by_chance
from blemish.evaluation.bounds import proportion_bound
from blemish.evaluation.causes import Trained, likely_causes
from blemish.evaluation.records import Evaluation, ImageRecord
from blemish.evaluation.report.words import headline, text_of

MAX_CAUSES = 2
NO_CAUSE = (
    "Nothing that was measured explains it: check the labels with `blemish data check`, and look at what is "
    "found with `blemish inspect --overlay`."
)
TELLING = 0.9  # AUROC from which brightness alone tells the images apart


def with_evidence(
    evaluation: Evaluation,
    training: Dataset,
    *,
    trained: Trained | None = None,
    features: ImageFeatures = HISTOGRAMS,
) -> Evaluation:
    """Evaluation with the parts "baselines" and "summary" in its metrics.

    training: images that may be compared with; those that were measured are left out
    trained: the bundle that gave the answers, for the causes; None where another tool gave them
    """
    measured = {record.sample.id for record in evaluation.records}
    products = {record.sample.product for record in evaluation.records}
    others = [each for each in training if each.id not in measured and each.product in products]
    bits = trained.manifest.settings.get("bits") if trained else None
    baselines = image_baselines(evaluation.records, others, features, bits=bits) or {}
    places = None if "pointing" in evaluation.metrics else places_by_chance(evaluation.records)
    baselines |= {} if places is None else {"places": places}
    metrics = {**evaluation.metrics, **({"baselines": baselines} if baselines else {})}
    return replace(
        evaluation,
        metrics={
            **metrics,
            "summary": {
                "figures": [text_of(sentence) for sentence in headline(metrics)],
                "by_chance": [*chance_sentences(metrics)],
                "warnings": [*warnings(metrics, evaluation.records, trained)],
            },
        },
    )


def summary_lines(metrics: Mapping[str, Any], images: str) -> Iterator[str]:
    """Lines for the terminal: at most five with the figures that matter, then the warnings.

    images: what was measured, such as "158 test images"
    """
    first, *rest = metrics["summary"]["figures"]
    yield from (f"{images}: {first}", *rest)
    yield from (f"warning: {sentence}" for sentence in metrics["summary"]["warnings"])


def features_at_hand(networks: Mapping[str, Tensors], settings: Mapping[str, Any]) -> ImageFeatures:
    """Features of a pretrained network that needs no download, else plain histograms.

    networks, settings: of a bundle, whose own backbone comes first; its runtime must be torch
    """
    from blemish.nn.backbone_features import features_at_hand

    found = features_at_hand(networks, settings)
    return HISTOGRAMS if found is None else ImageFeatures(*found)


def warnings(
    metrics: Mapping[str, Any], records: Sequence[ImageRecord], trained: Trained | None
) -> Iterator[str]:
    """Sentences on answers that are no better than chance or a baseline, and on the likely causes."""
    baselines = metrics.get("baselines") or {}
    chance, worse = chance_sentences(metrics), worse_than_chance(metrics.get("image") or {})
    as_good = [] if worse or "images" in chance else baseline_of_images(baselines)
    yield from (*worse, *chance.values(), *as_good)
    if chance or as_good:
        causes = likely_causes(records, trained)[:MAX_CAUSES]
        yield f"Likeliest cause: {causes[0]}" if causes else NO_CAUSE
        yield from (f"Also: {cause}" for cause in causes[1:])
    brightness = baselines.get("brightness", {})
    if as_good and brightness.get("auroc", 0.0) >= TELLING:
        yield (
            f"{brightness['worse'].capitalize()} images are the defective ones: check that good and "
            "defective images were taken alike, or the light is what is learned."
        )


def chance_sentences(metrics: Mapping[str, Any]) -> dict[str, str]:
    """Sentences where "images" are told apart, or "places" found, no better than by chance."""
    sentences = {
        "images": chance_of_images(metrics.get("image") or {}),
        "places": chance_of_places((metrics.get("baselines") or {}).get("places")),
    }
    return {name: sentence for name, sentence in sentences.items() if sentence}


def worse_than_chance(image: Mapping[str, Any]) -> list[str]:
    """Sentence where the interval of the AUROC lies below 0.5: the labels may be the wrong way round."""
    if image.get("auroc") is None or image["auroc_interval95"][1] >= 0.5:
        return []
    return [
        f"Worse than chance: good images score higher than defective ones ({auroc_text(image)}). Check which "
        "label or folder means good, such as by `clean` in dataset.yaml."
    ]


def chance_of_images(image: Mapping[str, Any]) -> str:
    """Sentence where the interval of the AUROC includes 0.5; else ""."""
    if image.get("auroc") is None:
        return ""
    low, high = image["auroc_interval95"]
    if not low <= 0.5 <= high:
        return ""
    return f"No better than chance at telling defective from good images ({auroc_text(image)})."


def auroc_text(image: Mapping[str, Any]) -> str:
    low, high = image["auroc_interval95"]
    return f"AUROC {image['auroc']:.2f}, 95 % interval {low:.2f} to {high:.2f}; 0.5 is chance"


def baseline_of_images(baselines: Mapping[str, Any]) -> list[str]:
    """Sentence where a trivial baseline tells the images apart as well as the scores do."""
    if "answers" not in baselines:
        return []
    names = {"brightness": "mean brightness", "nearest": "the nearest training image"}
    best = max((name for name in names if name in baselines), key=lambda name: baselines[name]["auroc"])
    own, other = baselines["answers"]["auroc"], baselines[best]["auroc"]
    if own > other:
        return []
    return [
        f"No better than a trivial baseline: {names[best]} alone tells defective from good images with an "
        f"AUROC of {other:.2f}, these scores with {own:.2f}."
    ]


def chance_of_places(places: Mapping[str, Any] | None) -> str:
    """Sentence where the findings meet no more defects than those of other images would; else ""."""
    if places is None:
        return ""
    found, of, by_chance = places["found"], places["of"], places["by_chance"]
    if proportion_bound(found, of).lower95 > by_chance / of:
        return ""
    return (
        f"No better than chance at finding defects: {found} of {of} are met (by boxes, IoU of 0.3 or more), "
        f"and findings of other images in their place would meet {by_chance:.1f}."
    )

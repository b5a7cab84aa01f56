"""Bundles: a trained model on disk, as data that is checked before anything is built from it."""

from blemish.bundle.manifest import SCHEMA_VERSION, Manifest, Preprocessing
from blemish.bundle.store import Bundle, load_bundle, save_bundle

__all__ = ["SCHEMA_VERSION", "Bundle", "Manifest", "Preprocessing", "load_bundle", "save_bundle"]

"""Bundles: a trained model on disk as data, refused before anything is built when it is not what it says it
is.
"""

from blemish.bundle.manifest import SCHEMA_VERSION, Manifest, Preprocessing
from blemish.bundle.store import Bundle, load_bundle, save_bundle

__all__ = ["SCHEMA_VERSION", "Bundle", "Manifest", "Preprocessing", "load_bundle", "save_bundle"]

"""Bundles of TL-SDD that are made and not trained, as the tests of the command line use them."""

from __future__ import annotations

from tests.cli.tlsdd_bundles import examples, make_bundle, parent

__all__ = ["examples", "make_bundle", "parent"]  # fixtures

"""A folder of many products made from public sets: what a method that learns from many products needs."""

from blemish.dataset.collection.collect import Collected, collect_products
from blemish.dataset.collection.makers import PRODUCTS

__all__ = ["PRODUCTS", "Collected", "collect_products"]

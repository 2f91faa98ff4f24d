"""Facemap results in a DataJoint database, computed wherever there is room."""

from importlib.metadata import version

__version__ = version("fmdj-cloud")

"""Tests of how arrays are shown and diagrams are drawn."""

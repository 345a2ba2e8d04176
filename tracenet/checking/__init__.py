"""Holds hand-written backward blocks against their forward blocks, and says which one is wrong."""

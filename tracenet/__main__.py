"""`python -m tracenet` is the command `tracenet`."""

from .cli import main

main(prog_name="tracenet")

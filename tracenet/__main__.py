"""`python -m tracenet` is the command `tracenet`."""

from .commands import main

main(prog_name="tracenet")

"""``python -m uemdask_cli``."""

from uemdask_cli.main import main

main()

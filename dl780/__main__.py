"""`python -m dl780`."""

from dl780.cli import main

main()

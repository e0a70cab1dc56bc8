"""`python -m tintype` is the command `tintype`."""

import sys

from tintype.cli import main

if __name__ == "__main__":
    sys.exit(main())

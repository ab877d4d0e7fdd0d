"""`python -m local`: the stack on one machine, or on any cluster a kubeconfig names, without Pulumi's CLI."""

import sys

from local.cli import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

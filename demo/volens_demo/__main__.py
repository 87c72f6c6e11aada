"""``python -m volens_demo``: the same as ``volens demo``."""

import argparse

from volens_demo import run

parser = argparse.ArgumentParser(prog="volens_demo", description="A French news site with its third parties, behind Volens.")
parser.add_argument("--port", type=int, default=8000, help="port of the site; the third parties take the next one (default 8000)")
parser.add_argument("--host", default="127.0.0.1")
parser.add_argument("--no-volens", action="store_true", help="the same site with nothing in front")
parser.add_argument("--tour", action="store_true", help="print the address of the walk through the fourteen promises")
options = parser.parse_args()
run(options.port, not options.no_volens, options.tour, options.host)

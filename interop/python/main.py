"""Runs every check against the provider that the facts on standard input describe, and tells of each on a line of its own."""

import json
import signal
import sys
import traceback

from checks import CHECKS

signal.alarm(180)
facts = json.load(sys.stdin)
failed = False
for name, check in CHECKS.items():
    try:
        check(facts)
        print(f"ok - {name}", flush=True)
    except Exception as error:
        told = " ".join(str(error).split()) or type(error).__name__
        print(f"not ok - {name}: {told}", flush=True)
        traceback.print_exc()
        failed = True
sys.exit(failed)

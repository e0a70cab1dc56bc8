"""Have `tintype serve` colour a photograph: python call_service.py in.jpg out.jpg [http://127.0.0.1:8000/]

Needs nothing but Python. A service for other computers wants its token, from the environment's TINTYPE_TOKEN.
"""

import json
import os
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path

source, target = Path(sys.argv[1]), Path(sys.argv[2])
address = sys.argv[3] if len(sys.argv) > 3 else "http://127.0.0.1:8000/"
hints = {"units": "fractions", "points": [{"x": 0.5, "y": 0.1, "color": "#7fa8d0"}]}
query = urllib.parse.urlencode({"strength": 0.9, "hints": json.dumps(hints)})

request = urllib.request.Request(f"{address}v1/colorize?{query}", data=source.read_bytes(), method="POST")
request.add_header("Content-Type", "application/octet-stream")
if "TINTYPE_TOKEN" in os.environ:
    request.add_header("Authorization", f"Bearer {os.environ['TINTYPE_TOKEN']}")
for _ in range(5):
    try:
        with urllib.request.urlopen(request, timeout=120) as answer:
            target.write_bytes(answer.read())
            print(f"{target}: {answer.headers['Tintype-Size']}, by {answer.headers['Tintype-Model']}")
            break
    except urllib.error.HTTPError as error:
        if error.code != 429:  # anything else says in one sentence what is wrong
            sys.exit(json.load(error)["error"])
        time.sleep(int(error.headers["Retry-After"]))
else:
    sys.exit("The service is busy; try again later.")

#!/bin/sh
# Have `tintype serve` colour a photograph: sh call_service.sh in.jpg out.jpg [http://127.0.0.1:8000/]
set -eu
address=${3:-http://127.0.0.1:8000/}

# The bytes of a picture in, those of its result out.
curl -fsS --data-binary "@$1" "${address}v1/colorize?strength=0.9" -o "$2"

# With a colour that is known, as `tintype colorize --hints` takes it.
curl -fsS -F "picture=@$1" \
    -F 'hints={"units": "fractions", "points": [{"x": 0.5, "y": 0.1, "color": "#7fa8d0"}]}' \
    "${address}v1/colorize" -o "$2"

# A refusal is one sentence: this is no picture.
curl -sS --data-binary "@$0" "${address}v1/colorize"

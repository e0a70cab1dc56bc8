"""Put a photograph and its colours side by side: python old_and_new.py PHOTOGRAPH OUT.png"""

import sys

from PIL import Image

from tintype import Colorizer

if len(sys.argv) != 3:
    sys.exit(__doc__)
source, target = sys.argv[1:]
grey = Image.open(source).convert("L")
pair = Image.new("RGB", (2 * grey.width, grey.height))
pair.paste(grey, (0, 0))
pair.paste(Colorizer()(grey), (grey.width, 0))
pair.save(target)
